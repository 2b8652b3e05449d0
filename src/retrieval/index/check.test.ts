/** Indexes of others: every file changed, and the manifest made to fit it. */
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { DiskBm25 } from '../disk-bm25.ts';
import { buildIndex } from './build.ts';
import { FILES, type Manifest, readManifest, writeManifest } from './manifest.ts';

let folder: string;
let whole: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'check-'));
  const corpus = path.join(folder, 'corpus.jsonl');
  const texts = Array.from({ length: 12 }, (_, i) => `${'often '.repeat(i === 5 ? 300 : i + 1)} word${i % 4} oslo`);
  await writeFile(corpus, texts.map((text, i) => `${JSON.stringify({ id: `p${i}`, text })}\n`).join(''));
  whole = path.join(folder, 'whole');
  const settings = { analyzer: 'english', k1: 0.9, b: 0.4, length: 'lucene', memory: 2e9, workers: 1 } as const;
  await buildIndex({ corpus: [corpus], out: whole, ...settings });
});
afterAll(() => rm(folder, { recursive: true }));

/** A copy with one file changed, its sum and the fingerprint those of the new bytes; `contents` over the manifest's. */
async function resealed(
  name: (typeof FILES)[keyof typeof FILES],
  change: (bytes: Buffer) => Buffer,
  contents: Partial<Manifest> = {},
): Promise<string> {
  const at = path.join(folder, `copy${++made}`);
  await cp(whole, at, { recursive: true });
  const bytes = change(await readFile(path.join(at, name)));
  await writeFile(path.join(at, name), bytes);
  const { fingerprint: _, ...before } = await readManifest(at);
  const files = { ...before.files, [name]: { bytes: bytes.length, crc32: crc32(bytes) } };
  await writeManifest(at, { ...before, files, ...contents });
  return at;
}

const same = (bytes: Buffer) => bytes;
const u32 = (index: number, value: number) => (bytes: Buffer) => {
  bytes.writeUInt32LE(value, 4 * index);
  return bytes;
};

test('a copy with nothing changed is opened', async () => {
  const index = await DiskBm25.open(await resealed(FILES.positions, same));
  expect((await index.search(['oslo'], 12))[0]).toHaveLength(12);
  await index.close();
});

describe('refused, by file', () => {
  test.each<[string, (typeof FILES)[keyof typeof FILES], (bytes: Buffer) => Buffer, Partial<Manifest>, RegExp]>([
    ['an odd size', FILES.positions, (bytes) => bytes.subarray(0, -1), {}, /positions\.u32: damaged, \d+ bytes where/],
    ['a dictionary without an empty slot', FILES.termSlots, (bytes) => bytes.fill(1), {}, /term-slots\.u32: damaged/],
    ['a slot of no term', FILES.termSlots, u32(0, 4_000_000_000), {}, /term-slots\.u32: damaged/],
    ['2⁵³ passages', FILES.lengths, same, { passages: Number.MAX_SAFE_INTEGER }, /passage-ends\.f64: damaged/],
    ['2⁵³ terms', FILES.lengths, same, { terms: Number.MAX_SAFE_INTEGER }, /manifest\.json: damaged/],
    ['starts beyond the postings', FILES.postingStarts, u32(1, 4_000_000_000), {}, /posting-starts\.u32: damaged/],
    ['ends beyond the terms', FILES.termEnds, u32(0, 4_000_000_000), {}, /term-ends\.u32: damaged/],
    ['a passage that is not there', FILES.positions, u32(0, 4_000_000_000), {}, /positions\.u32: damaged/],
    ['a frequency of nothing', FILES.frequencies, (bytes) => bytes.fill(0, 0, 1), {}, /frequencies\.u8: damaged/],
    [
      'a large frequency that is not listed',
      FILES.frequencies,
      (bytes) => bytes.fill(255),
      {},
      /frequencies\.u8: damaged/,
    ],
    ['a large frequency that is small', FILES.largeValues, u32(0, 3), {}, /large-frequencies\.u32: damaged/],
    ['other lengths', FILES.lengths, u32(0, 77), {}, /lengths\.u32: damaged, \d+ terms in all/],
    ['a length beyond 31 bits', FILES.lengths, u32(0, 4_000_000_000), {}, /lengths\.u32: damaged, a passage of/],
    ['bounds of other blocks', FILES.blockMaxima, (bytes) => bytes.subarray(4), {}, /block-maxima\.f32: damaged/],
    [
      'lines that end elsewhere',
      FILES.passageEnds,
      (bytes) => {
        bytes.writeDoubleLE(Number.NaN, 8);
        return bytes;
      },
      {},
      /passages\.jsonl: damaged, its \d+ bytes are not shared out/,
    ],
  ])('%s', async (_name, file, change, contents, message) => {
    const opening = DiskBm25.open(await resealed(file, change, contents));
    await expect(opening).rejects.toThrow(UserError);
    await expect(opening).rejects.toThrow(message);
  });

  test('a file that is a terabyte of nothing, before any of it is asked for', async () => {
    const at = await resealed(FILES.positions, same);
    await truncate(path.join(at, FILES.positions), 2 ** 40);
    const { fingerprint: _, ...before } = await readManifest(at);
    const files = { ...before.files, [FILES.positions]: { bytes: 2 ** 40, crc32: 0 } };
    await writeManifest(at, { ...before, files });
    await expect(DiskBm25.open(at)).rejects.toThrow(/positions\.u32: damaged, 1099511627776 bytes where/);
    await writeManifest(at, { ...before, files, postings: 2 ** 38 });
    await expect(DiskBm25.open(at)).rejects.toThrow(/manifest\.json: damaged/);
  });

  test('a line that is no passage, when it is read', async () => {
    const at = await resealed(FILES.passages, (bytes) =>
      Buffer.from(bytes.toString().replace('["p0","",', '["p0",[],')),
    );
    const sums = await readFile(path.join(at, FILES.passageSums));
    const lines = await readFile(path.join(at, FILES.passages));
    sums.writeUInt32LE(crc32(lines.subarray(0, lines.indexOf('\n') + 1)), 0);
    await writeFile(path.join(at, FILES.passageSums), sums);
    const { fingerprint: _, ...before } = await readManifest(at);
    const sum = { bytes: sums.length, crc32: crc32(sums) };
    await writeManifest(at, { ...before, files: { ...before.files, [FILES.passageSums]: sum } });
    const index = await DiskBm25.open(at);
    await expect(index.search(['oslo'], 12)).rejects.toThrow('passages.jsonl:1: damaged, no passage of an index');
    await index.close();
  });
});

test('whatever bytes are changed, an index is refused, or searched to an end', async () => {
  const names = Object.values(FILES).filter((name) => name !== FILES.passages);
  const bytes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), bytes, async (name, changes) => {
      const at = await resealed(name, (before) => {
        for (const [place, value] of changes) if (before.length > 0) before[place % before.length] = value;
        return before;
      });
      const outcome = await DiskBm25.open(at, { workers: 0 }).then(
        async (index) => {
          const [hits] = await index.search(['often oslo word1'], 5).catch((error: unknown) => {
            if (error instanceof UserError) return [[]];
            throw error;
          });
          await index.close();
          return (hits ?? []).length <= 5;
        },
        (error: unknown) => error instanceof UserError,
      );
      expect(outcome).toBe(true);
    }),
    { numRuns: 60 },
  );
});
