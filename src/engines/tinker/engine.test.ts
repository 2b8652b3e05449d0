import { afterEach, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../base/random.ts';
import type { AdamWStep, LossBatch, Policy, TokenIds } from '../../policy/policy.ts';
import { policyGradientTerms } from '../../policy/policy-gradient.ts';
import type { ProfileName } from './profiles.ts';
import { PROFILE_NAMES } from './profiles.ts';
import { letters, type OpenMock, openMock } from './testing/open-mock.ts';

const open: OpenMock[] = [];
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
});

async function mockOf(...args: Parameters<typeof openMock>): Promise<OpenMock> {
  const mock = await openMock(...args);
  open.push(mock);
  return mock;
}

const V = letters.length;
const random = new Random(streamKey('engine.test'));
const sequences: TokenIds[] = Array.from({ length: 4 }, (_, i) => Array.from({ length: 9 + i }, () => random.below(V)));

/** Nearly proportional to the gradient: Adam's first step does not see its size, an ε of 1 lets it. */
const proportional: AdamWStep = {
  learningRate: 10,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1,
  weightDecay: 0,
  clipNorm: 1e9,
  minGradientNorm: 0,
};

function largestGap(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.max(...a.flatMap((stream, i) => [...stream].map((x, t) => Math.abs(x - b[i]![t]!))));
}

const mask = (ids: TokenIds) => Uint8Array.from(ids, (_, t) => (t >= 4 ? 1 : 0));
const tokens = sequences.reduce((sum, ids) => sum + ids.length - 4, 0);

async function gradientBatch(policy: Policy, klCoefficient = 0.05): Promise<LossBatch & { loss: 'policy-gradient' }> {
  const now = await policy.logprobs(sequences, 'present');
  return {
    loss: 'policy-gradient',
    sequences: sequences.map((ids, i) => ({
      ids,
      mask: mask(ids),
      advantages: new Float32Array(ids.length).fill([1, -0.5, 0.7, -1.2][i]!),
      // Some ratios beyond both ends of the clip.
      oldLogprobs: now[i]!.map((x, t) => x + (t % 3) * 0.3 - 0.3),
      referenceLogprobs: now[i]!.map((x, t) => x + (t % 2) * 0.4 - 0.2),
    })),
    clipLow: 0.2,
    clipHigh: 0.2,
    klCoefficient,
    denominator: tokens,
  };
}

describe.each(PROFILE_NAMES)('on a server like %s', (profile: ProfileName) => {
  it('scores what the server computes', async () => {
    const mock = await mockOf(profile);
    const policy = await mock.open();
    const [stream] = await policy.logprobs([sequences[0]!], 'present');
    expect(stream![0]).toBe(0);
    const ids = sequences[0]!;
    for (let t = 1; t < ids.length; t++)
      expect(stream![t]).toBeCloseTo(mock.server.models[0]!.bigram.logprobs(ids.slice(0, t))[ids[t]!]!, 5);
  });

  it('takes the step of the clipped policy gradient with k3, whatever the server reduces by', async () => {
    const mock = await mockOf(profile);
    const policy = await mock.open();
    const batch = await gradientBatch(policy);
    const model = mock.server.models[0]!.bigram;
    const loss = () => meanLoss(batch, (ids, t) => model.logprobs(ids.slice(0, t))[ids[t]!]!);
    // The gradient by central differences; with ε = 1 Adam's first step is −lr g / (|g| + 1).
    const expected = model.parameters.map((x, i) => {
      const h = 1e-5;
      model.parameters[i] = x + h;
      const up = loss();
      model.parameters[i] = x - h;
      const down = loss();
      model.parameters[i] = x;
      const g = (up - down) / (2 * h);
      return x - (proportional.learningRate * g) / (Math.abs(g) + 1);
    });
    const before = loss();
    const { losses, update } = await policy.train([batch], proportional);
    expect(losses[0]!.loss).toBeCloseTo(before, 5);
    expect(update.skipped).toBe(false);
    const gaps = mock.server.models[0]!.bigram.parameters.map((x, i) => Math.abs(x - expected[i]!));
    expect(Math.max(...gaps)).toBeLessThan(2e-5);
    expect(largestGap([Float32Array.from(expected)], [Float32Array.from(model.parameters)])).toBeLessThan(2e-5);
  });
});

function meanLoss(
  batch: LossBatch & { loss: 'policy-gradient' },
  logprob: (ids: TokenIds, t: number) => number,
): number {
  let sum = 0;
  for (const { ids, mask, advantages, oldLogprobs, referenceLogprobs } of batch.sequences)
    for (let t = 1; t < ids.length; t++) {
      if (!mask[t]) continue;
      const token = {
        logprob: logprob(ids, t),
        oldLogprob: oldLogprobs[t]!,
        referenceLogprob: referenceLogprobs![t]!,
        advantage: advantages[t]!,
      };
      sum += policyGradientTerms(token, batch).loss;
    }
  return sum / batch.denominator;
}
