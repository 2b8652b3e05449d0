/** The kept index: what was made from a shard comes back from the file, and whatever is not that file gives nothing. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { INDEX_FILE, readIndex, writeIndex } from './kept-index.ts';
import { indexShard, readShardBytes, type Segment } from './segment.ts';
import { endingOf } from './stamps.ts';
import { said, writeShardOf } from './testing/view-fixture.ts';
import { rowsWith } from './text-pieces.ts';

let folder: string;
let file: string;
let segments: readonly Segment[];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kept-index-'));
  file = path.join(folder, INDEX_FILE);
  const shards = {
    'base-greedy-4': [said({ id: 'a' }), said({ id: 'b', answer: null, stop: 'no-answer', correct: 0 })],
    'grpo-1-step-0001': [said({ id: 'c', rollout: 0 }), said({ id: 'c', rollout: 1, answer: 'ünlike', correct: 0 })],
    'pool-1-0000': [],
  };
  const made: Segment[] = [];
  for (const [shard, all] of Object.entries(shards)) {
    await writeShardOf(folder, shard, all);
    const at = path.join(folder, 'trajectories', `${shard}.jsonl.gz`);
    const { size, mtimeMs: modified } = await stat(at);
    const stamp = { shard, size, modified, ending: await endingOf(at, size) };
    const known = async () => ({ questions: new Map(), decode: undefined });
    // The texts of the last are beyond the bound.
    made.push(await indexShard(at, stamp, await readShardBytes(at), known, shard !== 'pool-1-0000'));
  }
  segments = made;
  await writeIndex(file, 'run', segments);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('comes back as it was: stamps, rows, and what a search finds', async () => {
  const read = await readIndex(file, 'run');
  expect([...read.keys()]).toEqual(segments.map(({ shard }) => shard));
  for (const segment of segments) {
    const { pieces, ...rest } = read.get(segment.shard)!;
    const { pieces: before, ...expected } = segment;
    expect(rest).toEqual(expected);
    expect(pieces === undefined).toBe(before === undefined);
    for (const text of ['gold', 'ünlike', 'what is c', 'nowhere'])
      if (before)
        expect(segment.rows.map((_, i) => rowsWith(pieces!, text)(i))).toEqual(
          segment.rows.map((_, i) => rowsWith(before, text)(i)),
        );
  }
  const { rows, pieces } = read.get('grpo-1-step-0001')!;
  // Rows of a shard share their place, and those of a question what is known of it.
  expect(rows[0]!.place).toBe(rows[1]!.place);
  expect(rows[0]!.about).toBe(rows[1]!.about);
  expect([0, 1].map(rowsWith(pieces!, 'ünlike'))).toEqual([false, true]);
});

it('gives nothing where it was made with something else, is of another version, or is no index', async () => {
  const bytes = await readFile(file);
  const other = path.join(folder, 'other.bin');
  const given = async (content: Uint8Array | string) => {
    await writeFile(other, content);
    return (await readIndex(other, 'run')).size;
  };
  expect(await given(bytes)).toBe(segments.length);
  expect((await readIndex(file, 'evaluation')).size).toBe(0);
  expect((await readIndex(path.join(folder, 'none'), 'run')).size).toBe(0);
  const head = bytes.indexOf(10, 9);
  expect(bytes.toString('utf8', 9, head)).toContain('"version":3,');
  const outdated = Buffer.concat([
    Buffer.from(bytes.toString('utf8', 9, head).replace('"version":3,', '"version":1,')),
    bytes.subarray(head),
  ]);
  const summed = (body: Buffer) => Buffer.concat([Buffer.from(`${crc32(body).toString(16).padStart(8, '0')}\n`), body]);
  expect(await given(summed(bytes.subarray(9)))).toBe(segments.length);
  expect(await given(summed(outdated))).toBe(0);
  for (const content of ['', '\n', 'no index', '{}\n', '[1]\n']) expect(await given(content)).toBe(0);
});

it('gives nothing where a bit of it is another one, wherever that is', async () => {
  const bytes = await readFile(file);
  const other = path.join(folder, 'flipped.bin');
  const step = Math.max(1, Math.floor(bytes.length / 60));
  for (let at = 0; at < bytes.length; at += step) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1 << (at % 8);
    await writeFile(other, flipped);
    expect((await readIndex(other, 'run')).size, `byte ${at} of ${bytes.length}`).toBe(0);
  }
});

it('gives nothing where it was cut off, wherever that was', async () => {
  const bytes = await readFile(file);
  const other = path.join(folder, 'cut.bin');
  const step = Math.max(1, Math.floor(bytes.length / 40));
  for (let length = bytes.length - 1; length >= 0; length -= step) {
    await writeFile(other, bytes.subarray(0, length));
    expect((await readIndex(other, 'run')).size, `${length} of ${bytes.length} bytes`).toBe(0);
  }
});
