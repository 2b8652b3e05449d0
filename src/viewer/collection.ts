/**
 * All trajectories of a run, or all answers of an evaluation: indexed in the background, kept up while more are written, selected by
 * filters. Rows come first, from the kept index, from what the run wrote of its shards, or from the shards; then texts, for searching.
 */
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { keyOf, type Place, type Row } from '../runs/rows/row.ts';
import { placeOf } from '../runs/rows/row-maker.ts';
import { readRowsFile } from '../runs/rows/rows-file.ts';
import { type Filter, matcher, sorted } from './filter.ts';
import { INDEX_FILE, readIndex, writeIndex } from './kept-index.ts';
import type { Known } from './read-row.ts';
import { indexAnswers, indexShard, lineOfBytes, type Segment, textsOfShard } from './segment.ts';
import { fileOf, isAlike, isSame, type Shards, type Stamp, stampsOf } from './stamps.ts';
import { rowsWith } from './text-pieces.ts';
import { Unpacked } from './unpacked.ts';
import { withUnsteady } from './unsteady.ts';

/** Bytes of texts that are held for searching; beyond them the texts of further shards are not searched. */
const MOST_TEXT = 2 ** 28;
/** Fewer trajectories are indexed again in no time. */
const WORTH_KEEPING = 4000;
/** Looks at the folder, and shows more of what is being read, at most this often, in milliseconds; the first of it sooner. */
const FRESH = 500;
const SOON = 100;
/** So many of the run's files of rows are read at once. */
const AT_ONCE = 32;

export interface IndexState {
  readonly rows: number;
  readonly shards: number;
  readonly ofShards: number;
  /** Of `shards` those whose texts are searched, or never will be. */
  readonly textShards: number;
  /** Shards that cannot be read, with the reason. */
  readonly faults: readonly string[];
  /** Trajectories whose texts are beyond the bound. */
  readonly unsearched: number;
}

/** Where the files are, and how they are read. */
export interface CollectionFiles extends Shards {
  /** Of a run of an earlier version: what its trajectories do not hold. */
  readonly known: () => Promise<Known>;
  /** Names what `known` gives, so that an index is not kept beyond it. */
  readonly knownAs: string;
}

interface Waiting {
  readonly wanted: (place: Place) => boolean;
  readonly done: () => void;
}

export class Collection {
  readonly #files: CollectionFiles;
  readonly #segments = new Map<string, Segment>();
  readonly #faults = new Map<string, string>();
  readonly #unpacked = new Unpacked();
  #kept: Promise<Map<string, Segment>> | undefined;
  #present: readonly Stamp[] = [];
  #rows: readonly Row[] = [];
  /** Rows of each shard by their segment's, with what only all of them tell. */
  #marked = new Map<readonly Row[], readonly Row[]>();
  #byKey: Map<string, Row> | undefined;
  #textBytes = 0;
  #looked = 0;
  #work: Promise<void> | undefined;
  /** Resolves when the rows of the present reading are there; its texts may not be yet. */
  #there = Promise.withResolvers<void>();
  readonly #waiting = new Set<Waiting>();
  #written = '';

  constructor(files: CollectionFiles) {
    this.#files = files;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get state(): IndexState {
    const segments = [...this.#segments.values()];
    const isBeyond = this.#textBytes >= MOST_TEXT;
    const without = segments.filter(({ pieces }) => pieces === undefined);
    const toRead = isBeyond ? 0 : without.filter(({ shard }) => !this.#faults.has(shard)).length;
    const shards = new Set([...this.#segments.keys(), ...this.#faults.keys()]).size;
    return {
      rows: this.#rows.length,
      shards,
      ofShards: this.#present.length,
      textShards: shards - toRead,
      faults: [...this.#faults.values()],
      unsearched: isBeyond ? without.reduce((n, { rows }) => n + rows.length, 0) : 0,
    };
  }

  /** Begins to read what is new; resolves when it is read, with its texts. Several callers share one reading. */
  refresh(): Promise<void> {
    if (this.#work === undefined) {
      this.#there = Promise.withResolvers();
      this.#work = this.#refresh().finally(() => {
        this.#work = undefined;
        this.#there.resolve();
      });
    }
    return this.#work;
  }

  /** Reads the rows of the shards of such places before all others; resolves when they are read. */
  async ensure(wanted: (place: Place) => boolean): Promise<void> {
    if (this.#isFresh) return;
    let done = () => {};
    const read = new Promise<void>((resolve) => {
      done = resolve;
    });
    const waiting = { wanted, done };
    this.#waiting.add(waiting);
    await Promise.race([this.refresh(), this.#there.promise, read]).finally(() => this.#waiting.delete(waiting));
  }

  /** Waits for the rows of all shards for a moment: a small run is there at once, a large one as far as it has been read. */
  async glance(milliseconds = this.#rows.length === 0 ? 400 : 50): Promise<void> {
    if (this.#isFresh) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((done) => (timer = setTimeout(done, milliseconds)));
    await Promise.race([this.refresh(), this.#there.promise, late]);
    clearTimeout(timer);
  }

  get #isFresh(): boolean {
    return this.#work === undefined && performance.now() - this.#looked < FRESH;
  }

  /** The rows of a filter in its order. */
  select(filter: Filter): readonly Row[] {
    return sorted(this.holding(filter.text).filter(matcher(filter)), filter.sort);
  }

  find(key: string): Row | undefined {
    this.#byKey ??= new Map(this.#rows.map((row) => [keyOf(row), row]));
    return this.#byKey.get(key);
  }

  /** The trajectory's line as it stands in its shard. */
  async line({ place, line }: Pick<Row, 'place' | 'line'>): Promise<string | undefined> {
    const segment = this.#segments.get(place.shard);
    if (segment === undefined) return undefined;
    return lineOfBytes(await this.#unpacked.of(segment, fileOf(this.#files, place.shard)), line);
  }

  /** The rows that hold the text, all of them where there is none, in the order of the run. */
  holding(text: string): readonly Row[] {
    if (text === '') return this.#rows;
    // In the order of the run, which is not that in which shards were read.
    return this.#present.flatMap(({ shard }) => {
      const { rows, pieces } = this.#segments.get(shard) ?? {};
      if (rows === undefined || pieces === undefined) return [];
      const holds = rowsWith(pieces, text);
      const marked = this.#marked.get(rows) ?? rows;
      return marked.filter((_, i) => holds(i));
    });
  }

  async #refresh(): Promise<void> {
    this.#present = await stampsOf(this.#files, this.#present);
    this.#looked = performance.now();
    const isPresent = new Map(this.#present.map((stamp) => [stamp.shard, stamp]));
    for (const [shard, segment] of this.#segments)
      if (!isSame(segment, isPresent.get(shard))) this.#drop(shard, segment);
    const missing = this.#present.filter(({ shard }) => !this.#segments.has(shard));
    for (const { shard } of missing) this.#faults.delete(shard);
    if (missing.length === 0) return;
    await this.#readShards(await this.#takeRows(missing));
    this.#publish();
    this.#there.resolve();
    await this.#readTexts();
    await this.#keep();
  }

  #drop(shard: string, segment: Segment): void {
    this.#segments.delete(shard);
    this.#textBytes -= segment.pieces?.bytes.length ?? 0;
    this.#unpacked.drop(shard);
  }

  #add(segment: Segment): void {
    this.#textBytes += segment.pieces?.bytes.length ?? 0;
    this.#segments.set(segment.shard, segment);
  }

  /** What is known of the shards without reading them. Gives those of which nothing is. */
  async #takeRows(missing: readonly Stamp[]): Promise<Stamp[]> {
    const { folder, kind, knownAs } = this.#files;
    if (kind === 'evaluation') return [...missing];
    this.#kept ??= readIndex(path.join(folder, INDEX_FILE), knownAs);
    const kept = await this.#kept;
    // Of one that is held once more nothing is gained.
    this.#kept = Promise.resolve(new Map());
    const left: Stamp[] = [];
    for (let from = 0; from < missing.length; from += AT_ONCE)
      await Promise.all(
        missing.slice(from, from + AT_ONCE).map(async (stamp) => {
          const before = kept.get(stamp.shard);
          if (isAlike(before, stamp)) return this.#add({ ...before!, ...stamp });
          const rows = await readRowsFile(folder, stamp.shard, stamp);
          if (rows === undefined) left.push(stamp);
          else this.#add({ ...stamp, rows, pieces: undefined });
        }),
      );
    if (left.length < missing.length && left.length > 0) this.#publish();
    return left;
  }

  /** Reads shards whole, those that somebody waits for first, and shows what has been read from time to time. */
  async #readShards(left: readonly Stamp[]): Promise<void> {
    const toRead = new Set(left);
    const missing = this.#present.filter((stamp) => toRead.has(stamp));
    const places = new Map(missing.map(({ shard }) => [shard, placeOf(shard)]));
    const isWaitedFor = ({ shard }: Stamp) => [...this.#waiting].some(({ wanted }) => wanted(places.get(shard)!));
    let [shown, pause] = [performance.now(), SOON];
    while (missing.length > 0) {
      const [stamp] = missing.splice(Math.max(0, missing.findIndex(isWaitedFor)), 1) as [Stamp];
      try {
        this.#add(await this.#index(stamp, missing));
      } catch (error) {
        // One damaged shard must not hide the others.
        this.#faults.set(stamp.shard, messageOf(error));
      }
      const read = [...this.#waiting].filter(({ wanted }) => !missing.some(({ shard }) => wanted(places.get(shard)!)));
      if (read.length > 0 || performance.now() - shown > pause) {
        this.#publish();
        [shown, pause] = [performance.now(), FRESH];
      }
      for (const { done } of read) done();
      // What the page asks is answered between two shards.
      await setImmediate();
    }
  }

  async #index(stamp: Stamp, next: readonly Stamp[]): Promise<Segment> {
    const file = fileOf(this.#files, stamp.shard);
    const withTexts = this.#textBytes < MOST_TEXT;
    if (this.#files.kind === 'evaluation') return indexAnswers(file, stamp, withTexts);
    const bytes = await this.#unpacked.ahead(stamp, next, ({ shard }) => fileOf(this.#files, shard));
    return indexShard(file, stamp, bytes, this.#files.known, withTexts);
  }

  /** The texts of shards whose rows were there without them. */
  async #readTexts(): Promise<void> {
    const isWithout = ({ shard }: Stamp) => {
      const segment = this.#segments.get(shard);
      return segment !== undefined && segment.pieces === undefined && !this.#faults.has(shard);
    };
    const without = this.#present.filter(isWithout);
    while (without.length > 0 && this.#textBytes < MOST_TEXT) {
      const stamp = without.shift()!;
      const file = fileOf(this.#files, stamp.shard);
      try {
        const bytes = await this.#unpacked.ahead(stamp, without, ({ shard }) => fileOf(this.#files, shard));
        this.#add({ ...this.#segments.get(stamp.shard)!, pieces: textsOfShard(file, bytes) });
      } catch (error) {
        this.#faults.set(stamp.shard, messageOf(error));
      }
      await setImmediate();
    }
  }

  /** Rows in the order of shards, with what only all of them together tell. */
  #publish(): void {
    const all = this.#present.flatMap(({ shard }) => this.#segments.get(shard) ?? []).map(({ rows }) => rows);
    const marked = withUnsteady(all);
    this.#marked = new Map(all.map((rows, i) => [rows, marked[i]!]));
    this.#rows = marked.flat();
    this.#byKey = undefined;
  }

  async #keep(): Promise<void> {
    const { folder, kind, knownAs } = this.#files;
    const segments = [...this.#segments.values()];
    const name = segments.map(({ shard, size, ending }) => `${shard} ${size} ${ending}`).join();
    if (this.#rows.length < WORTH_KEEPING || kind === 'evaluation' || name === this.#written) return;
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
}
