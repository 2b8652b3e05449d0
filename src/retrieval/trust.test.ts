/** Servers that an index directory names are not asked, and get no key, unless the command names them too. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeFolder } from '../base/files.ts';
import { capture } from '../cli/testing/capture.ts';
import { writeDenseManifest } from './dense/manifest.ts';
import { writePassages } from './dense/passage-files.ts';
import { emptyLayout, VectorWriter } from './dense/vector-file.ts';
import { HYBRID_KIND, writeLegs } from './hybrid-manifest.ts';
import { openRetriever } from './open-retriever.ts';
import { writeOpenSearchManifest } from './opensearch/manifest.ts';
import { requireTrusted } from './trust.ts';

let folder: string;
let listener: Server;
let origin: string;
const heard: { url: string; authorization: string | undefined }[] = [];

const passages = [{ id: 'a', title: '', text: 'oslo' }];
async function* corpus() {
  yield* passages;
}

/** A dense index of another's, whose embedder is a server. */
async function foreignDense(name: string, embedder: string): Promise<string> {
  const at = path.join(folder, name);
  await makeFolder(at);
  const files = await writePassages(at, corpus());
  const writer = await VectorWriter.open(path.join(at, 'vectors.bin'), emptyLayout(2, 'float32'));
  await writer.append(Float32Array.of(1, 0));
  const layout = await writer.finish();
  const info = { name: embedder, dimension: 2, hash: '', prefixes: { query: '', passage: '' } };
  await writeDenseManifest(at, { corpus: files, embedder: info, vectors: { store: 'flat', layout } });
  return at;
}

beforeAll(async () => {
  vi.stubEnv('OPENAI_API_KEY', 'made-up-key');
  vi.stubEnv('OPENSEARCH_USERNAME', 'made-up-user');
  vi.stubEnv('OPENSEARCH_PASSWORD', 'made-up-password');
  folder = await mkdtemp(path.join(tmpdir(), 'trust-'));
  listener = createServer((request, response) => {
    heard.push({ url: request.url!, authorization: request.headers.authorization });
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ data: [{ index: 0, embedding: [0.6, 0.8] }] }));
  });
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
  origin = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
});
beforeEach(() => heard.splice(0));
afterAll(async () => {
  vi.unstubAllEnvs();
  listener.close();
  await rm(folder, { recursive: true });
});

describe('a server that only the index names', () => {
  const kinds: Record<string, () => Promise<string>> = {
    'an embedder': () => foreignDense('dense', `${origin}/v1#m`),
    OpenSearch: async () => {
      const at = path.join(folder, 'opensearch');
      await makeFolder(at);
      const target = { url: origin, index: 'wiki', k1: 0.9, b: 0.4 };
      await writeOpenSearchManifest(at, { ...target, passages: 1, corpusHash: 'x'.repeat(64) });
      return at;
    },
    'a leg': async () => {
      const at = path.join(folder, 'hybrid');
      await writeLegs(at, [origin, origin]);
      return at;
    },
    'a leg of a leg': async () => {
      const [at, dense] = [path.join(folder, 'deep'), await foreignDense('dense-of-deep', `${origin}/v1#m`)];
      await writeLegs(at, [dense, dense]);
      return at;
    },
  };

  test.each(Object.entries(kinds))('%s is refused by name, and hears nothing', async (_name, make) => {
    const at = await make();
    await expect(openRetriever(at)).rejects.toThrow(`names the server ${origin}, which this command does not`);
    await expect(openRetriever(at, { trust: ['https://127.0.0.1', 'http://127.0.0.1:1'] })).rejects.toThrow(
      'names the server',
    );
    const { code, err } = await capture('index', 'search', at, 'oslo');
    expect([code, err]).toEqual([2, expect.stringContaining(`--trust-server ${origin}\n`)]);
    expect(heard).toEqual([]);
  });
});

test('named in the command, it is asked', async () => {
  const at = await foreignDense('named', `${origin}/v1#m`);
  const { code, out } = await capture('index', 'search', at, 'oslo', '--trust-server', `${origin}/whatever`);
  expect([code, out]).toEqual([0, expect.stringContaining('1. (no title)  [a]  0.600')]);
  expect(heard.every(({ authorization }) => authorization === 'Bearer made-up-key')).toBe(true);
});

test('what counts is scheme, host and port', () => {
  const trust = ['https://models.example/v1', 'http://127.0.0.1:80'];
  for (const url of ['https://models.example:443/other', 'http://127.0.0.1/v1#m'])
    expect(() => requireTrusted(url, 'file', { trust })).not.toThrow();
  for (const url of [
    'http://models.example',
    'https://models.example:8443',
    'https://models.example.evil',
    'file:///etc',
    'x',
  ])
    expect(() => requireTrusted(url, 'file', { trust })).toThrow('file: names the server');
});

describe('hybrids', () => {
  test('that are legs of themselves, or deep, or read from what never ends, are refused', async () => {
    const at = (name: string) => path.join(folder, name);
    await makeFolder(at('self'));
    const manifest = { kind: HYBRID_KIND, schema: 1, legs: ['.', '.'] };
    await writeFile(path.join(at('self'), 'manifest.json'), JSON.stringify(manifest));
    await expect(openRetriever(at('self'))).rejects.toThrow(`${at('self')}: this hybrid is a leg of itself`);
    await writeLegs(at('one'), [at('two'), at('two')]);
    await writeLegs(at('two'), [at('one'), at('one')]);
    await expect(openRetriever(at('one'))).rejects.toThrow('is a leg of itself');
    for (let i = 0; i < 10; i++) await writeLegs(at(`chain${i}`), [at(`chain${i + 1}`), at(`chain${i + 1}`)]);
    await expect(openRetriever(at('chain0'))).rejects.toThrow('more than 4 deep');
    await writeLegs(at('device'), ['/dev/zero', '/dev/zero']);
    await expect(openRetriever(at('device'))).rejects.toThrow('/dev/zero: is neither a file nor a directory');
  });

  test('of one index twice are no cycle', async () => {
    const corpusFile = path.join(folder, 'corpus.jsonl');
    await writeFile(corpusFile, JSON.stringify(passages[0]));
    await writeLegs(path.join(folder, 'twice'), [corpusFile, corpusFile]);
    await writeLegs(path.join(folder, 'above'), [path.join(folder, 'twice'), path.join(folder, 'twice')]);
    const retriever = await openRetriever(path.join(folder, 'above'));
    expect((await retriever.search(['oslo'], 1))[0]![0]!.passage.id).toBe('a');
    await retriever.close();
  });
});
