/**
 * A run that is broken off at every single step of the file system: from the n-th call on, nothing works any more, as if the
 * process had ended there (clean-up included). Whatever n is, the run continues to the same bytes.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { sha256 } from '../base/files.ts';
import { writeToyRun } from './testing/writer.ts';

/** Calls of the file system that may still be made; infinite when nothing is to break. */
const power = vi.hoisted(() => ({ left: Number.POSITIVE_INFINITY, used: 0 }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  type Call = (...args: unknown[]) => Promise<unknown>;
  const spend = () => {
    power.used += 1;
    if (power.left-- <= 0) throw new Error('the power is out');
  };
  const guarded =
    (call: Call): Call =>
    async (...args) => {
      spend();
      return call(...args);
    };
  /** The last call that is made writes half of its data, as a process that is killed may. */
  const guardedWrite =
    (call: Call): Call =>
    async (file, data) => {
      spend();
      if (power.left > 0) return call(file, data);
      await call(file, String(data).slice(0, String(data).length / 2));
      throw new Error('the power is out');
    };
  const open: Call = async (...args) => {
    spend();
    const handle = await real.open(...(args as Parameters<typeof real.open>));
    return new Proxy(handle, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        const bound = value.bind(target) as Call;
        // Closing must work, or the test itself would run out of handles.
        if (name === 'close') return bound;
        // The disk is not under test here, and waiting for it is most of the time.
        return guarded(name === 'sync' ? async () => {} : bound);
      },
    });
  };
  const wrapped = Object.fromEntries(
    Object.entries(real).map(([name, value]) => [name, typeof value === 'function' ? guarded(value as Call) : value]),
  );
  return {
    ...wrapped,
    open,
    writeFile: guardedWrite(real.writeFile as Call),
    appendFile: guardedWrite(real.appendFile as Call),
  };
});

let root: string;
beforeEach(async () => {
  power.left = Number.POSITIVE_INFINITY;
  root = await mkdtemp(path.join(tmpdir(), 'interruption-'));
});
afterEach(async () => {
  power.left = Number.POSITIVE_INFINITY;
  await rm(root, { recursive: true, force: true });
});

async function contents(of: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(of, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) files[path.relative(of, file)] = sha256(await readFile(file));
  }
  return files;
}

it('continues to the same bytes wherever it was broken off', async () => {
  const steps = 3;
  power.used = 0;
  await writeToyRun(path.join(root, 'whole'), steps);
  const calls = power.used;
  expect(calls).toBeGreaterThan(100);
  const whole = await contents(path.join(root, 'whole'));

  let failures = 0;
  for (let n = 0; n < calls; n++) {
    const folder = path.join(root, String(n));
    power.left = n;
    await writeToyRun(folder, steps).catch(() => {
      failures += 1;
    });
    power.left = Number.POSITIVE_INFINITY;
    // The process is gone, but here it is the same one: its lock would stand.
    await rm(path.join(folder, 'lock.json'), { force: true });
    await writeToyRun(folder, steps);
    expect(await contents(folder), `broken off at call ${n} of ${calls}`).toEqual(whole);
    await rm(folder, { recursive: true });
  }
  // Only what may fail without harm, such as the last clean-up, does not end the run.
  expect(failures).toBeGreaterThan(calls - 5);
});
