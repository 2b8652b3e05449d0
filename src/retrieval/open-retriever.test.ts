import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadCorpus, readCorpus } from './corpus.ts';
import { buildDenseIndex } from './dense/build.ts';
import { openLocalEmbedder } from './dense/encoder/local-embedder.ts';
import { writeTinyEncoder } from './dense/testing/tiny-encoder.ts';
import { fuse } from './hybrid.ts';
import { readLegs, writeLegs } from './hybrid-manifest.ts';
import { indexKind, openRetriever } from './open-retriever.ts';

let folder: string;
let corpus: string;
let dense: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'open-'));
  corpus = path.join(folder, 'corpus.jsonl');
  const lines = ['oslo fjord', 'paris seine', 'the fjord of oslo'].map((text, i) =>
    JSON.stringify({ id: `p${i}`, text }),
  );
  await writeFile(corpus, lines.join('\n'));
  dense = path.join(folder, 'dense');
  const embedder = await openLocalEmbedder(await writeTinyEncoder(path.join(folder, 'model')), { threads: 1 });
  await buildDenseIndex({ folder: dense, corpus: readCorpus([corpus]), embedder, type: 'float32', store: 'flat' });
  await embedder.close();
});
afterAll(() => rm(folder, { recursive: true }));

test('a hybrid of a dense index and a corpus file, which moves with its legs', async () => {
  const first = path.join(folder, 'a', 'hybrid');
  await writeLegs(first, [dense, corpus]);
  expect(await readLegs(first)).toEqual([dense, corpus]);
  const moved = path.join(folder, 'b', 'hybrid');
  await cp(first, moved, { recursive: true });
  const [hybrid, one, two] = [await openRetriever(moved), await openRetriever(dense), await openRetriever(corpus)];
  expect([hybrid.info.kind, one.info.kind, two.info.kind]).toEqual(['hybrid', 'dense', 'bm25']);
  const [[a = []], [b = []]] = [await one.search(['oslo'], 100), await two.search(['oslo'], 100)];
  expect(await hybrid.search(['oslo'], 3)).toEqual([fuse([a, b], 3)]);
  await Promise.all([hybrid.close(), one.close(), two.close()]);
  expect(await indexKind(moved)).toBe('search-e1 hybrid index');
  expect(await indexKind(folder)).toBeUndefined();
});

test('legs that do not go together, or are not there, are refused', async () => {
  const other = path.join(folder, 'other.jsonl');
  await writeFile(other, JSON.stringify((await loadCorpus([corpus]))[0]));
  const hybrid = path.join(folder, 'c');
  await writeLegs(hybrid, [dense, other]);
  await expect(openRetriever(hybrid)).rejects.toThrow('over the same corpus');
  await writeLegs(hybrid, [dense, path.join(folder, 'missing')]);
  await expect(openRetriever(hybrid)).rejects.toThrow('missing: no such file');
  await writeFile(path.join(hybrid, 'manifest.json'), '{"kind": "search-e1 hybrid index", "legs": []}');
  await expect(openRetriever(hybrid)).rejects.toThrow('damaged or of another version');
  await expect(openRetriever(folder)).rejects.toThrow();
});
