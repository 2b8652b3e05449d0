/**
 * Checkpoints of a run: folders NNNN or NNNN-<name>, and latest.json, which alone says which of them count.
 *
 * A checkpoint is made in a temporary folder, made durable, renamed, and only then named in latest.json; what latest.json
 * does not name is removed afterwards. Ended at any moment, the run has either the old checkpoint or the new one.
 */
import { existsSync } from 'node:fs';
import { open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError, makeFolder, readJson, syncFolder, writeFileAtomic } from '../base/files.ts';
import type { EvolveState } from '../evolve/journal.ts';
import { BASE } from '../evolve/stage.ts';
import { stageNamed } from '../evolve/stages.ts';
import type { Policy } from '../policy/policy.ts';
import { parseAs, pointerSchema, stateSchema } from './schemas.ts';

type Pointer = z.infer<typeof pointerSchema>;
export type StoredState = z.infer<typeof stateSchema>;

const STATE = 'state.json';

export class Checkpoints {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Saves policy and state, together or not at all; `keep` keeps them under a name, in place of an earlier one of that name. */
  async save(state: EvolveState, metricLines: number, policy: Policy, keep: string | undefined): Promise<void> {
    const pointer = await this.#pointer();
    const number = pointer === undefined ? 1 : Number.parseInt(pointer.latest, 10) + 1;
    const name = String(number).padStart(4, '0') + (keep === undefined ? '' : `-${keep}`);
    const temporary = path.join(this.folder, `${name}.tmp`);
    const final = path.join(this.folder, name);
    try {
      await rm(temporary, { recursive: true, force: true });
      await makeFolder(temporary);
      await policy.save(temporary);
      const stored: StoredState = { schema: 1, metricLines, state };
      await writeFile(path.join(temporary, STATE), `${JSON.stringify(stored, null, 2)}\n`);
      await syncFiles(temporary);
      // A folder of this name was left by a process that ended before it was named in latest.json.
      await rm(final, { recursive: true, force: true });
      await rename(temporary, final);
      await syncFolder(this.folder);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true }).catch(() => {});
      throw fileError(error, final, 'write');
    }
    const kept = keep === undefined ? (pointer?.kept ?? {}) : { ...pointer?.kept, [keep]: name };
    const next: Pointer = { schema: 1, latest: name, kept };
    await writeFileAtomic(this.#pointerFile, `${JSON.stringify(next, null, 2)}\n`);
    await this.#removeAllBut(next, policy);
  }

  /** Restores the newest checkpoint and returns its state; undefined when there is none yet. */
  async restoreLatest(policy: Policy): Promise<StoredState | undefined> {
    const pointer = await this.#pointer();
    if (pointer === undefined) return undefined;
    const folder = path.join(this.folder, pointer.latest);
    const file = path.join(folder, STATE);
    const stored = parseAs(stateSchema, await readJson(file), file);
    await policy.restore(folder, { optimizer: 'kept' });
    return stored;
  }

  /** Where the newest checkpoint stands; undefined when there is none yet. */
  async latestState(): Promise<EvolveState | undefined> {
    const pointer = await this.#pointer();
    if (pointer === undefined) return undefined;
    const file = path.join(this.folder, pointer.latest, STATE);
    return parseAs(stateSchema, await readJson(file), file).state;
  }

  /** Folder of a kept checkpoint. Throws a UserError when there is none of that name. */
  async kept(name: string): Promise<string> {
    const folder = (await this.#pointer())?.kept[name];
    if (folder === undefined) throw new UserError(`${this.folder}: no checkpoint is kept under the name ${name}`);
    return path.join(this.folder, folder);
  }

  /**
   * The training stage that ended last, or the one of that name, with its folder: a whole model. Throws a UserError when
   * there is none.
   */
  async trained(name?: string): Promise<{ readonly stage: string; readonly folder: string }> {
    // Not those that a round keeps on its way.
    const kept = Object.entries((await this.#pointer())?.kept ?? {}).filter(
      ([name]) => name === BASE || stageNamed(name) !== undefined,
    );
    // Numbered as they were written; the base comes first.
    const [stage, folder] =
      name === undefined
        ? (kept.sort(([, a], [, b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).at(-1) ?? [])
        : (kept.find(([stage]) => stage === name) ?? []);
    if (stage === undefined || folder === undefined)
      throw new UserError(`${this.folder}: ${name === undefined ? 'no stage has ended yet' : `no stage ${name}`}`, {
        hint: kept.length === 0 ? 'Let the run go on first.' : `There are ${kept.map(([each]) => each).join(', ')}.`,
      });
    return { stage, folder: path.join(this.folder, folder) };
  }

  get #pointerFile(): string {
    return path.join(this.folder, 'latest.json');
  }

  async #pointer(): Promise<Pointer | undefined> {
    try {
      return parseAs(pointerSchema, await readJson(this.#pointerFile), this.#pointerFile);
    } catch (error) {
      if (error instanceof Error && hasCode(error.cause, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async #removeAllBut({ latest, kept }: Pointer, policy: Policy): Promise<void> {
    const wanted = new Set([latest, ...Object.values(kept)]);
    for (const entry of await readdir(this.folder, { withFileTypes: true })) {
      if (!entry.isDirectory() || wanted.has(entry.name)) continue;
      const folder = path.join(this.folder, entry.name);
      await policy.discard(folder);
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** "RUN" or "RUN#STAGE", as users name a run's policy. A folder may have a "#" in its own name. */
export function splitStage(place: string): [folder: string, stage?: string] {
  const [, folder, stage] = /^(.+)#([^#/\\]+)$/.exec(place) ?? [];
  return folder === undefined || stage === undefined || existsSync(place) ? [place] : [folder, stage];
}

/** Makes a folder and all files in it durable. */
async function syncFiles(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const handle = await open(path.join(entry.parentPath, entry.name), 'r+');
    await handle.sync().finally(() => handle.close());
  }
  await syncFolder(folder);
}
