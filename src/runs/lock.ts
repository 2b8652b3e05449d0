/**
 * One process at a time writes to a directory: lock.json names its owner, and is taken over when the owner is gone.
 *
 * A lock appears with its content at once (by a hard link) and fails when the name is taken. A dead owner's lock is replaced, never removed
 * and made anew: whoever holds the right to replace this very lock, itself a lock named after the content that was judged, looks at the
 * lock once more and renames its own over it. Nobody else may touch a dead owner's lock, and a living owner's has another content.
 */

import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError, refuseLinks, sha256 } from '../base/files.ts';
import { pause } from '../base/pause.ts';

const LOCK = 'lock.json';
/** Another process takes a lock over by a few system calls: how often that is looked at, and when it is no longer waited for, in seconds. */
const TAKE_OVER_PAUSE = 0.02;
const TAKE_OVER_PATIENCE = 10;

const ownerSchema = z.strictObject({
  pid: z.int(),
  host: z.string(),
  /** When the process started: the machine's boot and clock ticks; null where that cannot be asked. */
  started: z.string().nullable(),
  /** Locks of 0.4 and earlier have none of these. The machine, and the namespace in which the pid means something. */
  machine: z.string().nullable().default(null),
  namespace: z.string().nullable().default(null),
  /** No two locks are the same, even of one process. */
  lock: z.string().default(''),
});
export type Owner = z.infer<typeof ownerSchema>;

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock of a folder, for writing there: nothing in it may lead out of it (see `refuseLinks`).
 * @throws UserError when a living process holds it, or one that cannot be judged from here, or something in it is a symbolic link
 */
export async function acquireLock(folder: string): Promise<Lock> {
  const file = path.join(folder, LOCK);
  const mine = JSON.stringify({ ...thisProcess(), lock: randomUUID() });
  const own = `${file}.${process.pid}.tmp`;
  await refuseLinks(folder);
  try {
    await rm(own, { force: true });
    await writeFile(own, mine, { flag: 'wx' });
    await take(file, own, (owner) => refuseHeld(folder, file, owner));
  } catch (error) {
    throw fileError(error, folder, 'write');
  } finally {
    await rm(own, { force: true }).catch(() => {});
  }
  await removeLeftovers(folder);
  return { release: () => releaseLock(file, mine) };
}

async function releaseLock(file: string, mine: string): Promise<void> {
  const present = await readFile(file, 'utf8').catch(() => undefined);
  if (present === mine) await rm(file, { force: true });
}

/** Puts what is in `own` under the name `file`. `onHeld` is told of a living owner; when it returns, that one is waited for. */
async function take(file: string, own: string, onHeld: (owner: Owner) => void): Promise<void> {
  for (;;) {
    if (await linked(own, file)) return;
    const judged = await present(file);
    // It was given free meanwhile.
    if (judged === undefined) continue;
    const owner = parseOwner(judged);
    if (owner !== undefined && judge(owner) !== 'dead') {
      onHeld(owner);
      await pause(TAKE_OVER_PAUSE);
      continue;
    }
    // The right to replace this very lock; who took it and died is replaced in the same way.
    const right = `${file}.${sha256(judged).slice(0, 16)}`;
    const begun = performance.now();
    await take(right, own, (other) => {
      if (performance.now() - begun > 1000 * TAKE_OVER_PATIENCE) onHeld(other);
    });
    if ((await present(file)) === judged) return await rename(right, file);
    await rm(right, { force: true });
  }
}

/**
 * What a lock holds; undefined when there is none any more.
 * @throws UserError when it is there and cannot be read, since it would be waited for without end: a folder, or somebody else's file
 */
async function present(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw fileError(error, file, 'read');
  }
}

/** A link appears with its content at once and fails when the name is taken; a plain write would do neither. */
async function linked(own: string, file: string): Promise<boolean> {
  try {
    await link(own, file);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function refuseHeld(folder: string, file: string, owner: Owner): never {
  if (judge(owner) === 'alive')
    throw new UserError(`${folder}: in use by process ${owner.pid}`, {
      hint: 'Wait until it has ended, or choose another directory.',
    });
  const where = owner.host === hostname() ? `in another container or machine named ${owner.host}` : `on ${owner.host}`;
  throw new UserError(`${folder}: in use by process ${owner.pid} ${where}`, {
    hint: `If nothing runs there any more, delete ${file} and try again.`,
  });
}

/** Temporary files and rights of processes that ended while they asked for the lock. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^lock\.json\..+$/.test(name)) continue;
    const owner = parseOwner(await readFile(path.join(folder, name), 'utf8').catch(() => ''));
    const [, pid] = /\.(\d+)\.(?:.*\.)?tmp$/.exec(name) ?? [];
    const isGone = owner === undefined ? pid !== undefined && !exists(Number(pid)) : judge(owner) === 'dead';
    if (isGone) await rm(path.join(folder, name), { force: true });
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/**
 * What can be said of an owner from here. Process numbers mean something within one namespace of one machine alone, and are used again, in
 * containers nearly always: the same number with another start is another process.
 */
export function judge(owner: Owner, here: Omit<Owner, 'lock'> = thisProcess()): 'alive' | 'dead' | 'unknown' {
  if (owner.host !== here.host) return 'unknown';
  const sameMachine = owner.machine === null || here.machine === null ? null : owner.machine === here.machine;
  if (sameMachine === false) return 'unknown';
  const sameNamespace = owner.namespace === null || owner.namespace === here.namespace;
  const boot = (started: string | null) => started?.split(':')[0];
  if (owner.started !== null && here.started !== null && boot(owner.started) !== boot(here.started))
    // Nothing outlives a reboot; but without a machine's name it may be another machine.
    return sameMachine || sameNamespace ? 'dead' : 'unknown';
  if (!sameNamespace) return 'unknown';
  return exists(owner.pid) && owner.started === processStart(owner.pid) ? 'alive' : 'dead';
}

function thisProcess(): Omit<Owner, 'lock'> {
  return {
    pid: process.pid,
    host: hostname(),
    started: processStart(process.pid),
    machine: textOf(() => readFileSync('/etc/machine-id', 'utf8').trim()),
    namespace: textOf(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** Null where the system does not say. */
function textOf(read: () => string): string | null {
  try {
    return read() || null;
  } catch {
    return null;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there but belongs to somebody else.
    return hasCode(error, 'EPERM');
  }
}

/** When a process started, in the words of the system (Linux: boot id and clock ticks); null where that cannot be asked. */
function processStart(pid: number): string | null {
  return textOf(() => {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Fields 3 (state) and 22 (start), counted from behind the command's name, which may itself hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only its number is left.
    return fields[0] === 'Z' ? '' : `${boot}:${fields[19]}`;
  });
}

/** Whether a process that is known to live writes to a folder; one that cannot be judged from here counts as living. */
export async function isInUse(folder: string): Promise<boolean> {
  const owner = parseOwner(await readFile(path.join(folder, LOCK), 'utf8').catch(() => ''));
  return owner !== undefined && judge(owner) !== 'dead';
}
