import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { forward } from './forward.testing.ts';
import { installCopyingHead } from './induction.ts';
import { initializeWeights } from './initialize.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 200,
  hidden: 128,
  layers: 3,
  heads: 4,
  keyValueHeads: 2,
  headSize: 32,
  intermediate: 64,
  ropeTheta: 1e6,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 512,
};

/** Distinct tokens, then the same again: at every position of the second half one earlier token is the right one to copy. */
function repeated(length: number, vocabulary: number, seed: number): number[] {
  const tokens = new Random(streamKey('test', seed)).sample([...Array(vocabulary).keys()], length);
  return [...tokens, ...tokens];
}

function initialized(model: ModelConfig, copyingHead: boolean) {
  const key = streamKey('test', 'weights');
  const weights = initializeWeights(model, key);
  if (copyingHead) installCopyingHead(weights, model, key);
  return weights;
}

const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('the copying head', () => {
  const shapes: [string, ModelConfig][] = [
    ['the embedded policy', config],
    ['wider heads', { ...config, hidden: 256, headSize: 64 }],
    ['one KV head', { ...config, keyValueHeads: 1 }],
    ['an untied head', { ...config, tiedHead: false }],
  ];

  it.each(shapes)('attends to the previous token, then to the token after the earlier occurrence: %s', (_, model) => {
    const length = 40;
    const ids = repeated(length, model.vocabulary, 1);
    const { attention } = forward(initialized(model, true), model, ids);
    const group = model.heads / model.keyValueHeads;
    for (let head = 0; head < group; head++) {
      const previous = ids.slice(1).map((_, i) => attention[0]![head]![i + 1]![i]!);
      expect(mean(previous)).toBeGreaterThan(0.8);
      const copied = ids.slice(length, -1).map((_, i) => attention[1]![head]![length + i]![i + 1]!);
      expect(mean(copied)).toBeGreaterThan(0.8);
    }
  });

  it('raises the probability of the copied token far above that of a random start', () => {
    const length = 40;
    const ids = repeated(length, config.vocabulary, 2);
    const copyLogit = (copyingHead: boolean) => {
      const { logits } = forward(initialized(config, copyingHead), config, ids);
      // The right token's logit against the mean logit at the same place.
      return mean(ids.slice(length + 1).map((id, i) => logits[length + i]![id]! - mean(logits[length + i]!)));
    };
    expect(copyLogit(true)).toBeGreaterThan(1);
    expect(Math.abs(copyLogit(false))).toBeLessThan(0.7);
  });

  it('refuses shapes that cannot hold it', () => {
    for (const wrong of [{ layers: 1 }, { ropeTheta: 100 }, { hidden: 32, heads: 1, keyValueHeads: 1 }])
      expect(() => initialized({ ...config, ...wrong }, true)).toThrow(/copying head needs/);
  });
});

describe('random initialisation', () => {
  it('keeps the size of activations, zeroes biases and sets norms to one', () => {
    const weights = initialized(config, false);
    const deviation = (name: string) => {
      const { data } = weights.get(name)!;
      return Math.sqrt(mean(Array.from(data, (v) => v * v)));
    };
    expect(deviation('model.layers.1.self_attn.q_proj.weight')).toBeCloseTo(1 / Math.sqrt(128), 2);
    expect(deviation('model.layers.1.mlp.down_proj.weight')).toBeCloseTo(1 / Math.sqrt(64 * 6), 2);
    expect(deviation('model.embed_tokens.weight')).toBeCloseTo(0.06, 2);
    expect(new Set(weights.get('model.layers.0.self_attn.k_proj.bias')!.data)).toEqual(new Set([0]));
    expect(new Set(weights.get('model.norm.weight')!.data)).toEqual(new Set([1]));
  });

  it('is a function of its key, tensor by tensor', () => {
    const again = initializeWeights(config, streamKey('test', 'weights'));
    const other = initializeWeights(config, streamKey('test', 'other'));
    const deeper = initializeWeights({ ...config, layers: 4 }, streamKey('test', 'weights'));
    const name = 'model.layers.2.mlp.up_proj.weight';
    expect(again).toEqual(initialized(config, false));
    expect(deeper.get(name)).toEqual(again.get(name));
    expect(other.get(name)).not.toEqual(again.get(name));
  });
});
