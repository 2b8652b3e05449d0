/**
 * Two independent implementations of the method, on the same safetensors: hatchery-core with all weights trained, and the embedded
 * engine. Log-probabilities, a GRPO step with clip and k3, a step of forward KL.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../src/base/random.ts';
import { openPolicyDirectory } from '../src/engines/onnx/engine.ts';
import { openTinkerPolicy } from '../src/engines/tinker/open-policy.ts';
import type { AdamWStep, LossBatch, Policy, TokenIds } from '../src/policy/policy.ts';
import { KEY, type Peer, pythonOf, startHatchery, tinyModel } from './peer.ts';

const V = 288;
const python = pythonOf('hatchery');
const TOLERANCE = 1e-5;
const random = new Random(streamKey('live embedded'));
const sequences: TokenIds[] = Array.from({ length: 5 }, (_, i) =>
  Array.from({ length: 12 + 4 * i }, () => random.below(V)),
);
const start = 6;
const rows = sequences.reduce((sum, ids) => sum + ids.length - start, 0);
const step: AdamWStep = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: 0,
};
const pieces = Array.from({ length: V }, () => '');

describe.skipIf(python === undefined)('hatchery and the embedded engine', () => {
  let peer: Peer;
  let model: string;
  let server: Policy;
  let embedded: Policy;
  beforeAll(async () => {
    model = tinyModel('qwen2', python!);
    peer = await startHatchery(python!, { model });
    server = await openTinkerPolicy({
      url: peer.url,
      key: KEY,
      profile: 'hatchery',
      baseModel: model,
      loraRank: null,
      seed: 1,
      contextLength: 4096,
      pieces,
      concurrency: 8,
    });
    embedded = await openPolicyDirectory(model, { pieces, threads: 1 });
  });
  afterAll(async () => {
    await server?.close();
    await embedded?.close();
    await peer?.close();
  });

  const scores = async (policy: Policy) => (await policy.logprobs(sequences, 'present')).flatMap((each) => [...each]);
  const gap = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

  it('give the same log-probabilities and likeliest tokens', async () => {
    const [ours, theirs] = [await scores(embedded), await scores(server)];
    console.log(`log π ${gap(ours, theirs)}`);
    expect(gap(ours, theirs)).toBeLessThan(TOLERANCE);
    const asked = sequences.map((ids) => ({ ids, start }));
    const [a, b] = [await embedded.topLogprobs(asked, 8, 'present'), await server.topLogprobs(asked, 8, 'present')];
    for (const [i, { tokens, logprobs }] of a.entries()) {
      expect([...tokens]).toEqual([...b[i]!.tokens]);
      expect(gap([...logprobs], [...b[i]!.logprobs])).toBeLessThan(TOLERANCE);
    }
  });

  it('take the same steps: GRPO with clip and k3, then forward KL to the weights before it under another prompt', async () => {
    const before = await scores(embedded);
    const now = await embedded.logprobs(sequences, 'present');
    const grpo: LossBatch = {
      loss: 'policy-gradient',
      clipLow: 0.2,
      clipHigh: 0.28,
      klCoefficient: 0.05,
      denominator: rows,
      sequences: sequences.map((ids, i) => ({
        ids,
        mask: Uint8Array.from(ids, (_, t) => (t >= start ? 1 : 0)),
        advantages: new Float32Array(ids.length).fill([1.8, -0.45, 0.7, -1.1, -0.9][i]!),
        oldLogprobs: now[i]!.map((x, t) => x + [-0.4, 0, 0.4, 0.1][t % 4]!),
        referenceLogprobs: now[i]!.map((x, t) => x + [0.3, -0.2][t % 2]!),
      })),
    };
    for (const policy of [embedded, server]) await policy.freeze();
    const losses = [];
    for (const policy of [embedded, server]) losses.push((await policy.train([grpo], step)).losses[0]!);
    const [ours, theirs] = [await scores(embedded), await scores(server)];
    console.log(
      `after GRPO ${gap(ours, theirs)}, moved ${gap(ours, before)}; loss ${losses[0]!.loss} ${losses[1]!.loss}`,
    );
    expect(losses[1]!.loss).toBeCloseTo(losses[0]!.loss, 5);
    for (const name of ['referenceKl', 'clipFraction', 'maxRatioDeviation'] as const)
      expect(losses[1]!.metrics[name]).toBeCloseTo(losses[0]!.metrics[name]!, 4);
    expect(gap(ours, before)).toBeGreaterThan(0.05);
    expect(gap(ours, theirs)).toBeLessThan(TOLERANCE);

    // The teacher sees other ids before the same tokens; its whole distribution are soft targets on the server.
    const teacherPrompts = sequences.map((_, i) => sequences[(i + 1) % 5]!.slice(0, start + 2));
    const teachers = sequences.map((ids, i) => ({
      ids: [...teacherPrompts[i]!, ...ids.slice(start)],
      start: start + 2,
    }));
    const tables = await embedded.topLogprobs(teachers, V, 'present');
    for (const policy of [embedded, server]) await policy.freeze();
    const pairs = sequences.map((ids, i) => ({
      teacherPrompt: teacherPrompts[i]!,
      studentPrompt: ids.slice(0, start),
      ids: ids.slice(start),
      mask: new Uint8Array(ids.length - start).fill(1),
    }));
    await embedded.train(
      [{ loss: 'forward-kl', pairs, clip: Number.POSITIVE_INFINITY, teacherTemperature: 1, denominator: rows }],
      step,
    );
    const soft = sequences.map((ids, i) => ({
      ids,
      start,
      mask: new Uint8Array(ids.length - start).fill(1),
      k: V,
      tokens: tables[i]!.tokens,
      weights: tables[i]!.logprobs.map(Math.exp),
    }));
    await server.train([{ loss: 'soft-cross-entropy', sequences: soft, denominator: rows }], step);
    const [student, other] = [await scores(embedded), await scores(server)];
    console.log(`after forward KL ${gap(student, other)}, moved ${gap(student, ours)}`);
    expect(gap(student, ours)).toBeGreaterThan(0.02);
    expect(gap(student, other)).toBeLessThan(2 * TOLERANCE);
  });
});
