import { existsSync } from 'node:fs';
import { appendFile, cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random, streamKey } from '../../base/random.ts';
import { corpusHash } from '../corpus.ts';
import type { Passage } from '../retriever.ts';
import { buildDenseIndex, type DenseBuild } from './build.ts';
import { DenseRetriever } from './dense-retriever.ts';
import type { Embedder } from './embedder.ts';
import { openLocalEmbedder } from './encoder/local-embedder.ts';
import { openFaissFlat } from './faiss.ts';
import { DIMENSION, plainIds, plainVector, writeTinyEncoder } from './testing/tiny-encoder.ts';

let folder: string;
let model: string;
let embedder: Embedder;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dense-'));
  model = await writeTinyEncoder(path.join(folder, 'model'));
  embedder = await openLocalEmbedder(model, { threads: 1 });
});
afterAll(async () => {
  await embedder.close();
  await rm(folder, { recursive: true });
});

const words = ['oslo', 'fjord', 'paris', 'seine', 'the', 'query', 'elsewhere'];
const random = new Random(streamKey('passages'));
const some = (n: number) => Array.from({ length: n }, () => random.choice(words)).join(' ');
const PASSAGES: Passage[] = Array.from({ length: 30 }, (_, i) => ({
  id: `p${i}`,
  title: i % 3 === 0 ? '' : some(2),
  text: some(1 + (i % 9)),
}));

async function* stream(passages: readonly Passage[]): AsyncGenerator<Passage> {
  yield* passages;
}

let built = 0;
async function build(changes: Partial<DenseBuild> = {}): Promise<string> {
  const at = changes.folder ?? path.join(folder, `index-${++built}`);
  const defaults = { folder: at, corpus: stream(PASSAGES), embedder, type: 'float32', store: 'flat' } as const;
  await buildDenseIndex({ ...defaults, ...changes });
  return at;
}

/** Ids from best to worst, by the plain encoder in double precision. */
function plainRanking(query: string): { id: string; score: number }[] {
  const asked = plainVector(plainIds(`query: ${query}`));
  return PASSAGES.map(({ id, title, text }) => {
    const vector = plainVector(plainIds(`passage: ${title === '' ? text : `"${title}"\n${text}`}`));
    return { id, score: vector.reduce((sum, value, j) => sum + value * asked[j]!, 0) };
  }).sort((a, b) => b.score - a.score);
}

describe('from corpus to hits', () => {
  const queries = ['oslo', 'the seine of paris', 'fjord fjord'];

  test.each(['float32', 'float16'] as const)('%s: ranked as the plain encoder ranks', async (type) => {
    const retriever = await DenseRetriever.open(await build({ type }), { threads: 1 });
    const hits = await retriever.search(queries, 4);
    for (const [i, query] of queries.entries()) {
      const expected = plainRanking(query);
      expect(hits[i]).toHaveLength(4);
      for (const [rank, { passage, score }] of hits[i]!.entries()) {
        // Near-ties may change places; every score must be the passage's own, and the rank's.
        const own = expected.find(({ id }) => id === passage.id)!;
        expect(Math.abs(score - own.score)).toBeLessThan(type === 'float32' ? 1e-5 : 1e-3);
        expect(Math.abs(score - expected[rank]!.score)).toBeLessThan(type === 'float32' ? 2e-5 : 2e-3);
        expect(passage).toEqual(PASSAGES.find(({ id }) => id === passage.id));
      }
    }
    await retriever.close();
  });

  test('info, edges', async () => {
    const retriever = await DenseRetriever.open(await build(), { threads: 1 });
    expect(retriever.info).toEqual({
      kind: 'dense',
      passages: 30,
      corpusHash: corpusHash(PASSAGES),
      settings: {
        embedder: model,
        embedderHash: embedder.info.hash,
        dimension: DIMENSION,
        vectors: 'flat float32',
      },
    });
    expect(await retriever.search([], 3)).toEqual([]);
    expect((await retriever.search(['oslo'], 100))[0]).toHaveLength(30);
    await expect(retriever.search(['oslo'], 0)).rejects.toThrow('k must be');
    await expect(retriever.search(['oslo'], 1, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    const many = Array.from({ length: 40 }, (_, i) => queries[i % 3]!);
    const together = await retriever.search(many, 2);
    expect(together[39]).toEqual((await retriever.search([many[39]!], 2))[0]);
    await retriever.close();
  });
});

describe('an interrupted build', () => {
  const wide = 100;
  const corpus = PASSAGES.slice(0, 25);
  /** Made-up vectors; counts what it embeds. */
  function wideEmbedder(failAt = Number.POSITIVE_INFINITY) {
    const seen: string[] = [];
    const fake: Embedder = {
      info: { name: 'wide', dimension: wide, hash: 'h', prefixes: { query: '', passage: '' } },
      async embed(texts) {
        if (seen.length >= failAt) throw new Error('cut off');
        seen.push(...texts);
        const rows = new Float32Array(texts.length * wide);
        for (const [i, text] of texts.entries()) rows[i * wide + text.length] = 1;
        return rows;
      },
      close: async () => {},
    };
    return { fake, seen };
  }
  const longCorpus = Array.from({ length: 300 }, (_, i) => ({ ...corpus[i % 25]!, id: `q${i}` }));

  test('goes on where it was, to the same files', async () => {
    const whole = await build({ corpus: stream(longCorpus), embedder: wideEmbedder().fake, type: 'float16' });
    const at = path.join(folder, 'interrupted');
    const first = wideEmbedder(256);
    const begun = { folder: at, type: 'float16' } as const;
    await expect(build({ ...begun, corpus: stream(longCorpus), embedder: first.fake })).rejects.toThrow('cut off');
    expect(first.seen).toHaveLength(256);
    expect(existsSync(path.join(at, 'manifest.json'))).toBe(false);
    await appendFile(path.join(at, 'vectors.bin'), 'rubbish');

    const second = wideEmbedder();
    await build({ ...begun, corpus: stream(longCorpus), embedder: second.fake });
    expect(second.seen).toHaveLength(44);
    expect((await readdir(at)).sort()).toEqual([
      'manifest.json',
      'passage-crcs.u32',
      'passage-ends.f64',
      'passages.jsonl',
      'vectors.bin',
    ]);
    for (const file of await readdir(at))
      expect((await readFile(path.join(at, file))).equals(await readFile(path.join(whole, file)))).toBe(true);
  });

  test('is not continued with another corpus, model or type', async () => {
    const at = path.join(folder, 'begun');
    const begin = { folder: at, type: 'float16', embedder: wideEmbedder(256).fake } as const;
    await expect(build({ ...begin, corpus: stream(longCorpus) })).rejects.toThrow('cut off');
    const good = { ...begin, embedder: wideEmbedder().fake };
    await expect(build({ ...good, corpus: stream(longCorpus.slice(1)) })).rejects.toThrow('another corpus');
    await expect(build({ ...good, corpus: stream(longCorpus), type: 'float32' })).rejects.toThrow('float16');
    const other = { ...good.embedder, info: { ...good.embedder.info, hash: 'other' } };
    await expect(build({ ...good, corpus: stream(longCorpus), embedder: other })).rejects.toThrow('another model');
    await build({ ...good, corpus: stream(longCorpus) });
    await expect(build({ ...good, corpus: stream(longCorpus) })).rejects.toThrow('holds a finished index');
  });

  test('stops when it is told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(build({ signal })).rejects.toThrow('enough');
  });
});

describe('FAISS files', () => {
  /** As faiss.write_index writes an IndexFlatIP. */
  function faissFile(vectors: Float32Array, dimension: number, code = 'IxFI', metric = 0): Buffer {
    const header = Buffer.alloc(45);
    header.write(code, 'latin1');
    header.writeInt32LE(dimension, 4);
    header.writeBigInt64LE(BigInt(vectors.length / dimension), 8);
    header.writeBigInt64LE(1n << 20n, 16);
    header.writeBigInt64LE(1n << 20n, 24);
    header.writeUInt8(1, 32);
    header.writeInt32LE(metric, 33);
    header.writeBigUInt64LE(BigInt(vectors.length), 37);
    return Buffer.concat([header, Buffer.from(vectors.buffer)]);
  }
  const vectors = Float32Array.from({ length: 30 * DIMENSION }, () => random.normal());
  const file = () => path.join(folder, `faiss-${++built}.index`);

  test('are read as they are, over the borders of what is read at once', async () => {
    const many = Float32Array.from({ length: 500_000 }, (_, i) => i);
    const name = file();
    await writeFile(name, faissFile(many, 10));
    const flat = await openFaissFlat(name);
    expect(flat).toMatchObject({ dimension: 10, count: 50_000 });
    let next = 0;
    for await (const rows of flat.rows()) for (const value of rows) if (value !== next++) expect.fail(`at ${next}`);
    expect(next).toBe(500_000);
  });

  test('become an index without the model being asked for passages', async () => {
    const name = file();
    await writeFile(name, faissFile(vectors, DIMENSION));
    const at = await build({ faiss: await openFaissFlat(name) });
    expect(await readFile(path.join(at, 'vectors.bin'))).toEqual(Buffer.from(vectors.buffer));
    const retriever = await DenseRetriever.open(at, { threads: 1 });
    const [query] = [await embedder.embed(['oslo'], 'query')];
    const [hits] = await retriever.search(['oslo'], 1);
    const scores = PASSAGES.map((_, i) =>
      query.reduce((sum, value, j) => sum + value * vectors[i * DIMENSION + j]!, 0),
    );
    expect(hits![0]!.score).toBe(Math.max(...scores));
    await retriever.close();
  });

  test('that do not fit corpus or model', async () => {
    const [few, wide] = [file(), file()];
    await writeFile(few, faissFile(vectors.slice(DIMENSION), DIMENSION));
    await writeFile(wide, faissFile(vectors, 2 * DIMENSION));
    await expect(openFaissFlat(few).then((faiss) => build({ faiss }))).rejects.toThrow('29 vectors for 30 passages');
    await expect(openFaissFlat(wide).then((faiss) => build({ faiss }))).rejects.toThrow(
      `dimension ${2 * DIMENSION}, the model's have ${DIMENSION}`,
    );
  });

  test.each<[string, Buffer, RegExp]>([
    ['Euclidean', faissFile(vectors, 12, 'IxF2', 1), /holds IndexFlatL2/],
    ['HNSW', faissFile(vectors, 12, 'IHNf'), /holds an HNSW graph/],
    ['IVF', faissFile(vectors, 12, 'IwFl'), /holds an inverted-file \(IVF\) index/],
    ['product quantiser', faissFile(vectors, 12, 'IxPQ'), /product-quantised/],
    ['another metric', faissFile(vectors, 12, 'IxFI', 1), /metric is number 1/],
    ['something else', Buffer.from('PK\u0003\u0004 zip'), /no FAISS index/],
    ['empty', Buffer.alloc(0), /no FAISS index/],
    ['cut within the header', faissFile(vectors, 12).subarray(0, 44), /cut short within its header/],
    ['cut short', faissFile(vectors, 12).subarray(0, 100), /has 100 bytes, its header promises 1965/],
    ['another number of numbers', Buffer.concat([faissFile(vectors, 12).subarray(0, 37), Buffer.alloc(8)]), /damaged/],
  ])('%s: refused by name', async (_name, bytes, message) => {
    const name = file();
    await writeFile(name, bytes);
    await expect(openFaissFlat(name)).rejects.toThrow(message);
  });
});

describe('damage', () => {
  let whole: string;
  beforeAll(async () => {
    whole = await build();
  });
  test.each<[string, (at: string) => Promise<unknown>, RegExp]>([
    ['no manifest', (at) => rm(path.join(at, 'manifest.json')), /manifest\.json: no such file/],
    ['a foreign manifest', (at) => writeFile(path.join(at, 'manifest.json'), '{"kind": "x"}'), /of another version/],
    ['passages cut short', (at) => truncate(path.join(at, 'passages.jsonl'), 99), /passages\.jsonl/],
    ['a table cut short', (at) => truncate(path.join(at, 'passage-ends.f64'), 99), /passage-ends\.f64/],
    ['vectors cut short', (at) => truncate(path.join(at, 'vectors.bin'), 99), /vectors\.bin: damaged/],
    ['no vectors', (at) => rm(path.join(at, 'vectors.bin')), /vectors\.bin: no such file/],
  ])('%s', async (name, harm, message) => {
    const at = path.join(folder, name.replaceAll(' ', '-'));
    await cp(whole, at, { recursive: true });
    await harm(at);
    await expect(DenseRetriever.open(at, { threads: 1 })).rejects.toThrow(message);
  });

  test('a flipped bit in vectors is found by the search', async () => {
    const at = path.join(folder, 'flipped');
    await cp(whole, at, { recursive: true });
    const bytes = await readFile(path.join(at, 'vectors.bin'));
    bytes[77]! ^= 1;
    await writeFile(path.join(at, 'vectors.bin'), bytes);
    const retriever = await DenseRetriever.open(at, { threads: 1 });
    await expect(retriever.search(['oslo'], 1)).rejects.toThrow('checksum of block 0');
    await retriever.close();
  });

  test('a model that moved is named; another model is refused', async () => {
    const moved = path.join(folder, 'moved-model');
    await rename(model, moved);
    try {
      await expect(DenseRetriever.open(whole, { threads: 1 })).rejects.toThrow('config.json: no such file');
      const retriever = await DenseRetriever.open(whole, { embedder: moved, threads: 1 });
      expect((await retriever.search(['oslo'], 2))[0]).toHaveLength(2);
      await retriever.close();
    } finally {
      await rename(moved, model);
    }
    const other = path.join(folder, 'other-model');
    await cp(model, other, { recursive: true });
    await appendFile(path.join(other, 'tokenizer.json'), '\n');
    await expect(DenseRetriever.open(whole, { embedder: other, threads: 1 })).rejects.toThrow(
      'is not the model that made',
    );
  });
});

const hasLance = existsSync('node_modules/@lancedb/lancedb');

test.skipIf(hasLance)('without LanceDB: says what to install', async () => {
  await expect(build({ store: 'lancedb' })).rejects.toThrow('LanceDB is not installed');
  const odd = { ...embedder, info: { ...embedder.info, dimension: 15 } };
  await expect(build({ store: 'lancedb', embedder: odd })).rejects.toThrow('multiple of 8');
});

test.skipIf(!hasLance)(
  'LanceDB (skipped where @lancedb/lancedb is not installed): the best hits of a flat index',
  async () => {
    const passages = Array.from({ length: 600 }, (_, i) => ({ id: `${i}`, title: '', text: `${some(6)} ${i}` }));
    const flat = await DenseRetriever.open(await build({ corpus: stream(passages) }), { threads: 1 });
    const lance = await DenseRetriever.open(await build({ corpus: stream(passages), store: 'lancedb' }), {
      threads: 1,
    });
    const queries = Array.from({ length: 20 }, () => some(4));
    const [expected, found] = [await flat.search(queries, 10), await lance.search(queries, 10)];
    let agreed = 0;
    for (const [i, hits] of found.entries())
      for (const { passage, score } of hits) {
        const same = expected[i]!.find((hit) => hit.passage.id === passage.id);
        if (same === undefined) continue;
        agreed += 1;
        expect(score).toBeCloseTo(same.score, 5);
      }
    expect(agreed / 200).toBeGreaterThan(0.9);
    expect(lance.info.settings).toMatchObject({ vectors: 'lancedb IVF_RQ', refine: 10 });
    await Promise.all([flat.close(), lance.close()]);
  },
);
