/** Training on the GPU against training on the processor, which is held against float64 and finite differences elsewhere. */
import { afterAll, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { type AdamWStep, type LossBatch, NonFiniteError } from '../../../policy/policy.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { DeviceTrainer } from './device-trainer.ts';
import { lossBatches } from './loss-batches.testing.ts';
import { randomWeights, relativeError } from './reference.testing.ts';
import { Trainer } from './training.ts';

const tied: ModelConfig = {
  family: 'qwen2',
  vocabulary: 60,
  hidden: 16,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediate: 24,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 64,
};
const untied: ModelConfig = { ...tied, family: 'qwen3', keyValueHeads: 1, tiedHead: false };

const adamW: AdamWStep = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 0.5,
  minGradientNorm: 0,
};
const shape = { vocabulary: 60, lengths: [9, 12, 17], teacherPrompt: 5, denominator: 10 };
const batches = lossBatches(new Random(streamKey('webgpu')), shape);

const opened: { close(): Promise<void> }[] = [];
afterAll(async () => {
  for (const trainer of opened) await trainer.close();
});

/** The same model twice. Seven rows of logits at a time, so that the head runs over several chunks. */
async function pair(config: ModelConfig): Promise<{ host: Trainer; device: DeviceTrainer }> {
  const weights = randomWeights(config, streamKey('webgpu', 'weights'));
  const device = await DeviceTrainer.open(config, weights, { rows: 7 });
  const host = new Trainer(config, weights, { threads: 1 });
  opened.push(host, device);
  return { host, device };
}

/** Losses, metrics, streams and gradients of one batch. */
async function expectSame(host: Trainer, device: DeviceTrainer, batch: LossBatch): Promise<void> {
  const [wanted, got] = [await host.accumulate(batch), await device.accumulate(batch)];
  expect(Math.abs(got.loss - wanted.loss)).toBeLessThan(1e-4 * Math.max(1e-2, Math.abs(wanted.loss)));
  expect(got.tokens).toBe(wanted.tokens);
  for (const [name, value] of Object.entries(wanted.metrics))
    expect(got.metrics[name as keyof typeof got.metrics]).toBeCloseTo(value, 4);
  for (const [i, stream] of (wanted.perToken ?? []).entries())
    for (const [t, value] of stream.entries()) expect(got.perToken![i]![t]).toBeCloseTo(value, 4);
  expect(relativeError(await device.gradient(), host.gradient())).toBeLessThan(1e-4);
}

describe('on the GPU', () => {
  it.each([
    ['every loss, tied head', tied, batches],
    ['Qwen3, untied head', untied, [batches[0]!, batches[3]!]],
  ] as const)('%s: loss and gradient, and steps', async (_, config, some) => {
    const { host, device } = await pair(config);
    host.freeze();
    await device.freeze();
    for (const batch of some) {
      await expectSame(host, device, batch);
      // Frozen weights stay what they are while the present ones move.
      const [wanted, got] = [await host.step(adamW), await device.step(adamW)];
      expect(got.gradientNorm! / wanted.gradientNorm!).toBeCloseTo(1, 4);
    }
    // Gradients of two batches add up.
    await expectSame(host, device, some[0]!);
    await expectSame(host, device, some[1]!);
    const [there, here] = [await device.state(), host.state()];
    expect(relativeError(there.weights, here.weights)).toBeLessThan(1e-5);
    expect(there.moments.steps).toBe(some.length);
    expect(relativeError(there.moments.first, here.moments.first)).toBeLessThan(1e-4);
    expect(relativeError(there.moments.second, here.moments.second)).toBeLessThan(1e-4);
  });

  it('an adapter is trained, saved, restored and merged as on the processor', async () => {
    const { host, device } = await pair(tied);
    for (const trainer of [host, device]) await trainer.attachAdapter({ rank: 3, alpha: 6, key: [1, 2] });
    for (let step = 0; step < 2; step++) {
      await expectSame(host, device, batches[0]!);
      for (const trainer of [host, device]) await trainer.step(adamW);
    }
    const [there, here] = [await device.state(), host.state()];
    expect(there.weights).toEqual(here.weights.slice());
    expect(relativeError(there.adapter!.values, here.adapter!.values)).toBeLessThan(1e-4);
    const again = await pair(tied);
    await again.device.restore(there);
    await again.host.restore(here);
    await expectSame(again.host, again.device, batches[0]!);
    for (const trainer of [host, device]) await trainer.mergeAdapter();
    expect(relativeError((await device.state()).weights, host.state().weights)).toBeLessThan(1e-5);
    expect((await device.state()).adapter).toBeUndefined();
    await expectSame(host, device, batches[1]!);
  });

  it('log-probabilities, and the likeliest tokens', async () => {
    const { host, device } = await pair(tied);
    const sequences = [[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 9, 8], [59]];
    const [wanted, got] = [await host.logprobs(sequences, 'present'), await device.logprobs(sequences, 'present')];
    for (const [i, stream] of wanted.entries())
      for (const [t, value] of stream.entries()) expect(got[i]![t]).toBeCloseTo(value, 4);
    const asked = [{ ids: sequences[0]!, start: 2 }];
    const [best, top] = [await host.topLogprobs(asked, 3, 'present'), await device.topLogprobs(asked, 3, 'present')];
    expect(top[0]!.tokens).toEqual(best[0]!.tokens);
    expect(relativeError(top[0]!.logprobs, best[0]!.logprobs)).toBeLessThan(1e-4);
  });

  it('a gradient that is not finite names its tensor and changes nothing', async () => {
    const { device } = await pair(tied);
    const weights = randomWeights(tied, streamKey('webgpu', 'weights'));
    const sequence = { ids: [1, 2, 3, 4], weights: Float32Array.of(0, 1e30, 1e30, 1e30) };
    const huge: LossBatch = { loss: 'cross-entropy', sequences: [sequence], denominator: 1e-5 };
    await expect(device.accumulate(huge)).rejects.toThrow(NonFiniteError);
    expect((await device.gradient()).every((value) => value === 0)).toBe(true);
    expect((await device.state()).weights).toEqual(Float32Array.from(weights));
  });

  it('below the least norm, or aborted, nothing changes', async () => {
    const { device } = await pair(tied);
    const before = (await device.state()).weights;
    await device.accumulate(batches[1]!);
    expect(await device.step({ ...adamW, minGradientNorm: 1e9 })).toMatchObject({ skipped: true });
    await expect(device.accumulate(batches[1]!, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow(
      'stop',
    );
    expect(await device.state()).toMatchObject({ weights: before, moments: { steps: 0 } });
  });
});
