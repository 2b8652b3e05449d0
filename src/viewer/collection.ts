/** All trajectories of a run, or all answers of an evaluation: indexed in the background, kept up while more are written, selected by filters. */
import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { compareStages } from '../evolve/stages.ts';
import { type Filter, matcher, sorted } from './filter.ts';
import { INDEX_FILE, readIndex, writeIndex } from './kept-index.ts';
import type { Known } from './read-row.ts';
import { bitOf, keyOf, type Place, type Row } from './row.ts';
import {
  endingOf,
  indexAnswers,
  indexShard,
  lineOfBytes,
  placeOf,
  readShardBytes,
  type Segment,
  type Stamp,
} from './segment.ts';
import { rowsWith } from './text-pieces.ts';

/** Bytes of texts that are held for searching; beyond them the texts of further shards are not searched. */
const MOST_TEXT = 2 ** 28;
/** Bytes of unpacked shards that are held, since who looks at one trajectory looks at the next. */
const MOST_UNPACKED = 2 ** 27;
/** Fewer trajectories are indexed again in no time. */
const WORTH_KEEPING = 4000;
/** Looks at the folder, and shows more of what is being read, at most this often, in milliseconds; the first of it sooner. */
const FRESH = 500;
const SOON = 100;
/** So many shards are unpacked before their turn, if they are no larger than this, by other threads than the one that reads. */
const [AHEAD, MOST_AHEAD] = [3, 2 ** 22];

export interface IndexState {
  readonly rows: number;
  readonly shards: number;
  readonly ofShards: number;
  /** Changes with the rows. */
  readonly version: number;
  /** Shards that cannot be read, with the reason. */
  readonly faults: readonly string[];
  /** Trajectories whose texts are not searched. */
  readonly unsearched: number;
}

/** Where the files are, and how they are read. */
export interface CollectionFiles {
  readonly folder: string;
  readonly kind: 'run' | 'evaluation';
  /** Of a run of an earlier version: what its trajectories do not hold. */
  readonly known: () => Promise<Known>;
  /** Names what `known` gives, so that an index is not kept beyond it. */
  readonly knownAs: string;
}

const ANSWERS = 'answers.jsonl';

export class Collection {
  readonly #files: CollectionFiles;
  readonly #segments = new Map<string, Segment>();
  readonly #faults = new Map<string, string>();
  readonly #unpacked = new Map<string, { readonly stamp: Stamp; readonly bytes: Buffer }>();
  #kept: Promise<Map<string, Segment>> | undefined;
  #present: readonly Stamp[] = [];
  #rows: readonly Row[] = [];
  #byKey: Map<string, Row> | undefined;
  #version = 0;
  #textBytes = 0;
  #looked = 0;
  #work: Promise<void> | undefined;
  readonly #waiting = new Set<{ readonly wanted: (place: Place) => boolean; readonly done: () => void }>();
  #written = '';

  constructor(files: CollectionFiles) {
    this.#files = files;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get state(): IndexState {
    const unsearched = [...this.#segments.values()].reduce((n, { rows, pieces }) => n + (pieces ? 0 : rows.length), 0);
    return {
      rows: this.#rows.length,
      shards: this.#segments.size + this.#faults.size,
      ofShards: this.#present.length,
      version: this.#version,
      faults: [...this.#faults.values()],
      unsearched,
    };
  }

  /** Begins to read what is new; resolves when it is read. Several callers share one reading. */
  refresh(): Promise<void> {
    this.#work ??= this.#refresh().finally(() => {
      this.#work = undefined;
    });
    return this.#work;
  }

  /** Reads the shards of such places before all others; resolves when they are read. */
  async ensure(wanted: (place: Place) => boolean): Promise<void> {
    if (this.#isFresh) return;
    let done = () => {};
    const read = new Promise<void>((resolve) => {
      done = resolve;
    });
    const waiting = { wanted, done };
    this.#waiting.add(waiting);
    await Promise.race([this.refresh(), read]).finally(() => this.#waiting.delete(waiting));
  }

  /** As `refresh`, waited for a moment: a small run is there at once, a large one as far as it has been read. */
  async glance(milliseconds = 400): Promise<void> {
    if (this.#isFresh) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([this.refresh(), new Promise((done) => (timer = setTimeout(done, milliseconds)))]);
    clearTimeout(timer);
  }

  get #isFresh(): boolean {
    return this.#work === undefined && performance.now() - this.#looked < FRESH;
  }

  /** The rows of a filter in its order. */
  select(filter: Filter): readonly Row[] {
    return sorted(this.#searched(filter.text).filter(matcher(filter)), filter.sort);
  }

  find(key: string): Row | undefined {
    this.#byKey ??= new Map(this.#rows.map((row) => [keyOf(row), row]));
    return this.#byKey.get(key);
  }

  /** The trajectory's line as it stands in its shard. */
  async line({ place, line }: Pick<Row, 'place' | 'line'>): Promise<string | undefined> {
    const segment = this.#segments.get(place.shard);
    if (segment === undefined) return undefined;
    let held = this.#unpacked.get(place.shard);
    if (held === undefined || held.stamp !== segment) {
      held = { stamp: segment, bytes: await readShardBytes(this.#fileOf(place.shard)) };
      this.#unpacked.delete(place.shard);
      this.#unpacked.set(place.shard, held);
      let size = [...this.#unpacked.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
      for (const [shard, { bytes }] of this.#unpacked)
        if (size > MOST_UNPACKED && shard !== place.shard) {
          this.#unpacked.delete(shard);
          size -= bytes.length;
        }
    }
    return lineOfBytes(held.bytes, line);
  }

  #searched(text: string): readonly Row[] {
    if (text === '') return this.#rows;
    return [...this.#segments.values()].flatMap(({ rows, pieces }) => {
      if (pieces === undefined) return [];
      const holds = rowsWith(pieces, text);
      const marked = this.#marked.get(rows) ?? rows;
      return marked.filter((_, i) => holds(i));
    });
  }

  #marked = new Map<readonly Row[], readonly Row[]>();

  async #refresh(): Promise<void> {
    this.#present = await this.#stamps();
    this.#looked = performance.now();
    const isPresent = new Map(this.#present.map((stamp) => [stamp.shard, stamp]));
    for (const [shard, segment] of this.#segments)
      if (!isSame(segment, isPresent.get(shard))) this.#drop(shard, segment);
    const missing = this.#present.filter(({ shard }) => !this.#segments.has(shard));
    for (const { shard } of missing) this.#faults.delete(shard);
    if (missing.length === 0) return;
    this.#kept ??= readIndex(path.join(this.#files.folder, INDEX_FILE), this.#files.knownAs);
    const kept = await this.#kept;
    const places = new Map(missing.map(({ shard }) => [shard, placeOf(shard)]));
    const isWaitedFor = ({ shard }: Stamp) => [...this.#waiting].some(({ wanted }) => wanted(places.get(shard)!));
    const unpacked = new Map<string, Promise<Buffer>>();
    const unpack = ({ shard }: Stamp) => {
      const bytes = unpacked.get(shard) ?? readShardBytes(this.#fileOf(shard));
      unpacked.set(shard, bytes);
      // It is told when it is this one's turn.
      bytes.catch(() => {});
      return bytes;
    };
    let [shown, pause] = [performance.now(), SOON];
    while (missing.length > 0) {
      const [stamp] = missing.splice(Math.max(0, missing.findIndex(isWaitedFor)), 1) as [Stamp];
      const before = kept.get(stamp.shard);
      try {
        const segment = isAlike(before, stamp) ? { ...before!, ...stamp } : await this.#index(stamp, unpack, missing);
        this.#segments.set(stamp.shard, segment);
        this.#textBytes += segment.pieces?.bytes.length ?? 0;
      } catch (error) {
        // One damaged shard must not hide the others.
        this.#faults.set(stamp.shard, messageOf(error));
      }
      unpacked.delete(stamp.shard);
      const read = [...this.#waiting].filter(({ wanted }) => !missing.some(({ shard }) => wanted(places.get(shard)!)));
      if (read.length > 0 || performance.now() - shown > pause) {
        this.#publish();
        [shown, pause] = [performance.now(), FRESH];
      }
      for (const { done } of read) done();
      // What the page asks is answered between two shards.
      await setImmediate();
    }
    kept.clear();
    this.#publish();
    await this.#keep();
  }

  async #index(stamp: Stamp, unpack: (stamp: Stamp) => Promise<Buffer>, next: readonly Stamp[]): Promise<Segment> {
    const file = this.#fileOf(stamp.shard);
    const withTexts = this.#textBytes < MOST_TEXT;
    if (this.#files.kind === 'evaluation') return indexAnswers(file, stamp, withTexts);
    const bytes = unpack(stamp);
    for (const one of next.slice(0, AHEAD)) if (one.size <= MOST_AHEAD) unpack(one);
    return indexShard(file, stamp, await bytes, this.#files.known, withTexts);
  }

  #drop(shard: string, segment: Segment): void {
    this.#segments.delete(shard);
    this.#textBytes -= segment.pieces?.bytes.length ?? 0;
    this.#unpacked.delete(shard);
  }

  /** Rows in the order of shards, with what only all of them together tell. */
  #publish(): void {
    const segments = this.#present.flatMap(({ shard }) => this.#segments.get(shard) ?? []);
    const unsteady = unsteadyOf(segments.flatMap(({ rows }) => rows));
    this.#marked = new Map(
      segments.map(({ rows }) => [
        rows,
        unsteady.size === 0 ? rows : rows.map((row) => (unsteady.has(sameAsked(row)) ? withUnsteady(row) : row)),
      ]),
    );
    this.#rows = segments.flatMap(({ rows }) => this.#marked.get(rows)!);
    this.#byKey = undefined;
    this.#version += 1;
  }

  async #keep(): Promise<void> {
    const { folder, knownAs } = this.#files;
    const segments = [...this.#segments.values()];
    const name = segments.map(({ shard, size, ending }) => `${shard} ${size} ${ending}`).join();
    if (this.#rows.length < WORTH_KEEPING || this.#files.kind === 'evaluation' || name === this.#written) return;
    // Only what nobody writes to, and what we may: an index that cannot be kept is made again next time.
    const names = await readdir(folder).catch(() => ['lock.json']);
    const mayWrite = await access(folder, constants.W_OK).then(
      () => true,
      () => false,
    );
    if (!mayWrite || names.includes('lock.json')) return;
    this.#written = name;
    const kept = await readIndex(path.join(folder, INDEX_FILE), knownAs);
    if (kept.size === segments.length && segments.every((one) => isAlike(kept.get(one.shard), one))) return;
    await writeIndex(path.join(folder, INDEX_FILE), knownAs, segments).catch(() => {});
  }

  #fileOf(shard: string): string {
    const { folder, kind } = this.#files;
    return kind === 'evaluation' ? path.join(folder, shard) : path.join(folder, 'trajectories', `${shard}.jsonl.gz`);
  }

  async #stamps(): Promise<Stamp[]> {
    const { folder, kind } = this.#files;
    const names =
      kind === 'evaluation'
        ? [ANSWERS]
        : (await readdir(path.join(folder, 'trajectories')).catch(() => []))
            .flatMap((name) => /^([\w-][\w.-]*)\.jsonl\.gz$/.exec(name)?.[1] ?? [])
            .sort(inOrderOfRun);
    const before = new Map(this.#present.map((stamp) => [stamp.shard, stamp]));
    const stamps = await Promise.all(
      names.map(async (shard) => {
        const file = this.#fileOf(shard);
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
}

/** Stages as they come; of a stage what it is trained on first, and its evaluation last; the rest by name. */
function inOrderOfRun(a: string, b: string): number {
  const [left, right] = [placeOf(a), placeOf(b)];
  const parts = ['pool', 'experts', 'plain', 'privileged', 'held-out', 'step', 'evaluation'];
  return (
    compareStages(left.stage, right.stage) ||
    parts.indexOf(left.part) - parts.indexOf(right.part) ||
    a.localeCompare(b, 'en', { numeric: true })
  );
}

type Seen = Pick<Stamp, 'size' | 'modified'>;
const isSame = (a: Seen | undefined, b: Seen | undefined) =>
  a !== undefined && b !== undefined && a.size === b.size && a.modified === b.modified;

/** Of another time or another copy. */
const isAlike = (a: Stamp | undefined, b: Stamp) => a !== undefined && a.size === b.size && a.ending === b.ending;

/** Names what is asked alike at several stages: by an evaluation of a run, or by the baselines of an evaluation. */
const sameAsked = ({ place, about, rollout }: Row) => `${place.mode}\n${about.suite}\n${about.id}\n${rollout}`;

function unsteadyOf(rows: readonly Row[]): Set<string> {
  const [right, wrong] = [bitOf('right'), bitOf('wrong') | bitOf('no-answer')];
  const seen = new Map<string, number>();
  const unsteady = new Set<string>();
  for (const row of rows) {
    if (row.place.part !== 'evaluation' && row.place.part !== 'answers') continue;
    const key = sameAsked(row);
    const all = (seen.get(key) ?? 0) | row.marks;
    seen.set(key, all);
    if ((all & right) !== 0 && (all & wrong) !== 0) unsteady.add(key);
  }
  return unsteady;
}

function withUnsteady(row: Row): Row {
  if (row.place.part !== 'evaluation' && row.place.part !== 'answers') return row;
  return { ...row, marks: row.marks | bitOf('unsteady') };
}
