/** Which shards there are, in the order of the run, and which bytes each has. */
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { compareStages } from '../evolve/stages.ts';
import { placeOf } from '../runs/rows/row-maker.ts';
import type { ShardStamp } from '../runs/shards.ts';

/** Which bytes an index is of. A shard is never written in place, so that size and time tell versions apart while one looks on. */
export interface Stamp extends Omit<ShardStamp, 'hash'> {
  readonly shard: string;
  readonly modified: number;
}

export interface Shards {
  readonly folder: string;
  readonly kind: 'run' | 'evaluation';
}

const ANSWERS = 'answers.jsonl';

export function fileOf({ folder, kind }: Shards, shard: string): string {
  return kind === 'evaluation' ? path.join(folder, shard) : path.join(folder, 'trajectories', `${shard}.jsonl.gz`);
}

/** @param known stamps of before: the ending of what has not changed is not read again */
export async function stampsOf(shards: Shards, known: readonly Stamp[]): Promise<Stamp[]> {
  const names =
    shards.kind === 'evaluation'
      ? [ANSWERS]
      : (await readdir(path.join(shards.folder, 'trajectories')).catch(() => []))
          .flatMap((name) => /^([\w-][\w.-]*)\.jsonl\.gz$/.exec(name)?.[1] ?? [])
          .map((shard) => ({ shard, place: placeOf(shard) }))
          .sort((a, b) => inOrderOfRun(a.place, b.place))
          .map(({ shard }) => shard);
  const before = new Map(known.map((stamp) => [stamp.shard, stamp]));
  const stamps = await Promise.all(
    names.map(async (shard) => {
      const file = fileOf(shards, shard);
      const found = await stat(file).catch(() => undefined);
      if (!found?.isFile()) return [];
      const stamp = { shard, size: found.size, modified: found.mtimeMs };
      const old = before.get(shard);
      const ending = isSame(old, stamp) ? old!.ending : await endingOf(file, stamp.size).catch(() => '');
      return [{ ...stamp, ending }];
    }),
  );
  return stamps.flat();
}

/** Of a log, which is only ever added to, nothing. */
export async function endingOf(file: string, size: number): Promise<string> {
  if (!file.endsWith('.gz') || size < 8) return '';
  const handle = await open(file);
  try {
    return (await handle.read(Buffer.alloc(8), 0, 8, size - 8)).buffer.toString('hex');
  } finally {
    await handle.close();
  }
}

type Placed = ReturnType<typeof placeOf>;
const parts: readonly Placed['part'][] = ['pool', 'experts', 'plain', 'privileged', 'held-out', 'step', 'evaluation'];
const names = new Intl.Collator('en', { numeric: true });

/** Stages as they come; of a stage what it is trained on first, and its evaluation last; the rest by name. */
function inOrderOfRun(a: Placed, b: Placed): number {
  return (
    compareStages(a.stage, b.stage) || parts.indexOf(a.part) - parts.indexOf(b.part) || names.compare(a.shard, b.shard)
  );
}

type Seen = Pick<Stamp, 'size' | 'modified'>;
export const isSame = (a: Seen | undefined, b: Seen | undefined): boolean =>
  a !== undefined && b !== undefined && a.size === b.size && a.modified === b.modified;

/** Of another time or another copy. */
export const isAlike = (a: Stamp | undefined, b: Stamp): boolean =>
  a !== undefined && a.size === b.size && a.ending === b.ending;
