import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPassageLines } from './passage-lines.ts';
import { PassageWriter } from './passage-writer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lines-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('reads back any stretch of passages, lines longer than the buffer and split characters among them', () => {
  const passages = Array.from({ length: 60 }, (_, i) => ({
    id: `p${i}`,
    title: i % 2 ? 'Ωμέγα𝒳\u2028' : '',
    // A fifth of them take more than the 256 KiB of the buffer, one more than twice that.
    text: 'é\n"'.repeat(i % 5 === 3 ? 70_000 : i === 30 ? 150_000 : 900 + i),
  }));
  const writer = new PassageWriter(folder);
  const ends = [0];
  for (const passage of passages) {
    writer.add(passage);
    ends.push(writer.bytes);
  }
  writer.flush();
  for (const [from, to] of [
    [0, 60],
    [3, 4],
    [29, 47],
  ] as const)
    expect([...readPassageLines(writer.file, ends[from]!, ends[to]!)].flat()).toEqual(passages.slice(from, to));
  expect([...readPassageLines(writer.file, 5, 5)]).toEqual([]);
  expect(() => [...readPassageLines(writer.file, 0, ends.at(-1)! + 1)]).toThrow('ended before its time');
  expect(() => [...readPassageLines(path.join(folder, 'nowhere'), 0, 1)]).toThrow('no such file');
  writer.abandon();
});
