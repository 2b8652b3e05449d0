/** Sampling on the GPU against sampling on the processor, which is held against float64 elsewhere. */
import { afterAll, expect, it } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { askAdapter } from '../../../onnx/adapter.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { DeviceTrainer } from '../training/device-trainer.ts';
import { randomWeights } from '../training/reference.testing.ts';
import { Decoder } from './decoder.ts';
import { DeviceDecoder } from './device-decoder.ts';
import type { CachedRow } from './pages.ts';

const config: ModelConfig = {
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
const weights = randomWeights(config, streamKey('webgpu'));
const trainer = await DeviceTrainer.open(config, weights);
const [device, host] = [new DeviceDecoder(config), new Decoder(config, { threads: 1 })];
await device.load(trainer.effectiveWeights());
await host.load(weights);
afterAll(async () => {
  await device.close();
  await host.close();
  await trainer.close();
});

const random = new Random(streamKey('webgpu', 'ids'));
const someIds = (length: number) => Array.from({ length }, () => random.below(config.vocabulary));
const empty = (): CachedRow => ({ pages: [], length: 0 });

/** Reads the same into both and compares what is drawn. */
async function expectSame(
  pairs: readonly { there: CachedRow; here: CachedRow; ids: readonly number[] }[],
  step: number,
): Promise<number[]> {
  const ruleOf = (n: number) => ({ temperature: 0.8, uniform: ((n + 1) * 0.37 + step * 0.11) % 1 });
  const got = await device.read(pairs.map(({ there, ids }, n) => ({ row: there, ids: [...ids], rule: ruleOf(n) })));
  const wanted = await host.read(pairs.map(({ here, ids }, n) => ({ row: here, ids: [...ids], rule: ruleOf(n) })));
  for (const [n, draw] of wanted.entries()) {
    expect(got[n]!.id).toBe(draw!.id);
    expect(Math.abs(got[n]!.logprob - draw!.logprob)).toBeLessThan(1e-4);
  }
  return wanted.map((draw) => draw!.id);
}

it('rows of any lengths, read together, draw what they draw on the processor', async () => {
  const rows = [3, 40, 7, 17, 1].map((length) => ({ there: empty(), here: empty(), ids: someIds(length) }));
  let next = await expectSame(rows, 0);
  for (let step = 1; step < 20; step++)
    next = await expectSame(
      rows.map((row, n) => ({ ...row, ids: [next[n]!] })),
      step,
    );

  // A row that begins like another shares its whole pages.
  const [, long] = rows;
  const fork = device.cache.fork(long!.there, 37);
  expect(fork.length).toBe(32);
  const ids = [...long!.ids.slice(0, 37), ...someIds(3)];
  const alike = [
    { there: fork, here: host.cache.fork(long!.here, 32), ids: ids.slice(32) },
    { there: empty(), here: empty(), ids },
  ];
  const [forked, whole] = await expectSame(alike, 0).then(() => alike.map(({ there }) => there.length));
  expect(forked).toBe(whole);

  // The cache grows, and what it held is still there.
  const crowd = Array.from({ length: 40 }, () => ({ there: empty(), ids: someIds(25) }));
  for (let round = 0; round < 5; round++) await device.read(crowd.map(({ there, ids }) => ({ row: there, ids })));
  await expectSame(
    rows.map((row, n) => ({ ...row, ids: [next[n]!] })),
    20,
  );
  for (const { there } of [...crowd, ...rows]) device.cache.release(there);
});

const { name, float16 } = await askAdapter([2 ** 20]);
it.skipIf(!float16)(
  `with weights of 16 bits (${name} has ${float16 ? '' : 'no '}16-bit floats) nearly the same is drawn`,
  async () => {
    const narrow = new DeviceDecoder(config, 16);
    // Twice: the matrices of the first load are given up by the second.
    for (let load = 0; load < 2; load++) await narrow.load(trainer.effectiveWeights());
    const [there, here] = [empty(), empty()];
    const ids = someIds(40);
    let same = 0;
    for (let at = 20; at < 40; at++) {
      const unread = ids.slice(there.length, at);
      const rule = { temperature: 1, uniform: (at * 0.37) % 1 };
      const [got] = await narrow.read([{ row: there, ids: unread, rule }]);
      const [wanted] = await host.read([{ row: here, ids: unread, rule }]);
      if (got!.id !== wanted!.id) continue;
      same += 1;
      // 16 bits have 11 of mantissa: 5e-4 a product, added up over two layers of seven and the head.
      expect(Math.abs(got!.logprob - wanted!.logprob)).toBeLessThan(0.02);
      expect(got!.logprob).not.toBe(wanted!.logprob);
    }
    expect(same).toBeGreaterThan(15);
    await narrow.close();
  },
);
