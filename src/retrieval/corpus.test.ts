import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../base/errors.ts';
import { corpusHash, loadCorpus, readCorpus } from './corpus.ts';
import { readParquetRows } from './parquet-rows.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'corpus-'));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function corpusFile(...lines: (object | string)[]): Promise<string> {
  const file = path.join(folder, `${++files}.jsonl`);
  await writeFile(file, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return file;
}

const OSLO = { id: '1', title: 'Oslo', text: 'Capital of Norway.' };

describe('forms of a line', () => {
  test.each([
    ['our own', OSLO],
    ['further fields', { ...OSLO, sources: ['x'], url: null }],
    ["BEIR's", { _id: '1', title: 'Oslo', text: 'Capital of Norway.', metadata: {} }],
    ["Search-R1's", { id: '1', contents: '"Oslo"\nCapital of Norway.' }],
    ["Search-R1's without quotation marks", { id: '1', contents: 'Oslo\nCapital of Norway.' }],
    ['a number as id', { ...OSLO, id: 1 }],
  ])('%s', async (_name, line) => {
    expect(await loadCorpus([await corpusFile(line)])).toEqual([OSLO]);
  });

  test('the title may be absent', async () => {
    const file = await corpusFile(
      { id: 'a', text: 'x' },
      { id: 'b', title: null, text: 'y' },
      { id: 'c', contents: 'z' },
    );
    expect((await loadCorpus([file])).map(({ title, text }) => [title, text])).toEqual([
      ['', 'x'],
      ['', 'y'],
      ['', 'z'],
    ]);
  });

  // Title and contents: {id, title, text} as Pyserini's collections have them beside Search-R1's.
  test.each<[string, object, [title: string, text: string]]>([
    ['one line of contents', { title: 'T', contents: 'only the one line body' }, ['T', 'only the one line body']],
    ['contents that repeat the title', { title: 'T', contents: '"T"\nbody\nmore' }, ['T', 'body\nmore']],
    ['contents that repeat it bare', { title: 'T', contents: 'T\nbody' }, ['T', 'body']],
    ['contents of other lines', { title: 'T', contents: 'first\nsecond' }, ['T', 'first\nsecond']],
    ['a quoted title', { title: '"T"', contents: '"T"\nbody' }, ['"T"', 'body']],
    ['a title that is null', { title: null, contents: '"T"\nbody' }, ['T', 'body']],
    ['an empty title', { title: '', contents: '"T"\nbody' }, ['T', 'body']],
    ['text and contents', { title: 'T', text: 'body', contents: 'other' }, ['T', 'body']],
    ['text and contents with the title', { text: 'body', contents: '"T"\nbody' }, ['T', 'body']],
    ['text and other contents', { text: 'body', contents: 'A\nB' }, ['', 'body']],
    ['an empty text', { title: 'T', text: '' }, ['T', '']],
    ['contents of a title alone', { contents: '"T"\n' }, ['T', '']],
  ])('of several fields: %s', async (_name, fields, [title, text]) => {
    expect(await loadCorpus([await corpusFile({ id: '1', ...fields })])).toEqual([{ id: '1', title, text }]);
  });

  test('passages without title and text keep their place, and are counted', async () => {
    const file = await corpusFile({ id: 'a', text: ' \n' }, { id: 'b', title: 'T', text: '' }, { id: 'c', text: '' });
    let blank = 0;
    const ids: string[] = [];
    for await (const { id } of readCorpus([file], { onBlank: () => blank++ })) ids.push(id);
    expect([ids, blank]).toEqual([['a', 'b', 'c'], 2]);
  });

  test('quotation marks inside a title and lines inside a text stay', async () => {
    const file = await corpusFile({ id: 'a', contents: '"The "Fonz""\nfirst\nsecond' });
    expect(await loadCorpus([file])).toEqual([{ id: 'a', title: 'The "Fonz"', text: 'first\nsecond' }]);
  });
});

test('several files, plain and gzip, in order; blank lines are passed over', async () => {
  const plain = await corpusFile({ id: 'b', text: 'second' }, '', { id: 'a', text: 'third' });
  const zipped = path.join(folder, 'first.jsonl.gz');
  await writeFile(zipped, gzipSync('{"id":"c","text":"first"}\n'));
  expect((await loadCorpus([zipped, plain])).map((passage) => passage.id)).toEqual(['c', 'b', 'a']);
});

describe('errors name file, line and field', () => {
  async function failure(lines: (object | string)[]): Promise<string> {
    const error = await loadCorpus([await corpusFile(...lines)]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    return (error as UserError).message.replace(/^.*\//, '').replace(/^\d+/, 'N');
  }

  test.each<[string, (object | string)[], string]>([
    ['no passage', ['', ' '], 'N.jsonl: no passages'],
    ['not JSON', [OSLO, '{'], 'N.jsonl:2: not valid JSON'],
    ['not an object', ['["a"]'], 'N.jsonl:1: expected a JSON object, found ["a"]'],
    ['null', ['null'], 'N.jsonl:1: expected a JSON object, found null'],
    ['no id', [{ text: 'x' }], 'N.jsonl:1: id: expected a non-empty string, found nothing'],
    ['an empty id', [{ id: '', text: 'x' }], 'N.jsonl:1: id: expected a non-empty string, found ""'],
    ['a fractional id', [{ id: 1.5, text: 'x' }], 'N.jsonl:1: id: expected a non-empty string, found 1.5'],
    ['no text', [OSLO, { id: '2', title: 't' }], 'N.jsonl:2: text: expected a string, found nothing'],
    ['a text of another type', [{ id: '2', text: 7 }], 'N.jsonl:1: text: expected a string, found 7'],
    ['a title of another type', [{ id: '2', title: [], text: 'x' }], 'N.jsonl:1: title: expected a string, found []'],
    ['a text that is null', [{ id: '2', title: 't', text: null }], 'N.jsonl:1: text: expected a string, found null'],
    ['a repeated id', [OSLO, { _id: 1, text: 'x' }], 'N.jsonl:2: the id "1" occurs a second time'],
  ])('%s', async (_name, lines, message) => {
    expect(await failure(lines)).toContain(message);
  });

  test('an id repeated in another file', async () => {
    const [a, b] = [await corpusFile(OSLO), await corpusFile(OSLO)];
    await expect(loadCorpus([a, b])).rejects.toThrow(`${b}:1: the id "1" occurs a second time`);
  });

  test('a missing file', async () => {
    const missing = path.join(folder, 'missing.jsonl.gz');
    await expect(loadCorpus([missing])).rejects.toThrow(`${missing}: no such file`);
  });
});

describe('Parquet', () => {
  /** Three rows in groups of two: id (int64), title (one of them null), text, and a column of numbers. */
  const file = fileURLToPath(new URL('./testing/passages.parquet', import.meta.url));

  test('rows are passages by their columns', async () => {
    const read: number[] = [];
    const passages = [];
    for await (const passage of readCorpus([file], { onRead: (bytes) => read.push(bytes) })) passages.push(passage);
    expect(passages).toEqual([
      { id: '7', title: 'Oslo', text: 'Capital of Norway.' },
      { id: '8', title: '', text: 'Zoë’s text' },
      { id: '9', title: 'Rome', text: 'A city.' },
    ]);
    expect(read.at(-1)).toBe((await stat(file)).size);
  });

  test('a repeated id is named by its row', async () => {
    await expect(loadCorpus([file, file])).rejects.toThrow(`${file}: row 1: the id "7" occurs a second time`);
  });

  test('a damaged file is refused', async () => {
    const damaged = path.join(folder, 'damaged.parquet');
    await writeFile(damaged, (await readFile(file)).subarray(0, 500));
    await expect(loadCorpus([damaged])).rejects.toThrow(`${damaged}: cannot be read as Parquet`);
    await expect(loadCorpus([path.join(folder, 'no.parquet')])).rejects.toThrow('no such file');
  });

  // Made with pyarrow 21: 2,000 rows of one text of 10 MB, by a dictionary; a text of 200 MB, in a page packed by zstd.
  test.each([
    ['bomb-text.parquet', /up to row \d+: 1000 times as much text as the file has bytes/],
    ['bomb-page.parquet', /a page of 200000010 bytes, at most \d+/],
  ])('a file that unpacks to gigabytes is refused: %s', async (name, message) => {
    const bomb = fileURLToPath(new URL(`./testing/${name}`, import.meta.url));
    await expect(loadCorpus([bomb])).rejects.toThrow(message);
    await expect(loadCorpus([bomb])).rejects.toThrow(UserError);
  });

  const cases = path.join(process.env.SEARCH_E1_SHARED ?? '../shared', 'cases/retrieval/parquet/v2.parquet');
  test.skipIf(!existsSync(cases))(
    'a page header without an end, which the library reads in circles, is given up',
    async () => {
      const endless = path.join(folder, 'endless.parquet');
      await writeFile(endless, (await readFile(cases)).fill(0, 47, 57));
      await expect(loadCorpus([endless])).rejects.toThrow(
        `${endless}: a row group of it takes more than 5.0 s to read`,
      );
    },
  );

  test('a reader that is not needed any more is ended', async () => {
    const rows = readParquetRows(file, ['id', 'text']);
    await rows.next();
    await rows.return(undefined);
    expect(await loadCorpus([file])).toHaveLength(3);
  });

  test('a file without any of the columns is refused, with those that it has', async () => {
    const rows = readParquetRows(file, ['question']);
    await expect(rows.next()).rejects.toThrow('none of the columns question; found id, title, text, extra');
  });
});

describe('malformed lines passed over', () => {
  test('each is told of, and the others are read', async () => {
    const file = await corpusFile(OSLO, '{', { id: 'x' }, { ...OSLO, id: '2' });
    const told: string[] = [];
    const passages = [];
    for await (const passage of readCorpus([file], { onBad: (error) => told.push(error.message) }))
      passages.push(passage);
    expect(passages.map(({ id }) => id)).toEqual(['1', '2']);
    expect(told).toEqual([
      expect.stringContaining(`${file}:2: not valid JSON`),
      expect.stringContaining(`${file}:3: text`),
    ]);
  });

  test('a repeated id is refused all the same', async () => {
    const file = await corpusFile(OSLO, OSLO);
    const corpus = readCorpus([file], { onBad: () => {} });
    await corpus.next();
    await expect(corpus.next()).rejects.toThrow('a second time');
  });
});

describe('hash', () => {
  test('is the SHA-256 of the documented lines', () => {
    // printf '["1","Oslo","Capital of Norway."]\n' | sha256sum
    expect(corpusHash([OSLO])).toBe('6f4d302b9ac87a93b3ac660b92487473ac8f24d3f86ad70224a0a22ffcb9c1ac');
  });

  test('differs when anything moves or changes', () => {
    const other = { id: '2', title: 'Bergen', text: 'A city.' };
    const variants = [
      [OSLO, other],
      [other, OSLO],
      [OSLO],
      [{ ...OSLO, title: 'OsloC', text: 'apital of Norway.' }, other],
      [OSLO, { ...other, id: '3' }],
    ];
    expect(new Set(variants.map(corpusHash)).size).toBe(variants.length);
  });
});

const shared = process.env.SEARCH_E1_SHARED ?? '../shared';
const wikiPassages = path.join(shared, 'data/corpus/wiki-passages.jsonl.gz');

test.skipIf(!existsSync(wikiPassages))(`reads ${wikiPassages} (skipped where it is absent)`, async () => {
  let count = 0;
  for await (const passage of readCorpus([wikiPassages])) {
    if (passage.title !== '') count++;
  }
  expect(count).toBe(69_550);
});
