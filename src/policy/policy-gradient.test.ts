import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import type { ModelConfig } from '../engines/onnx/model/parameters.ts';
import { randomWeights, relativeError } from '../engines/onnx/training/reference.testing.ts';
import { Trainer } from '../engines/onnx/training/training.ts';
import { sharedCopy } from '../onnx/shared-floats.ts';
import type { PolicyGradientBatch } from './policy.ts';
import { policyGradientOf, policyGradientTerms } from './policy-gradient.ts';

const logprob = fc.double({ min: -5, max: -0.01, noNaN: true });
const settings = { clipLow: 0.2, clipHigh: 0.3, klCoefficient: 0.1 };

describe('the policy gradient of a token', () => {
  it('pulls by the negative slope of its loss (central differences), on both sides of the clip', () => {
    const token = fc.record({
      logprob,
      oldLogprob: logprob,
      referenceLogprob: logprob,
      advantage: fc.double({ min: -2, max: 2, noNaN: true }),
    });
    fc.assert(
      fc.property(token, (at) => {
        const step = 1e-6;
        const moved = (by: number) => policyGradientTerms({ ...at, logprob: at.logprob + by }, settings);
        // At the clip's edge the loss has a corner.
        fc.pre(moved(step).clipped === moved(-step).clipped);
        const slope = (moved(step).loss - moved(-step).loss) / (2 * step);
        const { pull } = policyGradientTerms(at, settings);
        expect(Math.abs(pull + slope)).toBeLessThan(1e-6 * Math.max(1, Math.abs(slope)));
      }),
    );
  });

  it('has no pull from the reference that it equals, and one towards a likelier one', () => {
    const at = { logprob: -1, oldLogprob: -1, advantage: 0 };
    expect(policyGradientTerms({ ...at, referenceLogprob: -1 }, settings)).toEqual({
      loss: 0,
      pull: 0,
      k3: 0,
      ratioDeviation: 0,
      clipped: false,
    });
    expect(policyGradientTerms(at, settings).k3).toBe(0);
    expect(policyGradientTerms({ ...at, referenceLogprob: -0.5 }, settings).pull).toBeGreaterThan(0);
  });
});

describe('the policy gradient of a batch', () => {
  const config: ModelConfig = {
    family: 'qwen2',
    vocabulary: 20,
    hidden: 16,
    layers: 2,
    heads: 4,
    keyValueHeads: 2,
    headSize: 4,
    intermediate: 24,
    ropeTheta: 100,
    rmsEpsilon: 1e-5,
    tiedHead: true,
    contextLength: 32,
  };
  const random = new Random(streamKey('policy gradient'));
  const ids = [12, 20, 1, 7].map((length) => Array.from({ length }, () => random.below(config.vocabulary)));

  it.each([0, 0.4])(
    'is what the embedded graph computes: loss, metrics and gradient to 1e-6 (β = %s)',
    async (beta) => {
      const trainer = new Trainer(config, sharedCopy(randomWeights(config, streamKey('weights'))), { threads: 1 });
      const logprobs = await trainer.logprobs(ids, 'present');
      const near = (stream: Float32Array) => stream.map((value) => value + 0.3 * random.normal());
      const batch: PolicyGradientBatch = {
        loss: 'policy-gradient',
        sequences: ids.map((sequence, i) => ({
          ids: sequence,
          mask: Uint8Array.from(sequence, () => random.below(2)),
          advantages: Float32Array.from(sequence, () => random.normal()),
          oldLogprobs: near(logprobs[i]!),
          ...(beta > 0 && { referenceLogprobs: near(logprobs[i]!) }),
        })),
        clipLow: 0.2,
        clipHigh: 0.3,
        klCoefficient: beta,
        denominator: 9,
      };
      const { pulls, result } = policyGradientOf(batch, logprobs);
      const truth = await trainer.accumulate(batch);
      const gradient = trainer.gradient().slice();
      expect(result.metrics.clipFraction).toBeGreaterThan(0);
      expect(result.tokens).toBe(truth.tokens);
      const { entropy: _, ...metrics } = truth.metrics;
      expect(Object.keys(result.metrics).sort()).toEqual(Object.keys(metrics).sort());
      const close = (a: number, b: number) => expect(Math.abs(a - b)).toBeLessThan(1e-6 * Math.max(1, Math.abs(b)));
      close(result.loss, truth.loss);
      for (const [name, value] of Object.entries(metrics)) close(result.metrics[name as keyof typeof metrics]!, value);

      trainer.dropGradient();
      const sequences = ids.map((sequence, i) => ({ ids: sequence, weights: pulls[i]! }));
      await trainer.accumulate({ loss: 'cross-entropy', sequences, denominator: batch.denominator });
      expect(relativeError(trainer.gradient(), gradient)).toBeLessThan(1e-6);
      await trainer.close();
    },
  );
});
