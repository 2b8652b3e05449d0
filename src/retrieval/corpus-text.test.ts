/** What of a corpus is no text: bytes that are not UTF-8, half characters, values that JSON lacks, files by another name. */
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readCorpus } from './corpus.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'corpus-text-'));
});
afterAll(() => rm(folder, { recursive: true }));

const parquet = fileURLToPath(new URL('./testing/passages.parquet', import.meta.url));

/** Ids read and lines refused, as --skip-bad counts them. */
async function read(file: string): Promise<{ ids: string[]; refused: string[] }> {
  const refused: string[] = [];
  const ids: string[] = [];
  for await (const { id } of readCorpus([file], { onBad: ({ message }) => refused.push(message) })) ids.push(id);
  return { ids, refused };
}

it('lines that are not UTF-8 or hold half a character are refused by line, and counted', async () => {
  const file = path.join(folder, 'mixed.jsonl');
  const lines = ['{"id":"a","text":"café"}', '{"id":"b","text":"cut \\ud83d"}', '{"id":"c","text":"\\ud83d\\ude00"}'];
  await writeFile(
    file,
    Buffer.concat([
      Buffer.from('\ufeff{"id":"0","text":"first"}\r\n'),
      Buffer.from(`${lines[0]}\n`, 'latin1'),
      Buffer.from(lines.slice(1).join('\n')),
    ]),
  );
  expect(await read(file)).toEqual({
    ids: ['0', 'c'],
    refused: [
      `${file}:2: not UTF-8: byte E9 at position 22`,
      `${file}:3: text: holds half a character (a lone surrogate, \\ud83d)`,
    ],
  });
});

it('rows of Parquet that are not UTF-8 are refused by row and field', async () => {
  const bytes = await readFile(parquet);
  const word = Buffer.from('Zoë’s');
  for (let at = bytes.indexOf(word); at >= 0; at = bytes.indexOf(word, at + 1)) bytes.writeUInt16BE(0xe920, at + 2);
  const file = path.join(folder, 'latin1.parquet');
  await writeFile(file, bytes);
  expect(await read(file)).toEqual({
    ids: ['7', '9'],
    refused: [`${file}: row 2: text: not UTF-8: byte E9 at position 3`],
  });
});

it('Parquet is read by any name', async () => {
  const file = path.join(folder, 'passages.jsonl');
  await copyFile(parquet, file);
  expect((await read(file)).ids).toEqual(['7', '8', '9']);
});
