/** Agreement with what Hugging Face transformers and PyTorch compute of small random models (tests/reference). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModel } from '../../../checkpoint/model-directory.ts';
import { readSafetensors } from '../../../checkpoint/safetensors.ts';
import { type ExpectedOfModel, referenceModels } from '../../../checkpoint/shared.testing.ts';
import { type SharedFloats, sharedCopy } from '../../../onnx/shared-floats.ts';
import { layoutOf, type ModelConfig, viewOf } from '../model/parameters.ts';
import { adamwStep, freshMoments, ownShard } from './adamw.ts';
import { largestDifference, relativeError } from './reference.testing.ts';
import { Trainer } from './training.ts';

describe.each(referenceModels)('Trainer on the reference model %s', (_, folder) => {
  let config: ModelConfig;
  let initial: Float32Array;
  let expected: ExpectedOfModel;
  const read = async (file: string) => {
    const layout = layoutOf(config);
    const flat = new Float32Array(layout.total);
    const tensors = await readSafetensors(path.join(folder, file));
    expect([...tensors.keys()].sort()).toEqual([...layout.byName.keys()].sort());
    for (const [name, { data }] of tensors) viewOf(layout, flat, name).set(data);
    return flat;
  };
  /** Row 1 is padded on the left: without its padding it is a sequence of its own. */
  const rowsOf = <T>(rows: T[][]) => rows.map((row, n) => row.filter((_, t) => expected.attention_mask[n]![t] === 1));

  const trainers: Trainer[] = [];
  const open = (weights: SharedFloats, threads = 2, tokens?: number) => {
    const trainer = new Trainer(config, weights, { threads, ...(tokens && { plan: { tokens } }) });
    trainers.push(trainer);
    return trainer;
  };

  beforeAll(async () => {
    ({ config } = await readModel(folder));
    initial = await read('model.safetensors');
    expected = JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as ExpectedOfModel;
  });
  afterAll(async () => {
    for (const trainer of trainers) await trainer.close();
  });

  it('gives the log-probabilities of the next tokens', async () => {
    const streams = await open(sharedCopy(initial)).logprobs(rowsOf(expected.input_ids), 'present');
    for (const [n, stream] of streams.entries()) {
      const offset = expected.input_ids[n]!.length - stream.length;
      for (let t = 1; t < stream.length; t++)
        expect(Math.abs(stream[t]! - expected.next_token_logprobs[n]![offset + t - 1]!)).toBeLessThan(1e-4);
    }
  });

  it('gives loss, every gradient, and the parameters after the step', async () => {
    const weights = sharedCopy(initial);
    const trainer = open(weights);
    const sequences = rowsOf(expected.input_ids).map((ids, n) => ({
      ids,
      mask: Uint8Array.from(rowsOf(expected.loss.token_mask)[n]!),
      advantages: new Float32Array(ids.length).fill(expected.loss.advantage[n]![0]!),
      oldLogprobs: new Float32Array(ids.length),
    }));
    const tokens = sequences.reduce((sum, { mask }) => sum + mask.reduce((a, b) => a + b, 0), 0);

    // The reference loss is −A log π: cross-entropy with weights A.
    const crossEntropy = await trainer.accumulate({
      loss: 'cross-entropy',
      sequences: sequences.map(({ ids, mask, advantages }) => ({
        ids,
        weights: advantages.map((a, t) => a * mask[t]!),
      })),
      denominator: tokens,
    });
    expect(crossEntropy.loss).toBeCloseTo(expected.loss.value, 5);
    expect(crossEntropy.tokens).toBe(tokens);

    const settings = {
      learningRate: expected.adamw.lr,
      beta1: expected.adamw.betas[0],
      beta2: expected.adamw.betas[1],
      epsilon: expected.adamw.eps,
      weightDecay: expected.adamw.weight_decay,
      clipNorm: expected.adamw.clip_grad_norm,
      minGradientNorm: 0,
    };
    const gradients = await read('grads.safetensors');
    const gradient = trainer.gradient();
    for (const { name } of layoutOf(config).entries) {
      const error = relativeError(viewOf(layoutOf(config), gradient, name), viewOf(layoutOf(config), gradients, name));
      expect(error, name).toBeLessThan(1e-4);
    }
    const step = await trainer.step(settings);
    expect(step.gradientNorm).toBeCloseTo(expected.loss.grad_global_norm, 3);
    const after = await read('after_adamw_step.safetensors');
    const moved = (to: Float32Array) => to.map((value, i) => value - initial[i]!);
    // Adam's first step is lr · sign(g): where g is as small as ε, rounding of g shows in it.
    expect(relativeError(moved(weights), moved(after))).toBeLessThan(1e-3);
    expect(largestDifference(weights, after)).toBeLessThan(1e-4);

    // The step alone, from PyTorch's own gradient.
    const exact = sharedCopy(initial);
    await adamwStep(exact, sharedCopy(gradients), freshMoments(exact.length), settings, [ownShard]);
    expect(largestDifference(exact, after)).toBeLessThan(2e-7);
  });
});
