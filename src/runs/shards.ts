/** Shards: gzip files of JSON lines, written whole or not at all. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { hasCode } from '../base/errors.ts';
import { fileError, readJsonLines, sha256, writeFileAtomic } from '../base/files.ts';

const ENDING = '.jsonl.gz';

/** The file of a shard. Names are letters, digits, dots, dashes and underscores, so that they are the same on every system. */
export function shardFile(folder: string, shard: string): string {
  if (!/^[\w-][\w.-]*$/.test(shard)) throw new RangeError(`"${shard}" cannot name a shard`);
  return path.join(folder, shard + ENDING);
}

/** Which bytes a shard has. */
export interface ShardStamp {
  /** SHA-256 of the file. */
  readonly hash: string;
  readonly size: number;
  /** Its last eight bytes in hex, by gzip CRC-32 and length of what is in it: they tell contents apart at a glance, and stay in a copy. */
  readonly ending: string;
}

/** Writes lines of JSON; the same lines give the same bytes. */
export async function writeShard(file: string, lines: Iterable<string>): Promise<ShardStamp> {
  const parts: Uint8Array[] = [];
  await pipeline(Readable.from(encoded(lines)), createGzip({ level: 6 }), async (compressed) => {
    for await (const part of compressed) parts.push(part);
  });
  await writeFileAtomic(file, parts);
  const bytes = Buffer.concat(parts);
  return { hash: sha256(bytes), size: bytes.length, ending: bytes.toString('hex', bytes.length - 8) };
}

function* encoded(lines: Iterable<string>): Generator<Buffer> {
  for (const line of lines)
    yield Buffer.from(`${line}
`);
}

/** Reads a shard; `parse` gets each value and a text that says where it stands. Undefined when there is no such file. */
export async function readShard<T>(
  file: string,
  parse: (value: unknown, where: string) => T,
): Promise<T[] | undefined> {
  const records: T[] = [];
  try {
    for await (const { line, value } of readJsonLines(file)) records.push(parse(value, `${file}:${line}`));
  } catch (error) {
    if (error instanceof Error && hasCode(error.cause, 'ENOENT')) return undefined;
    throw error;
  }
  return records;
}

/** Names of a folder's shards in order; none when the folder does not exist. */
export async function listShards(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => name.endsWith(ENDING))
      .map((name) => name.slice(0, -ENDING.length))
      .sort();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw fileError(error, folder, 'read');
  }
}
