/** The files of a run directory, for reading: by the run itself, the report, and whoever looks at it later. Needs no lock. */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError, readJson, readJsonLines } from '../base/files.ts';
import { readSealed } from '../base/sealed.ts';
import type { MetricRecord, PairRecord } from '../evolve/journal.ts';
import type { Results, Timing } from '../evolve/results.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { fromLine } from '../rollout/trajectory-file.ts';
import { type RunConfig, runConfigSchema } from './config-record.ts';
import { metricSchema, pairFromLine, parseAs, resultsSchema, timingSchema } from './schemas.ts';
import { listShards, readShard, shardFile } from './shards.ts';

export class RunFiles {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  /** Throws a UserError when the folder is no run directory or was written by another version of the format. */
  async config(): Promise<RunConfig> {
    const file = this.file('config.json');
    const { value } = await readSealed(file).catch((error: unknown) => {
      if (!(error instanceof Error && hasCode(error.cause, 'ENOENT', 'ENOTDIR'))) throw error;
      throw new UserError(
        `${this.folder}: not a run directory (${existsSync(this.folder) ? 'it has no config.json' : 'nothing is there'})`,
        {
          hint: 'Give the directory that an earlier run wrote to.',
          cause: error,
        },
      );
    });
    return parseAs(runConfigSchema, value, file, 'Runs of another version are continued with that version.');
  }

  /** Lines of metrics.jsonl, in the order in which they were written. */
  async metrics(): Promise<MetricRecord[]> {
    const file = this.file('metrics.jsonl');
    if (!(await exists(file))) return [];
    const records: MetricRecord[] = [];
    for await (const { line, value } of readJsonLines(file))
      records.push(parseAs(metricSchema, value, `${file}:${line}`));
    return records;
  }

  /** Undefined until the run has written results. */
  async results(): Promise<Results | undefined> {
    const file = this.file('results.json');
    return (await exists(file)) ? parseAs(resultsSchema, await readJson(file), file) : undefined;
  }

  async timing(): Promise<Timing | undefined> {
    const file = this.file('timing.json');
    return (await exists(file)) ? parseAs(timingSchema, await readJson(file), file) : undefined;
  }

  trajectoryShards(): Promise<string[]> {
    return listShards(this.file('trajectories'));
  }

  pairShards(): Promise<string[]> {
    return listShards(this.file('pairs'));
  }

  trajectories(shard: string): Promise<Trajectory[] | undefined> {
    return readShard(shardFile(this.file('trajectories'), shard), fromLine);
  }

  pairs(shard: string): Promise<PairRecord[] | undefined> {
    return readShard(shardFile(this.file('pairs'), shard), pairFromLine);
  }

  /** Names in the folder; undefined when there is no such folder. */
  async entries(): Promise<string[] | undefined> {
    return readdir(this.folder).catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw fileError(error, this.folder, 'read');
    });
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'ENOENT')) return false;
      throw fileError(error, file, 'read');
    },
  );
}
