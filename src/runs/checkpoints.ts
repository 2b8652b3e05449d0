/**
 * Checkpoints of a run: folders NNNN or NNNN-<name>, and latest.json, which alone says which of them count.
 *
 * A checkpoint is made in a temporary folder, made durable, renamed, and only then named in latest.json; what latest.json
 * does not name is removed afterwards. Ended at any moment, the run has either the old checkpoint or the new one.
 *
 * Everything that counts is under a hash: latest.json carries its own and those of the state.json of each checkpoint, which has those of
 * its checkpoint's files and of the run's past. Damage is refused by file, and nothing is restored or deleted on the word of a damaged one.
 */
import { existsSync } from 'node:fs';
import { open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError, makeFolder, readJson, sha256, syncFolder } from '../base/files.ts';
import { hashFolder, readSealed, verifyFiles, writeSealed } from '../base/sealed.ts';
import type { EvolveState } from '../evolve/journal.ts';
import { BASE } from '../evolve/stage.ts';
import { stageNamed } from '../evolve/stages.ts';
import type { Policy } from '../policy/policy.ts';
import { type Past, parseAs, pointerSchema, stateSchema } from './schemas.ts';

type Pointer = z.infer<typeof pointerSchema>;
export type StoredState = z.infer<typeof stateSchema>;

const STATE = 'state.json';

export class Checkpoints {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * Saves policy and state, together or not at all; `keep` keeps them under a name, in place of an earlier one of that name.
   * @param past what the state rests on besides the policy
   */
  async save(
    state: EvolveState,
    past: Past & { readonly metricLines: number },
    policy: Policy,
    keep: string | undefined,
  ): Promise<void> {
    const pointer = await this.#pointer();
    const number = pointer === undefined ? 1 : numberOf(pointer.latest) + 1;
    const name = String(number).padStart(4, '0') + (keep === undefined ? '' : `-${keep}`);
    const temporary = path.join(this.folder, `${name}.tmp`);
    const final = path.join(this.folder, name);
    const { metricLines, metrics, shards } = past;
    let text: string;
    try {
      await this.#remove(`${name}.tmp`, policy);
      await makeFolder(temporary);
      await policy.save(temporary);
      const files = await hashFolder(temporary);
      const stored: StoredState = { schema: 1, metricLines, state, files: { ...files }, past: { metrics, shards } };
      text = `${JSON.stringify(stored, null, 2)}\n`;
      await writeFile(path.join(temporary, STATE), text);
      await syncFiles(temporary);
      // A folder of this name was left by a process that ended before it was named in latest.json.
      await this.#remove(name, policy);
      await rename(temporary, final);
      await syncFolder(this.folder);
    } catch (error) {
      await this.#remove(`${name}.tmp`, policy).catch(() => {});
      throw fileError(error, final, 'write');
    }
    const kept = keep === undefined ? (pointer?.kept ?? {}) : { ...pointer?.kept, [keep]: name };
    const wanted = new Set([name, ...Object.values(kept)]);
    const states = Object.entries({ ...pointer?.states, [name]: sha256(text) }).filter(([each]) => wanted.has(each));
    const next: Pointer = { schema: 1, latest: name, kept, states: Object.fromEntries(states) };
    await writeSealed(this.#pointerFile, next);
    await this.#removeSuperseded(next, policy);
  }

  /** Restores the newest checkpoint and returns its state; undefined when there is none yet. Half-written ones are removed. */
  async restoreLatest(policy: Policy): Promise<StoredState | undefined> {
    const pointer = await this.#pointer();
    for (const name of await readdir(this.folder).catch(() => []))
      if (name.endsWith('.tmp')) await this.#remove(name, policy);
    if (pointer === undefined) return undefined;
    const folder = path.join(this.folder, pointer.latest);
    await this.#verify(pointer, pointer.latest);
    const stored = await this.#state(pointer, pointer.latest);
    await policy.restore(folder, { optimizer: 'kept' });
    return stored;
  }

  /** Where the newest checkpoint stands; undefined when there is none yet. */
  async latestState(): Promise<EvolveState | undefined> {
    const pointer = await this.#pointer();
    return pointer && (await this.#state(pointer, pointer.latest)).state;
  }

  /** Folder of a kept checkpoint. Throws a UserError when there is none of that name, or it is damaged. */
  async kept(name: string): Promise<string> {
    const pointer = await this.#pointer();
    const folder = pointer?.kept[name];
    if (pointer === undefined || folder === undefined)
      throw new UserError(`${this.folder}: no checkpoint is kept under the name ${name}`);
    await this.#verify(pointer, folder);
    return path.join(this.folder, folder);
  }

  /**
   * The training stage that ended last, or the one of that name, with its folder: a whole model. Throws a UserError when
   * there is none, or it is damaged.
   */
  async trained(name?: string): Promise<{ readonly stage: string; readonly folder: string }> {
    const pointer = await this.#pointer();
    // Not those that a round keeps on its way.
    const kept = Object.entries(pointer?.kept ?? {}).filter(
      ([name]) => name === BASE || stageNamed(name) !== undefined,
    );
    // Numbered as they were written; the base comes first.
    const [stage, folder] =
      name === undefined
        ? (kept.sort(([, a], [, b]) => numberOf(a) - numberOf(b)).at(-1) ?? [])
        : (kept.find(([stage]) => stage === name) ?? []);
    if (pointer === undefined || stage === undefined || folder === undefined)
      throw new UserError(`${this.folder}: ${name === undefined ? 'no stage has ended yet' : `no stage ${name}`}`, {
        hint: kept.length === 0 ? 'Let the run go on first.' : `There are ${kept.map(([each]) => each).join(', ')}.`,
      });
    await this.#verify(pointer, folder);
    return { stage, folder: path.join(this.folder, folder) };
  }

  get #pointerFile(): string {
    return path.join(this.folder, 'latest.json');
  }

  /** Undefined in a run that has no checkpoint yet. */
  async #pointer(): Promise<Pointer | undefined> {
    const file = this.#pointerFile;
    const folders = await this.#folders();
    const read = await readSealed(file).catch((error: unknown) => {
      if (error instanceof Error && hasCode(error.cause, 'ENOENT')) return undefined;
      throw error;
    });
    if (read === undefined) {
      // A process that ended before it had named its first checkpoint leaves that one alone.
      if (folders.every((name) => numberOf(name) === 1)) return undefined;
      throw new UserError(`${file}: is missing, though there are checkpoints`, {
        hint: 'Bring it back from a copy, if there is one. Nothing was changed or deleted.',
      });
    }
    const pointer = parseAs(pointerSchema, read.value, file);
    const lost = [pointer.latest, ...Object.values(pointer.kept)].find((name) => !folders.includes(name));
    if (lost !== undefined)
      throw new UserError(`${file}: names the checkpoint ${lost}, which is not there`, {
        hint: 'Bring it back from a copy, if there is one. Nothing was changed or deleted.',
      });
    return pointer;
  }

  /** Holds the files of a checkpoint that the pointer names against their hashes; of runs before 0.5 there are none. */
  async #verify(pointer: Pointer, name: string): Promise<void> {
    if (pointer.states?.[name] === undefined) return;
    const { files } = await this.#state(pointer, name);
    await verifyFiles(path.join(this.folder, name), files ?? {});
  }

  async #state({ states }: Pointer, name: string): Promise<StoredState> {
    await verifyFiles(this.folder, states?.[name] === undefined ? {} : { [`${name}/${STATE}`]: states[name] });
    const file = path.join(this.folder, name, STATE);
    return parseAs(stateSchema, await readJson(file), file);
  }

  /** Names of the folders that are checkpoints. */
  async #folders(): Promise<string[]> {
    const entries = await readdir(this.folder, { withFileTypes: true }).catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return [];
      throw fileError(error, this.folder, 'read');
    });
    return entries
      .filter((entry) => entry.isDirectory() && !Number.isNaN(numberOf(entry.name)))
      .map(({ name }) => name);
  }

  /**
   * Removes what the new pointer has taken the place of: older checkpoints without a name, and older ones of a name that is kept. Whatever
   * else is there stays: should the pointer that this one grew from have been wrong, nothing is lost by it.
   */
  async #removeSuperseded({ latest, kept }: Pointer, policy: Policy): Promise<void> {
    const wanted = new Set([latest, ...Object.values(kept)]);
    for (const name of await this.#folders()) {
      const [, keep] = /^\d+-(.+)$/.exec(name) ?? [];
      const isOlder = numberOf(name) < numberOf(keep === undefined ? latest : (kept[keep] ?? '0'));
      if (wanted.has(name) || !isOlder) continue;
      await this.#remove(name, policy);
    }
  }

  /** Removes a checkpoint, or what there is of one, here and where the engine keeps what it saved. */
  async #remove(name: string, policy: Policy): Promise<void> {
    const folder = path.join(this.folder, name);
    if (!existsSync(folder)) return;
    await policy.discard(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

/** NNNN of NNNN or NNNN-<name>; NaN of any other. */
function numberOf(checkpoint: string): number {
  return Number(/^(\d+)(?:-.+)?$/.exec(checkpoint)?.[1] ?? Number.NaN);
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
