/** Attention over pages against its formula in float64, and who owns which page. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Random } from '../../../base/random.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { PagedCache } from './paged-cache.ts';
import type { CachedRow } from './pages.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 5,
  hidden: 8,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 8,
  intermediate: 8,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 200,
};
const emptyRow = (): CachedRow => ({ pages: [], length: 0 });

/** Rows filled with random keys and values, which are also given, [position][keyValueHeads headSize]. */
function filled(cache: PagedCache, shape: ModelConfig, lengths: readonly number[], random: Random, scale = 1) {
  const width = shape.keyValueHeads * shape.headSize;
  const floats = (count: number) => Float32Array.from({ length: count }, () => scale * (2 * random.uniform() - 1));
  return lengths.map((length) => {
    const row = emptyRow();
    cache.extend(row, length);
    const [keys, values] = [floats(length * width), floats(length * width)];
    const tokens = Array.from({ length }, (_, position) => ({ row, position }));
    for (let layer = 0; layer < shape.layers; layer++) cache.write(layer, tokens, keys, values);
    return { row, keys, values };
  });
}

/** softmax(q Kᵀ / √D) V of one token, in float64. */
function expected(
  { heads, keyValueHeads, headSize }: ModelConfig,
  query: Float32Array,
  keys: Float32Array,
  values: Float32Array,
  seen: number,
): number[] {
  const at = (array: Float32Array, position: number, head: number, d: number) => {
    const group = Math.floor(head / (heads / keyValueHeads));
    return array[(position * keyValueHeads + group) * headSize + d]!;
  };
  const positions = [...Array(seen).keys()];
  const dimensions = [...Array(headSize).keys()];
  return Array.from({ length: heads }, (_, head) => {
    const scores = positions.map(
      (p) =>
        dimensions.reduce((sum, d) => sum + query[head * headSize + d]! * at(keys, p, head, d), 0) /
        Math.sqrt(headSize),
    );
    const largest = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - largest));
    const total = weights.reduce((a, b) => a + b);
    return dimensions.map((d) => positions.reduce((sum, p) => sum + (weights[p]! / total) * at(values, p, head, d), 0));
  }).flat();
}

describe('attention over pages', () => {
  const shapes = fc.record({
    keyValueHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 5 }),
    headSize: fc.integer({ min: 1, max: 20 }).map((half) => 2 * half),
    lengths: fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 6 }),
    // Scores up to some hundreds: most weights vanish.
    scale: fc.constantFrom(0, 1, 8),
    seed: fc.nat(),
  });

  it('is softmax(q Kᵀ / √D) V of each token’s own positions', () => {
    fc.assert(
      fc.property(shapes, ({ keyValueHeads, group, headSize, lengths, scale, seed }) => {
        const shape = { ...config, keyValueHeads, headSize, heads: keyValueHeads * group };
        const random = new Random([seed, 1]);
        const cache = new PagedCache(shape, 16);
        const rows = filled(cache, shape, lengths, random, scale);
        const tokens = rows.map(({ row }) => ({ row, position: random.below(row.length) }));
        const width = shape.heads * headSize;
        const queries = Float32Array.from({ length: tokens.length * width }, () => scale * (2 * random.uniform() - 1));
        const attended = cache.attend(1, cache.plan(tokens), tokens.length, queries);
        for (const [i, { keys, values }] of rows.entries()) {
          const query = queries.subarray(i * width, (i + 1) * width);
          const wanted = expected(shape, query, keys, values, tokens[i]!.position + 1);
          for (const [j, value] of wanted.entries())
            expect(Math.abs(attended[i * width + j]! - value)).toBeLessThan(2e-6 * Math.max(1, scale ** 3));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same bits beside other tokens and on other pages', () => {
    const random = new Random([5, 5]);
    const cache = new PagedCache(config, 16);
    const [own, ...others] = filled(cache, config, [37, 5, 70, 16], random) as [
      ReturnType<typeof filled>[number],
      ...ReturnType<typeof filled>,
    ];
    const queries = Float32Array.from({ length: 4 * 32 }, () => random.uniform());
    const token = { row: own.row, position: 36 };
    const alone = cache.attend(0, cache.plan([token]), 1, queries.subarray(0, 32));
    const beside = [token, ...others.map(({ row }) => ({ row, position: 3 }))];
    expect(cache.attend(0, cache.plan(beside), 4, queries).subarray(0, 32)).toEqual(alone);

    const copy = emptyRow();
    cache.extend(copy, 37);
    const tokens = Array.from({ length: 37 }, (_, position) => ({ row: copy, position }));
    cache.write(0, tokens, own.keys, own.values);
    expect(copy.pages).not.toEqual(own.row.pages);
    expect(cache.attend(0, cache.plan([{ row: copy, position: 36 }]), 1, queries.subarray(0, 32))).toEqual(alone);
  });

  it('does not see what earlier owners of a page left there, not even NaN', () => {
    const cache = new PagedCache(config, 16);
    const nan = new Float32Array(20 * 16).fill(Number.NaN);
    const old = emptyRow();
    cache.extend(old, 20);
    cache.write(
      0,
      Array.from({ length: 20 }, (_, position) => ({ row: old, position })),
      nan,
      nan,
    );
    cache.release(old);
    const row = emptyRow();
    cache.extend(row, 3);
    const ones = new Float32Array(3 * 16).fill(1);
    cache.write(
      0,
      [0, 1, 2].map((position) => ({ row, position })),
      ones,
      ones,
    );
    const attended = cache.attend(0, cache.plan([{ row, position: 2 }]), 1, new Float32Array(32).fill(0.5));
    for (const value of attended) expect(value).toBeCloseTo(1, 6);
  });
});

describe('pages', () => {
  it('are shared by a fork where they are whole, copied where not, and free when nobody holds them', () => {
    const cache = new PagedCache(config, 16);
    const [{ row }] = filled(cache, config, [40], new Random([1, 1])) as [ReturnType<typeof filled>[number]];
    const fork = cache.fork(row, 37);
    expect(fork.length).toBe(37);
    expect(fork.pages.slice(0, 2)).toEqual(row.pages.slice(0, 2));
    expect(fork.pages[2]).not.toBe(row.pages[2]);
    expect(cache.fork(row, 32).pages).toEqual(row.pages.slice(0, 2));
    expect(cache.fork(row, 0)).toEqual({ pages: [], length: 0 });

    const [shared, own] = [row.pages[0]!, row.pages[2]!];
    cache.release(row);
    expect(row).toEqual({ pages: [], length: 0 });
    const next = emptyRow();
    cache.extend(next, 16);
    // The last page given up is the first to be taken again; those that forks hold are not.
    expect(next.pages).toEqual([own]);
    const many = emptyRow();
    cache.extend(many, 16 * 1000);
    expect(many.pages).not.toContain(shared);
    expect(new Set(many.pages).size).toBe(1000);
  });

  it('keep what they hold when the memory grows', () => {
    const cache = new PagedCache(config, 16);
    const [{ row }] = filled(cache, config, [40], new Random([1, 1])) as [ReturnType<typeof filled>[number]];
    const queries = new Float32Array(32).fill(0.3);
    const plan = cache.plan([{ row, position: 39 }]);
    const before = cache.attend(1, plan, 1, queries);
    cache.extend(emptyRow(), 16 * 3000);
    expect(cache.attend(1, plan, 1, queries)).toEqual(before);
  });

  it('grow by less where there is no memory for half as many again', () => {
    const cache = new PagedCache(config, 16);
    const row = emptyRow();
    cache.extend(row, 16 * 2900);
    type Memory = { buffer: ArrayBuffer };
    const { prototype } = (
      Reflect.get(globalThis, 'WebAssembly') as { Memory: { prototype: { grow(more: number): number } } }
    ).Memory;
    const real = prototype.grow;
    const asked: number[] = [];
    const grow = vi.spyOn(prototype, 'grow').mockImplementation(function (this: Memory, more: number) {
      asked.push(more);
      if (more * 2 ** 16 > this.buffer.byteLength / 4) throw new RangeError('no memory');
      return real.call(this as never, more);
    });
    try {
      cache.extend(row, 16 * 1000);
      expect(new Set(row.pages).size).toBe(3900);
      expect(asked[0]).toBeGreaterThan(2 * asked[1]!);
    } finally {
      grow.mockRestore();
    }
  });

  it('are held by nobody when there is no memory for a fork', () => {
    const cache = new PagedCache(config, 16);
    const [{ row }] = filled(cache, config, [40], new Random([1, 1])) as [ReturnType<typeof filled>[number]];
    const rest = emptyRow();
    cache.extend(rest, 16 * 253);
    const { Memory } = Reflect.get(globalThis, 'WebAssembly') as { Memory: { prototype: { grow(): number } } };
    const grow = vi.spyOn(Memory.prototype, 'grow').mockImplementation(() => {
      throw new RangeError('no memory');
    });
    try {
      expect(() => cache.fork(row, 37)).toThrow('no memory');
      cache.release(row);
      cache.release(rest);
      cache.extend(emptyRow(), 16 * 256);
      expect(() => cache.extend(emptyRow(), 1)).toThrow('no memory');
    } finally {
      grow.mockRestore();
    }
  });
});
