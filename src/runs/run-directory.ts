/**
 * The directory that a run writes to, and continues from after any kind of end.
 *
 *     config.json  metrics.jsonl  trajectories/*.jsonl.gz  pairs/*.jsonl.gz  checkpoints/  results.json  timing.json  report.html
 *     index/*.json.gz (rows/rows-file.ts: for whoever looks at the run; it may be deleted)
 *
 * What counts is what stood when the newest checkpoint was written, under its hashes: lines of metrics.jsonl after it are dropped on resume;
 * shards after it are written again, byte for byte the same, since everything follows from the seed.
 */
import { createHash, type Hash } from 'node:crypto';
import { appendFile, readdir, readFile, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError, hashFile, makeFolder, writeFileAtomic } from '../base/files.ts';
import { damaged, verifyFiles, writeSealed } from '../base/sealed.ts';
import { shellCommand } from '../base/shell-command.ts';
import type { EvolveState, Journal, MetricRecord, PairRecord } from '../evolve/journal.ts';
import type { Results, Timing } from '../evolve/results.ts';
import type { Policy } from '../policy/policy.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { toLine } from '../rollout/trajectory-file.ts';
import { Checkpoints } from './checkpoints.ts';
import { type RunConfig, recorded } from './config-record.ts';
import { acquireLock, type Lock } from './lock.ts';
import { ROWS_FOLDER, writeRowsFile } from './rows/rows-file.ts';
import { RunFiles } from './run-files.ts';
import { pairToLine } from './schemas.ts';
import { listShards, type ShardStamp, shardFile, writeShard } from './shards.ts';

export class RunDirectory implements Journal {
  readonly files: RunFiles;
  readonly config: RunConfig;
  readonly #lock: Lock;
  readonly #checkpoints: Checkpoints;
  /** Whole lines of metrics.jsonl, and their hash so far. */
  #metricLines = 0;
  #metrics: Hash = createHash('sha256');
  /** Of every shard written so far, by its path in the run. */
  #shards = new Map<string, string>();

  private constructor(files: RunFiles, config: RunConfig, lock: Lock) {
    this.files = files;
    this.config = config;
    this.#lock = lock;
    this.#checkpoints = new Checkpoints(files.file('checkpoints'));
  }

  /** Begins a run in a new or empty folder. Throws a UserError when there is something in it, or when it cannot be written. */
  static async create(folder: string, config: RunConfig): Promise<RunDirectory> {
    const files = new RunFiles(folder);
    await RunDirectory.refuseUsed(folder);
    await makeFolder(folder);
    const lock = await acquireLock(folder);
    try {
      // Once more, now that nobody else can begin here.
      await RunDirectory.refuseUsed(folder);
      await removeTemporary(folder);
      await writeSealed(files.file('config.json'), recorded(config));
    } catch (error) {
      await lock.release();
      throw error;
    }
    return new RunDirectory(files, config, lock);
  }

  /** Throws a UserError when a run cannot begin in a folder because something is there. */
  static async refuseUsed(folder: string): Promise<void> {
    const entries = (await new RunFiles(folder).entries()) ?? [];
    if (entries.includes('config.json'))
      throw new UserError(`${folder}: holds a run already`, {
        hint: `Continue it with: ${shellCommand('search-e1', 'evolve', '--resume', folder)}\nOr choose another directory with --out.`,
      });
    // A start that was broken off leaves its lock and temporary files behind.
    if (entries.some((name) => name !== 'lock.json' && !name.endsWith('.tmp')))
      throw new UserError(`${folder}: is not empty`, { hint: 'Choose another directory with --out.' });
  }

  /** Opens a run to continue it. Throws a UserError when the folder is none, is damaged, or is in use. */
  static async open(folder: string): Promise<RunDirectory> {
    const files = new RunFiles(folder);
    await files.config();
    const lock = await acquireLock(folder);
    try {
      await removeTemporary(folder);
      return new RunDirectory(files, await files.config(), lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** The run goes on somewhere else, which its record says from now on. */
  async move(settings: RunConfig['settings'], engine: RunConfig['engine']): Promise<void> {
    await writeSealed(this.files.file('config.json'), recorded({ ...this.config, settings, engine }));
  }

  async metric(record: MetricRecord): Promise<void> {
    const file = this.files.file('metrics.jsonl');
    const line = `${JSON.stringify(record)}\n`;
    await appendFile(file, line, { flush: true }).catch((error: unknown) => {
      throw fileError(error, file, 'write');
    });
    this.#metricLines += 1;
    this.#metrics.update(line);
  }

  async writeTrajectories(shard: string, trajectories: readonly Trajectory[]): Promise<void> {
    const stamp = await this.#writeShard('trajectories', shard, trajectories.map(toLine));
    await writeRowsFile(this.files.folder, shard, stamp, trajectories);
  }

  readTrajectories(shard: string): Promise<Trajectory[] | undefined> {
    return this.files.trajectories(shard);
  }

  async writePairs(shard: string, pairs: readonly PairRecord[]): Promise<void> {
    await this.#writeShard('pairs', shard, pairs.map(pairToLine));
  }

  async #writeShard(kind: 'trajectories' | 'pairs', shard: string, lines: readonly string[]): Promise<ShardStamp> {
    const file = shardFile(this.files.file(kind), shard);
    const stamp = await writeShard(file, lines);
    this.#shards.set(`${kind}/${path.basename(file)}`, stamp.hash);
    return stamp;
  }

  readPairs(shard: string): Promise<PairRecord[] | undefined> {
    return this.files.pairs(shard);
  }

  checkpoint(state: EvolveState, policy: Policy, keep?: string): Promise<void> {
    const past = {
      metricLines: this.#metricLines,
      metrics: this.#metrics.copy().digest('hex'),
      shards: Object.fromEntries([...this.#shards].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
    return this.#checkpoints.save(state, past, policy, keep);
  }

  async restoreKept(name: string, policy: Policy): Promise<void> {
    await policy.restore(await this.#checkpoints.kept(name), { optimizer: 'fresh' });
  }

  async restoreLatest(policy: Policy): Promise<EvolveState | undefined> {
    const stored = await this.#checkpoints.restoreLatest(policy);
    // Nothing is cut before all has been held against its hashes.
    await verifyFiles(this.files.folder, stored?.past?.shards ?? {});
    this.#shards = new Map(Object.entries(stored?.past?.shards ?? (await this.#presentShards())));
    this.#metricLines = stored?.metricLines ?? 0;
    this.#metrics = await keepLines(this.files.file('metrics.jsonl'), this.#metricLines, stored?.past?.metrics);
    return stored?.state;
  }

  /** Of a run whose checkpoints have no hashes: what is there from now on stays what it is. */
  async #presentShards(): Promise<Record<string, string>> {
    const hashes: Record<string, string> = {};
    for (const kind of ['trajectories', 'pairs'] as const)
      for (const shard of await listShards(this.files.file(kind))) {
        const file = shardFile(this.files.file(kind), shard);
        hashes[`${kind}/${path.basename(file)}`] = await hashFile(file);
      }
    return hashes;
  }

  async writeResults(results: Results, timing: Timing): Promise<void> {
    await writeFileAtomic(this.files.file('results.json'), `${JSON.stringify(results, null, 2)}\n`);
    await writeFileAtomic(this.files.file('timing.json'), `${JSON.stringify({ schema: 1, ...timing }, null, 2)}\n`);
  }

  /** Gives the folder free for another process. */
  close(): Promise<void> {
    return this.#lock.release();
  }
}

/**
 * Removes what a process left half-written when it was killed. The lock's own temporary files are the lock's affair, and those
 * of checkpoints the policy's (checkpoints.ts): a server may hold what belongs to them.
 */
async function removeTemporary(folder: string): Promise<void> {
  for (const part of [folder, ...['trajectories', 'pairs', ROWS_FOLDER].map((name) => path.join(folder, name))]) {
    const names = await readdir(part).catch(() => []);
    for (const name of names)
      if (name.endsWith('.tmp') && !name.startsWith('lock.json'))
        await rm(path.join(part, name), { recursive: true, force: true });
  }
}

/**
 * Cuts a file after its first `count` lines and gives their hash, to go on from.
 * @throws UserError when there are fewer, or they are not those of the hash given
 */
async function keepLines(file: string, count: number, hash: string | undefined): Promise<Hash> {
  const bytes = await readFile(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return Buffer.alloc(0);
    throw fileError(error, file, 'read');
  });
  let end = 0;
  for (let line = 0; line < count; line++) {
    const newline = bytes.indexOf(10, end);
    if (newline < 0)
      throw new UserError(`${file}: has ${line} lines, the newest checkpoint counted ${count}`, {
        hint: 'The file was changed since; bring it back, or start a new run with --out.',
      });
    end = newline + 1;
  }
  const kept = createHash('sha256').update(bytes.subarray(0, end));
  if (hash !== undefined && kept.copy().digest('hex') !== hash) throw damaged(file);
  if (end < bytes.length)
    await truncate(file, end).catch((error: unknown) => {
      throw fileError(error, file, 'write');
    });
  return kept;
}
