/**
 * A run that goes on from where another one stands, under other settings: both share every stage so far, bit for bit.
 * This is how the arms of an experiment share what is the same in all of them.
 */
import { existsSync } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../base/errors.ts';
import { fileError, makeFolder, shareFolder, syncFolder } from '../base/files.ts';
import { writeSealed } from '../base/sealed.ts';
import type { Settings } from '../evolve/settings.ts';
import { decisive, planStages } from '../evolve/stages.ts';
import { Checkpoints } from './checkpoints.ts';
import { recorded } from './config-record.ts';
import { acquireLock } from './lock.ts';
import { ROWS_FOLDER } from './rows/rows-file.ts';
import { RunFiles } from './run-files.ts';

/** What a run's past is made of; config.json is written anew, and the report at the fork's own end. */
const PAST = {
  /** Grow, or are small. */
  files: ['metrics.jsonl', 'results.json', 'timing.json'],
  /** Of files that are never written again. */
  folders: ['trajectories', 'pairs', 'checkpoints', ROWS_FOLDER],
};

/**
 * Copies the run in `from`, which must stand between two stages, into the new folder `to`; there it is continued like any run.
 * The folder appears whole or not at all. Checkpoints and shards are shared where the file system has hard links.
 * @throws UserError when the settings would have led to another past, the run is in use, or `to` exists
 */
export async function forkRun(from: string, to: string, settings: Settings): Promise<void> {
  if (existsSync(to)) throw new UserError(`${to}: is there already`, { hint: 'Choose another directory.' });
  const files = new RunFiles(from);
  const temporary = `${to}.tmp`;
  const lock = await acquireLock(from);
  try {
    const config = await files.config();
    const state = await new Checkpoints(files.file('checkpoints')).latestState();
    if (state === undefined || state.step !== 0)
      throw new UserError(`${from}: stands in the middle of a stage; a run can be forked between stages`);
    checkSamePast(config.settings, settings, state.stage, from);
    await rm(temporary, { recursive: true, force: true });
    await makeFolder(temporary);
    for (const name of PAST.files)
      if (existsSync(files.file(name))) await copyFile(files.file(name), path.join(temporary, name));
    for (const name of PAST.folders)
      if (existsSync(files.file(name))) await shareFolder(files.file(name), path.join(temporary, name));
    await writeSealed(path.join(temporary, 'config.json'), recorded({ ...config, settings }));
    await rename(temporary, to);
    await syncFolder(path.dirname(to));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw fileError(error, to, 'write');
  } finally {
    await lock.release();
  }
}

/** Refuses settings under which the first `stages` stages would not have been the same. */
function checkSamePast(had: Settings, wanted: Settings, stages: number, from: string): void {
  const past = planStages(had).slice(0, stages);
  if (!isDeepStrictEqual(past, planStages(wanted).slice(0, stages)))
    throw new UserError(`${from}: its first ${stages} stages are not those of the forked run's plan`);
  const [a, b] = [decisive(had, past), decisive(wanted, past)];
  for (const name of Object.keys({ ...a, ...b }))
    if (!isDeepStrictEqual(a[name], b[name]))
      throw new UserError(`${from}: ${name} differs from the forked run's, which has been used already`);
}
