import { afterAll, describe, expect, it } from 'vitest';
import { Random, uniformAt } from '../../../base/random.ts';
import { layoutOf, type ModelConfig } from '../model/parameters.ts';
import { logSoftmax, randomWeights, referenceLogits } from '../training/reference.testing.ts';
import { Decoder, type DecoderOptions } from './decoder.ts';
import type { CachedRow } from './pages.ts';
import type { Draw } from './sampling.ts';

const grouped: ModelConfig = {
  family: 'qwen2',
  vocabulary: 53,
  hidden: 24,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 6,
  intermediate: 36,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 256,
};

const open: Decoder[] = [];
async function decoderOf(
  config: ModelConfig,
  weights: Float32Array,
  options: Partial<DecoderOptions> = {},
): Promise<Decoder> {
  const decoder = new Decoder(config, { threads: 1, ...options });
  open.push(decoder);
  await decoder.load(weights);
  return decoder;
}
afterAll(async () => {
  for (const decoder of open) await decoder.close();
});

const someIds = (random: Random, length: number, vocabulary: number) =>
  Array.from({ length }, () => random.below(vocabulary));

const emptyRow = (): CachedRow => ({ pages: [], length: 0 });

/** All prompts side by side, read in pieces of the given lengths (the last repeats), then `steps` draws for each. */
async function generate(
  decoder: Decoder,
  prompts: readonly (readonly number[])[],
  { steps = 8, cuts = [64], temperature = 1 },
): Promise<Draw[][]> {
  const rows = prompts.map(emptyRow);
  const unread = prompts.map((prompt) => prompt.slice(0, -1));
  for (let cut = 0; unread.some((ids) => ids.length > 0); cut++) {
    const pieces = unread.map((ids) => ids.splice(0, cuts[cut] ?? cuts.at(-1)!));
    await decoder.read(pieces.flatMap((ids, n) => (ids.length > 0 ? [{ row: rows[n]!, ids }] : [])));
  }
  const drawn: Draw[][] = prompts.map(() => []);
  for (let step = 0; step < steps; step++) {
    const readings = prompts.map((prompt, n) => ({
      row: rows[n]!,
      ids: [drawn[n]!.at(-1)?.id ?? prompt.at(-1)!],
      rule: { temperature, uniform: uniformAt([prompt.length, prompt[0]!], step) },
    }));
    for (const [n, draw] of (await decoder.read(readings)).entries()) drawn[n]!.push(draw!);
  }
  for (const row of rows) decoder.cache.release(row);
  return drawn;
}

describe('Decoder', () => {
  const variants: [string, Partial<ModelConfig>][] = [
    ['grouped heads, tied', {}],
    ['one head a group, untied', { keyValueHeads: 4, tiedHead: false }],
    ['one key-value head, hidden and heads of different width', { heads: 3, keyValueHeads: 1, headSize: 10 }],
    ['Qwen3', { family: 'qwen3', headSize: 8 }],
    [
      'Llama, scaled positions',
      { family: 'llama', tiedHead: false, ropeScaling: { type: 'linear', factor: 3 }, heads: 6, rmsEpsilon: 1e-5 },
    ],
  ];
  it.each(variants)('agrees with a full float64 forward pass: %s', async (_, change) => {
    const config = { ...grouped, ...change };
    const weights = randomWeights(config, [1, 2]);
    const prompt = someIds(new Random([3, 4]), 40, config.vocabulary);
    const [row] = await generate(await decoderOf(config, weights), [prompt], { cuts: [10, 7], steps: 12 });
    const ids = [...prompt, ...row!.map(({ id }) => id)];
    const logits = referenceLogits(config, Float64Array.from(weights), ids);
    for (const [n, { id, logprob }] of row!.entries())
      expect(logprob).toBeCloseTo(logSoftmax(logits[prompt.length - 1 + n]!)[id]!, 5);
  });

  it('takes the largest logit at temperature 0, with its probability at temperature 1', async () => {
    const weights = randomWeights(grouped, [1, 2]);
    const prompt = someIds(new Random([5, 6]), 9, grouped.vocabulary);
    const [row] = await generate(await decoderOf(grouped, weights), [prompt], { temperature: 0 });
    const ids = [...prompt, ...row!.map(({ id }) => id)];
    const logits = referenceLogits(grouped, Float64Array.from(weights), ids);
    for (const [n, { id, logprob }] of row!.entries()) {
      const at = logits[prompt.length - 1 + n]!;
      expect(id).toBe(at.indexOf(Math.max(...at)));
      expect(logprob).toBeCloseTo(logSoftmax(at)[id]!, 5);
    }
  });

  it('gives the same bits in any company and cut, on any pages', async () => {
    const random = new Random([7, 8]);
    for (let trial = 0; trial < 9; trial++) {
      const keyValueHeads = 1 + random.below(3);
      const config: ModelConfig = {
        ...grouped,
        family: (['qwen2', 'qwen3', 'llama'] as const)[trial % 3]!,
        vocabulary: 30 + random.below(90),
        hidden: 8 + random.below(60),
        layers: 1 + random.below(2),
        keyValueHeads,
        heads: keyValueHeads * (1 + random.below(3)),
        headSize: 2 * (1 + random.below(20)),
        intermediate: 10 + random.below(90),
      };
      const options = { threads: 1 + random.below(3), bits: ([32, 8, 4] as const)[trial % 3]! };
      const decoder = await decoderOf(config, randomWeights(config, [trial, 9]), options);
      const prompt = someIds(random, 2 + random.below(90), config.vocabulary);
      const [alone] = await generate(decoder, [prompt], {});
      for (let round = 0; round < 3; round++) {
        const rows = 1 + random.below(20);
        const own = random.below(rows);
        const prompts = Array.from({ length: rows }, (_, row) =>
          row === own ? prompt : someIds(random, 1 + random.below(70), config.vocabulary),
        );
        const cuts = round === 0 ? [1] : Array.from({ length: 20 }, () => 1 + random.below(40));
        // Somebody else's pages, some given back: those of a row need not lie in order.
        const [held, given] = [emptyRow(), emptyRow()];
        decoder.cache.extend(held, 16 * random.below(9));
        decoder.cache.extend(given, 16 * random.below(9));
        decoder.cache.release(given);
        const results = await generate(decoder, prompts, { cuts });
        decoder.cache.release(held);
        expect(results[own], JSON.stringify({ trial, round, rows, own, cuts, options, config })).toEqual(alone);
      }
    }
  });

  it.each([
    [8, 0.03],
    [4, 0.4],
  ] as const)('with %i-bit weights comes near: mean |Δ log p| below %d', async (bits, limit) => {
    const config = { ...grouped, hidden: 64, headSize: 16, intermediate: 96 };
    const weights = randomWeights(config, [1, 2]);
    const prompt = someIds(new Random([3, 4]), 20, config.vocabulary);
    const decoder = await decoderOf(config, weights, { bits });
    const [row] = await generate(decoder, [prompt], { steps: 40 });
    const logits = referenceLogits(config, Float64Array.from(weights), [...prompt, ...row!.map(({ id }) => id)]);
    const gaps = row!.map(({ id, logprob }, n) => Math.abs(logprob - logSoftmax(logits[prompt.length - 1 + n]!)[id]!));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    expect(mean).toBeLessThan(limit);
    // Were the weights not quantised at all, the test above would pass as well.
    expect(mean).toBeGreaterThan(1e-4);
  });

  it('takes changed weights, wherever they are, and keeps what did not change', async () => {
    const weights = randomWeights(grouped, [1, 2]);
    const decoder = await decoderOf(grouped, weights);
    const prompt = someIds(new Random([3, 4]), 9, grouped.vocabulary);
    const before = await generate(decoder, [prompt], {});
    for (const { name, offset } of layoutOf(grouped).entries) {
      const changed = weights.slice();
      // The embedding of a token that the prompt holds.
      const at = offset + (name.startsWith('model.embed') ? prompt[0]! * grouped.hidden : 0);
      changed[at]! += 0.5;
      await decoder.load(changed);
      const fresh = await decoderOf(grouped, changed);
      const after = await generate(decoder, [prompt], {});
      expect(after, name).toEqual(await generate(fresh, [prompt], {}));
      // A bias of k adds the same to every score of a query: softmax does not see it.
      if (!name.endsWith('k_proj.bias')) expect(after, name).not.toEqual(before);
      await decoder.load(weights);
    }
    expect(await generate(decoder, [prompt], {})).toEqual(before);
  });

  it('draws for those that are read to their end, beside others that are not', async () => {
    const decoder = await decoderOf(grouped, randomWeights(grouped, [1, 2]));
    const random = new Random([1, 1]);
    const prompts = [130, 70, 64, 3, 1].map((length) => someIds(random, length + 1, grouped.vocabulary));
    const apart = await generate(decoder, prompts, { steps: 1 });
    const rule = (prompt: readonly number[]) => ({
      temperature: 1,
      uniform: uniformAt([prompt.length, prompt[0]!], 0),
    });
    const rows = prompts.map(emptyRow);
    // Whole prompts at once, but for the second: its end comes in another run.
    const first = await decoder.read(
      prompts.map((ids, n) =>
        n === 1 ? { row: rows[n]!, ids: ids.slice(0, 30) } : { row: rows[n]!, ids, rule: rule(ids) },
      ),
    );
    const [second] = await decoder.read([{ row: rows[1]!, ids: prompts[1]!.slice(30), rule: rule(prompts[1]!) }]);
    expect(first[1]).toBeUndefined();
    expect(first.with(1, second)).toEqual(apart.map(([draw]) => draw));
  });

  it.each([1, 15, 16, 20, 38])(
    'goes on from a fork of the first %i positions, and the source as before',
    async (length) => {
      const decoder = await decoderOf(grouped, randomWeights(grouped, [1, 2]));
      const { cache } = decoder;
      const prompt = someIds(new Random([2, 2]), 40, grouped.vocabulary);
      const rule = { temperature: 1, uniform: 0.4 };
      const source = emptyRow();
      await decoder.read([{ row: source, ids: prompt.slice(0, 39) }]);
      const [fork, other] = [cache.fork(source, length), cache.fork(source, length)];
      // Another sequence writes behind the same prefix.
      await decoder.read([{ row: other, ids: [1, 2, 3, 4, 5, 6, 7] }]);
      const [own, forked] = await decoder.read([
        { row: source, ids: prompt.slice(39), rule },
        { row: fork, ids: prompt.slice(length), rule },
      ]);
      expect(forked).toEqual(own);
      // Who lives longest does not matter.
      cache.release(source);
      cache.release(other);
      await decoder.read([{ row: emptyRow(), ids: prompt.toReversed() }]);
      const whole = await decoder.read([{ row: fork, ids: [7], rule }]);
      const fresh = await decoder.read([{ row: emptyRow(), ids: [...prompt, 7], rule }]);
      expect(whole).toEqual(fresh);
    },
  );

  it('draws as often as the probabilities say', async () => {
    const config = { ...grouped, vocabulary: 11, layers: 1 };
    const weights = randomWeights(config, [4, 4]);
    const decoder = await decoderOf(config, weights);
    const temperature = 0.7;
    const rows = 500;
    const rounds = 10;
    const counts = new Float64Array(config.vocabulary);
    for (let round = 0; round < rounds; round++) {
      const readings = Array.from({ length: rows }, (_, row) => ({
        row: emptyRow(),
        ids: [5],
        rule: { temperature, uniform: uniformAt([6, 6], round * rows + row) },
      }));
      for (const draw of await decoder.read(readings)) counts[draw!.id]! += 1;
      for (const { row } of readings) decoder.cache.release(row);
    }
    const expected = logSoftmax(referenceLogits(config, Float64Array.from(weights), [5])[0]!, temperature);
    // Pearson's statistic with 10 degrees of freedom is below 29.6 with probability 0.999; the draws are fixed.
    const statistic = counts.reduce((sum, count, id) => {
      const mean = rows * rounds * Math.exp(expected[id]!);
      return sum + (count - mean) ** 2 / mean;
    }, 0);
    expect(statistic).toBeLessThan(29.6);
    expect(statistic).toBeGreaterThan(0);
  });

  it('draws the first and the last possible token at the ends of the unit interval', async () => {
    // All logits are equal when the embedding is zero: token v owns [v / V, (v + 1) / V).
    const config = { ...grouped, vocabulary: 8 };
    const weights = randomWeights(config, [4, 4]);
    weights.fill(0, 0, layoutOf(config).byName.get('model.embed_tokens.weight')!.size);
    const decoder = await decoderOf(config, weights);
    const uniforms = [0, 0.1249, 0.1251, 0.5001, 0.8751, 1 - 2 ** -32];
    const draws = await decoder.read(
      uniforms.map((uniform) => ({ row: emptyRow(), ids: [1], rule: { temperature: 1, uniform } })),
    );
    expect(draws.map((draw) => draw!.id)).toEqual([0, 0, 1, 4, 7, 7]);
    for (const draw of draws) expect(draw!.logprob).toBeCloseTo(-Math.log(8), 6);
  });
});
