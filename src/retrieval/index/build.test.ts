import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { makeFolder } from '../../base/files.ts';
import { createAnalyzer } from '../analyzer.ts';
import { corpusHash, searchedText } from '../corpus.ts';
import type { Passage } from '../retriever.ts';
import { type BuildOptions, buildIndex, partialFolder } from './build.ts';
import { computeImpacts } from './impacts.ts';
import { indexTexts } from './in-memory.ts';
import { loadIndex, verifyIndex } from './load.ts';
import { PassageStore } from './passage-store.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'index-'));
});
afterAll(() => rm(folder, { recursive: true }));

let made = 0;
const fresh = (ending = '') => path.join(folder, `${++made}${ending}`);

async function write(passages: readonly Passage[]): Promise<string> {
  const file = fresh('.jsonl');
  await writeFile(file, passages.map((passage) => `${JSON.stringify(passage)}\n`).join(''));
  return file;
}

function options(corpus: string, more: Partial<BuildOptions> = {}): BuildOptions {
  const defaults = { analyzer: 'english', k1: 0.9, b: 0.4, length: 'lucene', memory: 2e9, workers: 1 } as const;
  return { corpus: [corpus], out: fresh('.index'), ...defaults, ...more };
}

/** Passages over few words, with terms that occur more than 254 times in one, letters beyond ASCII, and more than a block of postings. */
const corpus: Passage[] = Array.from({ length: 300 }, (_, i) => ({
  id: `p${i}`,
  title: `Title ${i % 7} café`,
  text: `${'common '.repeat(1 + ((i * 31) % 5))}${i % 60 === 7 ? 'often '.repeat(250 + i) : ''}word${i % 41} Ωμέγα𝒳 ${'long '.repeat(i % 13)}`,
}));

async function filesOf(index: string): Promise<Map<string, string>> {
  const names = await readdir(index);
  return new Map(
    await Promise.all(names.sort().map(async (n) => [n, await readFile(path.join(index, n), 'latin1')] as const)),
  );
}

describe('building', () => {
  test('gives the arrays and impacts that the corpus in memory has, for both length forms', async () => {
    const file = await write(corpus);
    for (const length of ['lucene', 'exact'] as const) {
      const given = options(file, { length, segmentBytes: 9000, k1: 1.2, b: 0.75 });
      const manifest = await buildIndex(given);
      const { arrays, impacts } = await loadIndex(given.out);
      const expected = indexTexts(corpus.map(searchedText), createAnalyzer('english'), length);
      expect(arrays).toEqual(expected);
      expect(arrays.largeFrequencies.values.length).toBeGreaterThan(3);
      expect(impacts).toEqual(computeImpacts(expected, 1.2, 0.75));
      expect(manifest).toMatchObject({ passages: 300, corpusHash: corpusHash(corpus), k1: 1.2, b: 0.75, length });
      expect(manifest).toMatchObject({ totalTerms: expected.totalTerms, postings: expected.positions.length });
    }
  });

  test('gives the same bytes whatever the number of workers and segments', async () => {
    const file = await write(corpus);
    const one = options(file);
    const three = options(file, { workers: 3, segmentBytes: 4000 });
    await buildIndex(one);
    await buildIndex(three);
    expect(await filesOf(three.out)).toEqual(await filesOf(one.out));
    expect(await readdir(folder)).not.toContain(path.basename(partialFolder(three.out)));
  });

  test('keeps every passage as it was', async () => {
    const odd = [
      { id: 'a "b"', title: '', text: 'line\nline\u2028\u0000 𝒳' },
      { id: 'ß', title: 'x'.repeat(40_000), text: 'y' },
    ];
    const given = options(await write(odd));
    await buildIndex(given);
    const { table } = await loadIndex(given.out);
    const store = new PassageStore(table);
    expect([store.read(1), store.read(0)]).toEqual([odd[1], odd[0]]);
    store.close();
  });

  test('a corpus without a single term is an index without terms', async () => {
    const given = options(await write([{ id: 'a', title: '', text: '?!' }]));
    expect(await buildIndex(given)).toMatchObject({ passages: 1, terms: 0, postings: 0 });
    expect((await loadIndex(given.out, { k1: 2 })).arrays.positions).toHaveLength(0);
  });

  test('opened with other k1, b and length form: as if built with them', async () => {
    const file = await write(corpus);
    const [built, other] = [options(file), options(file, { k1: 2, b: 0, length: 'exact' })];
    await buildIndex(built);
    await buildIndex(other);
    const { manifest: _, table: __, ...expected } = await loadIndex(other.out);
    expect(await loadIndex(built.out, { k1: 2, b: 0, length: 'exact' })).toMatchObject(expected);
  });
});

describe('interruption', () => {
  test('goes on from the finished segments to the same bytes', async () => {
    const file = await write(corpus);
    const undisturbed = options(file);
    await buildIndex(undisturbed);

    const given = options(file, { segmentBytes: 5000 });
    const controller = new AbortController();
    const onEvent: BuildOptions['onEvent'] = (event) => {
      if (event.kind === 'analysed' && event.passages > 100) controller.abort(new Error('enough'));
    };
    await expect(buildIndex({ ...given, onEvent, signal: controller.signal })).rejects.toThrow('enough');
    expect(await readdir(folder)).not.toContain(path.basename(given.out));

    // A segment whose file was cut is made again.
    const segments = path.join(partialFolder(given.out), 'segments');
    const [, second] = (await readdir(segments)).filter((name) => name.endsWith('.segment'));
    await writeFile(path.join(segments, second!), 'x');
    let resumed = 0;
    await buildIndex({
      ...given,
      onEvent: (event) => {
        if (event.kind === 'analysed') resumed = event.resumed;
      },
    });
    expect(resumed).toBeGreaterThan(0);
    expect(resumed).toBeLessThan(300);
    expect(await filesOf(given.out)).toEqual(await filesOf(undisturbed.out));
  });

  test('other arguments and another corpus are refused, with what to do', async () => {
    const file = await write(corpus);
    const given = options(file, { segmentBytes: 5000 });
    const stop = new AbortController();
    const onEvent: BuildOptions['onEvent'] = (event) => {
      if (event.kind === 'analysed' && event.passages > 100) stop.abort(new Error('enough'));
    };
    await expect(buildIndex({ ...given, onEvent, signal: stop.signal })).rejects.toThrow('enough');

    const refusal = await buildIndex({ ...given, k1: 3, analyzer: 'words' }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UserError);
    expect(refusal).toMatchObject({
      message: expect.stringContaining('(analyzer, k1)'),
      hint: expect.stringContaining('delete'),
    });

    await writeFile(file, (await readFile(file, 'utf8')).replace('word1', 'word2'));
    await expect(buildIndex(given)).rejects.toThrow('the corpus has changed');
  });

  test('a failing worker fails the build', async () => {
    const given = options(await write(corpus), { segmentBytes: 5000 });
    // A folder where the first segment's file is to be written.
    await makeFolder(path.join(partialFolder(given.out), 'segments', '00000.segment'));
    await expect(buildIndex(given)).rejects.toThrow('00000.segment');
  });
});

describe('refused', () => {
  test.each<[string, Partial<BuildOptions>, string]>([
    ['too little memory', { memory: 1e8 }, 'too little for 1 workers'],
    ['a missing corpus', { corpus: ['/nowhere.jsonl'] }, 'no such file'],
    ['a folder as corpus', { corpus: [tmpdir()] }, 'is not a file'],
  ])('%s', async (_name, more, message) => {
    await expect(buildIndex({ ...options(await write(corpus)), ...more })).rejects.toThrow(message);
  });

  test('a bad line ends the build, unless it is to be passed over', async () => {
    const file = await write(corpus.slice(0, 3));
    await writeFile(file, `${await readFile(file, 'utf8')}{"id": 1}\n`);
    const given = options(file);
    await expect(buildIndex(given)).rejects.toThrow(`${file}:4: text`);
    const bad: string[] = [];
    const manifest = await buildIndex({ ...given, onBad: (error) => bad.push(error.message) });
    expect(manifest.passages).toBe(3);
    expect(bad).toEqual([expect.stringContaining(`${file}:4: text`)]);
  });

  test('a directory that is taken', async () => {
    const given = options(await write(corpus.slice(0, 3)));
    await buildIndex(given);
    await expect(buildIndex(given)).rejects.toThrow('holds an index already');
    await expect(buildIndex({ ...given, out: folder })).rejects.toThrow('is not empty');
  });
});

describe('damage', () => {
  test('is found in every file: a flipped bit, a lost byte, a lost file', async () => {
    const given = options(await write(corpus));
    await buildIndex(given);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...(await readdir(given.out))),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 0, max: 7 }),
        fc.constantFrom('flip', 'cut', 'grow', 'remove'),
        async (name, place, bit, damage) => {
          const file = path.join(given.out, name);
          const whole = await readFile(file);
          const broken = Buffer.from(whole);
          if (damage === 'flip') broken[Math.floor(place * whole.length)]! ^= 1 << bit;
          if (damage === 'remove') await rm(file);
          else await writeFile(file, damage === 'cut' ? whole.subarray(1) : damage === 'grow' ? [whole, 'x'] : broken);
          const opening = await loadIndex(given.out).catch((error: unknown) => error);
          const verifying = await verifyIndex(given.out).catch((error: unknown) => error);
          await writeFile(file, whole);
          expect(opening).toBeInstanceOf(UserError);
          expect(verifying).toBeInstanceOf(UserError);
        },
      ),
      { numRuns: 100 },
    );
    await verifyIndex(given.out);
  });

  test('of a passage is found when it is read', async () => {
    const given = options(await write(corpus));
    await buildIndex(given);
    const { table } = await loadIndex(given.out);
    await writeFile(table.file, (await readFile(table.file, 'utf8')).replace('word9 ', 'word8 '));
    const store = new PassageStore(table);
    expect(store.read(8)).toEqual(corpus[8]);
    expect(() => store.read(9)).toThrow('damaged at passage 9, line 10');
    store.close();
  });

  test('folders of another kind say so', async () => {
    await expect(loadIndex(path.join(folder, 'nowhere'))).rejects.toThrow('not a search index');
    const other = fresh();
    await makeFolder(other);
    await writeFile(path.join(other, 'manifest.json'), '{"kind": "model", "schema": 1}');
    await expect(loadIndex(other)).rejects.toThrow('not the manifest of a search index');
  });
});
