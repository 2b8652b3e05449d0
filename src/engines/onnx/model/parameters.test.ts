import { describe, expect, it } from 'vitest';
import { adapterLayoutOf, layoutOf, type ModelConfig, nameAt, viewOf } from './parameters.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 50,
  hidden: 12,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 6,
  intermediate: 20,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 64,
};

describe('layoutOf', () => {
  it('places every parameter once, without gaps', () => {
    const layout = layoutOf(config);
    let end = 0;
    for (const entry of layout.entries) {
      expect(entry.offset).toBe(end);
      expect(entry.size).toBe(entry.shape.reduce((a, b) => a * b, 1));
      end += entry.size;
    }
    expect(layout.total).toBe(end);
    // Counted by shard: embedding, then per block two norms, q k v with biases, o, gate up down; the last norm.
    const block = 2 * 12 + (24 + 12 + 12) * (12 + 1) + 12 * 24 + 3 * 12 * 20;
    expect(layout.total).toBe(50 * 12 + 2 * block + 12);
  });

  it('has a head of its own only when it is not tied', () => {
    expect(layoutOf(config).byName.has('lm_head.weight')).toBe(false);
    expect(layoutOf({ ...config, tiedHead: false }).byName.get('lm_head.weight')?.shape).toEqual([50, 12]);
  });

  it('gives the three projections of attention as one view', () => {
    const layout = layoutOf(config);
    const flat = Float32Array.from({ length: layout.total }, (_, i) => i);
    const first = 'model.layers.1.self_attn.q_proj.weight';
    const all = viewOf(layout, flat, first, 'model.layers.1.self_attn.v_proj.weight');
    expect(all.length).toBe((24 + 12 + 12) * 12);
    expect(all[0]).toBe(layout.byName.get(first)!.offset);
    expect(nameAt(layout, all[24 * 12]!)).toBe('model.layers.1.self_attn.k_proj.weight');
  });
});

describe('adapterLayoutOf', () => {
  it('has A [rank, in] and B [out, rank] for all seven linear layers of each block', () => {
    const layout = adapterLayoutOf(config, 3);
    expect(layout.entries.length).toBe(2 * 2 * 7);
    const name = 'base_model.model.model.layers.1.mlp.down_proj';
    expect(layout.byName.get(`${name}.lora_A.weight`)?.shape).toEqual([3, 20]);
    expect(layout.byName.get(`${name}.lora_B.weight`)?.shape).toEqual([12, 3]);
  });
});
