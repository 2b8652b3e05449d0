/** One process at a time writes to a run directory: a lock file that names its owner, and is taken over when the owner is gone. */
import { readFileSync } from 'node:fs';
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';

const LOCK = 'lock.json';

const ownerSchema = z.strictObject({ pid: z.int(), host: z.string(), started: z.string().nullable() });
type Owner = z.infer<typeof ownerSchema>;

export interface Lock {
  release(): Promise<void>;
}

/** Takes the lock of a folder. Throws a UserError when a living process holds it. */
export async function acquireLock(folder: string): Promise<Lock> {
  const file = path.join(folder, LOCK);
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), started: processStart(process.pid) });
  const own = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(own, mine);
    for (;;) {
      // A link appears with its content at once and fails when the name is taken; a plain write would do neither.
      const taken = await link(own, file).then(
        () => true,
        (error: unknown) => {
          if (hasCode(error, 'EEXIST')) return false;
          throw error;
        },
      );
      if (taken) break;
      await removeStale(folder, file);
    }
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

/** Removes the lock of a process that is gone; throws when its owner lives or cannot be judged from here. */
async function removeStale(folder: string, file: string): Promise<void> {
  const judged = await readFile(file, 'utf8').catch(() => undefined);
  if (judged === undefined) return;
  const owner = parseOwner(judged);
  if (owner !== undefined && owner.host !== hostname())
    throw new UserError(`${folder}: in use by process ${owner.pid} on ${owner.host}`, {
      hint: `If nothing runs there any more, delete ${file} and try again.`,
    });
  if (owner !== undefined && isAlive(owner))
    throw new UserError(`${folder}: in use by process ${owner.pid}`, {
      hint: 'Wait until it has ended, or choose another directory.',
    });
  // Moved aside rather than deleted: if another process replaced it meanwhile, its lock is put back.
  const aside = `${file}.${process.pid}.stale.tmp`;
  const moved = await rename(file, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  const found = await readFile(aside, 'utf8');
  if (found !== judged) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

/** Temporary files of processes that ended while they asked for the lock. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, pid] = /^lock\.json\.(\d+)\..*tmp$/.exec(name) ?? [];
    if (pid !== undefined && !exists(Number(pid))) await rm(path.join(folder, name), { force: true });
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function isAlive(owner: Owner): boolean {
  // Process numbers are used again, in containers nearly always: the same number with another start is another process.
  return exists(owner.pid) && owner.started === processStart(owner.pid);
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
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Fields 3 (state) and 22 (start), counted from behind the command's name, which may itself hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only its number is left.
    return fields[0] === 'Z' ? null : `${boot}:${fields[19]}`;
  } catch {
    return null;
  }
}
