import { mkdtemp, open, readdir, readFile, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { fromHalf, toHalf } from '../../base/half-floats.ts';
import { Random, streamKey } from '../../base/random.ts';
import { openFlatIndex } from './flat-index.ts';
import { FlatSearch, type Neighbour } from './flat-search.ts';
import { emptyLayout, VectorFile, type VectorLayout, type VectorType, VectorWriter } from './vector-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vectors-'));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function written(rows: Float32Array, dimension: number, type: VectorType, blockRows: number) {
  const file = path.join(folder, `${++files}.vectors`);
  const writer = await VectorWriter.open(file, { ...emptyLayout(dimension, type), blockRows });
  try {
    await writer.append(rows);
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return { file, layout: await writer.finish() };
}

/** Whether this process has it open; nothing is known of that but on Linux. */
async function isOpen(file: string): Promise<boolean> {
  const handles = process.platform === 'linux' ? await readdir('/proc/self/fd') : [];
  const files = await Promise.all(handles.map((handle) => readlink(`/proc/self/fd/${handle}`).catch(() => '')));
  return files.includes(file);
}

async function search(file: string, layout: VectorLayout, queries: Float32Array, k: number, memory = 1e9) {
  const flat = await FlatSearch.open(new VectorFile(file, layout, memory), 1);
  try {
    return await flat.search(queries, k);
  } finally {
    await flat.close();
  }
}

/** The definition: all products in double precision, sorted. */
function plainSearch(rows: Float32Array, dimension: number, queries: Float32Array, k: number): Neighbour[][] {
  const at = (data: Float32Array, i: number) => data.subarray(i * dimension, (i + 1) * dimension);
  return Array.from({ length: queries.length / dimension }, (_, q) =>
    Array.from({ length: rows.length / dimension }, (_, position) => {
      let score = 0;
      for (let j = 0; j < dimension; j++) score += at(queries, q)[j]! * at(rows, position)[j]!;
      return { position, score };
    })
      .sort((a, b) => b.score - a.score || a.position - b.position)
      .slice(0, k),
  );
}

function normals(seed: number, length: number): Float32Array {
  const random = new Random(streamKey('normals', seed));
  return Float32Array.from({ length }, () => random.normal());
}

describe('against a plain double loop', () => {
  // Few distinct values, so that many scores tie; and values a rounding apart, so that float32 alone would misorder.
  const value = fc.oneof(
    fc.constantFrom(0, 1, -1, 0.5),
    fc.integer({ min: -8, max: 8 }).map((n) => 1 + n * 2 ** -23),
    fc.float({ min: -2, max: 2, noNaN: true }),
  );
  const cases = fc.integer({ min: 1, max: 9 }).chain((dimension) =>
    fc.record({
      dimension: fc.constant(dimension),
      rows: fc.array(fc.array(value, { minLength: dimension, maxLength: dimension }), { minLength: 1, maxLength: 40 }),
      queries: fc.array(fc.array(value, { minLength: dimension, maxLength: dimension }), { maxLength: 4 }),
      k: fc.integer({ min: 1, max: 12 }),
      blockRows: fc.integer({ min: 1, max: 16 }),
      keptBytes: fc.constantFrom(0, 200, 1e6),
    }),
  );

  test.each(['float32', 'float16'] as const)('%s: the same rows, order and scores', async (type) => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ dimension, rows, queries, k, blockRows, keptBytes }) => {
        const data = Float32Array.from(rows.flat());
        const asked = Float32Array.from(queries.flat());
        const { file, layout } = await written(data, dimension, type, blockRows);
        const stored = type === 'float32' ? data : data.map((x) => fromHalf(toHalf(x)));
        expect(await search(file, layout, asked, k, keptBytes)).toEqual(plainSearch(stored, dimension, asked, k));
      }),
      { numRuns: 100 },
    );
  });

  test('more candidates than are kept without thinning, and rows that all tie', async () => {
    const dimension = 4;
    for (const rows of [normals(1, 3000 * dimension), new Float32Array(3000 * dimension).fill(0.25)]) {
      const queries = normals(2, 3 * dimension);
      const { file, layout } = await written(rows, dimension, 'float32', 700);
      expect(await search(file, layout, queries, 5)).toEqual(plainSearch(rows, dimension, queries, 5));
    }
  });

  test('a query gets the same scores alone and in a batch longer than one product', async () => {
    const dimension = 64;
    const { file, layout } = await written(normals(3, 500 * dimension), dimension, 'float32', 200);
    const queries = normals(4, 300 * dimension);
    const together = await search(file, layout, queries, 3);
    expect(together).toHaveLength(300);
    for (const i of [0, 255, 256, 299])
      expect(await search(file, layout, queries.slice(i * dimension, (i + 1) * dimension), 3)).toEqual([together[i]]);
  });
});

describe('the file', () => {
  const dimension = 3;

  test('is the rows in little-endian float32, nothing else', async () => {
    const { file } = await written(Float32Array.of(1, -2, 0.5), dimension, 'float32', 2);
    expect((await readFile(file)).toString('hex')).toBe('0000803f000000c00000003f');
  });

  test('goes on where it was saved after an interruption, to the same bytes', async () => {
    const rows = normals(5, 10 * dimension);
    const whole = await written(rows, dimension, 'float16', 4);
    const file = path.join(folder, 'interrupted');
    const writer = await VectorWriter.open(file, { ...emptyLayout(dimension, 'float16'), blockRows: 4 });
    await writer.append(rows.subarray(0, 6 * dimension));
    const layout = await writer.save();
    await writer.append(rows.subarray(6 * dimension, 9 * dimension));
    await writer.abandon();
    expect(layout.count).toBe(6);
    // What a crash may leave behind the saved rows.
    const handle = await open(file, 'a');
    await handle.write('rubbish');
    await handle.close();
    const again = await VectorWriter.open(file, layout);
    expect(again.count).toBe(6);
    await again.append(rows.subarray(6 * dimension));
    expect(await again.finish()).toEqual(whole.layout);
    expect(await readFile(file)).toEqual(await readFile(whole.file));
  });

  test('does not go on behind rows that are not there, or damaged', async () => {
    const { file, layout } = await written(normals(5, 6 * dimension), dimension, 'float32', 4);
    const bytes = await readFile(file);
    await writeFile(
      file,
      bytes.map((byte, i) => (i === 60 ? byte ^ 1 : byte)),
    );
    await expect(VectorWriter.open(file, layout)).rejects.toThrow('checksum of the vectors from 4 on');
    await truncate(file, 50);
    await expect(VectorWriter.open(file, layout)).rejects.toThrow('it ends before vector 6');
    expect(await isOpen(file)).toBe(false);
  });

  test.each([
    ['float32', Number.NaN],
    ['float32', Number.POSITIVE_INFINITY],
    ['float32', 1e20],
    ['float16', 70_000],
  ] as const)('%s: a row with %s is refused by its number', async (type, value) => {
    const rows = new Float32Array(6);
    rows[4] = value;
    await expect(written(rows, dimension, type, 8)).rejects.toThrow(/vector 1 has the norm/);
  });

  test('cut short, or of another size: refused before anything is searched', async () => {
    const { file, layout } = await written(normals(6, 30), dimension, 'float32', 4);
    await truncate(file, 119);
    await expect(openFlatIndex(file, layout)).rejects.toThrow('damaged: it has 119 bytes, its manifest says 120');
    await expect(openFlatIndex(`${file}.not`, layout)).rejects.toThrow('no such file');
  });

  test('any flipped bit is found when its block is read', async () => {
    const { file, layout } = await written(normals(7, 30), dimension, 'float32', 4);
    const bytes = await readFile(file);
    for (const at of [0, 60, 119]) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 16;
      await writeFile(file, flipped);
      const failure = await search(file, layout, new Float32Array(3), 1).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as UserError).message).toContain(`checksum of block ${Math.floor(at / 48)}`);
    }
  });
});

describe('in its thread', () => {
  test('gives what the search itself gives; errors and aborts cross over; it can be closed', async () => {
    const dimension = 8;
    const { file, layout } = await written(normals(8, 100 * dimension), dimension, 'float32', 32);
    const index = await openFlatIndex(file, layout, { threads: 1 });
    const queries = normals(9, 5 * dimension);
    expect(await index.search(queries, 4)).toEqual(await search(file, layout, queries, 4));
    await expect(index.search(queries.subarray(1), 4)).rejects.toThrow('no whole number of vectors');
    await expect(
      index.search(
        queries.map(() => Number.NaN),
        4,
      ),
    ).rejects.toThrow('must be finite');
    await expect(index.search(queries, 4, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    const abort = new AbortController();
    const search2 = index.search(queries, 4, abort.signal);
    abort.abort(new Error('enough'));
    await expect(search2).rejects.toThrow('enough');
    expect(await index.search(queries, 1)).toHaveLength(5);
    await index.close();
    await expect(index.search(queries, 4)).rejects.toThrow('the vector index is closed');
  });
});
