/**
 * A process that takes and frees one lock (`node lock-taker.ts FOLDER TIMES SEED`). Whoever holds it keeps an exclusive file; finding that file
 * in place means that two processes hold the lock, and is told. Every other time it "dies" with the lock: a dead owner's stays.
 */
import { open, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { argv, stdout } from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { UserError } from '../../base/errors.ts';
import { Random, streamKey } from '../../base/random.ts';
import { acquireLock } from '../lock.ts';

const [folder, times, seed] = argv.slice(2) as [string, string, string];
const random = new Random(streamKey(seed));
const inside = path.join(folder, 'inside');
const lock = path.join(folder, 'lock.json');

let taken = 0;
while (taken < Number(times)) {
  try {
    const held = await acquireLock(folder);
    taken += 1;
    const handle = await open(inside, 'wx').catch(() => undefined);
    if (handle === undefined) stdout.write('two hold it\n');
    await setTimeout(random.below(3));
    await handle?.close();
    await rm(inside, { force: true });
    if (random.chance(0.5)) await held.release();
    else {
      // As a killed owner leaves it: no process has this number.
      const dead = { pid: 2 ** 22 + 1 + random.below(1e6), host: (await import('node:os')).hostname(), started: null };
      await writeFile(`${lock}.dead-${seed}`, JSON.stringify(dead));
      await rename(`${lock}.dead-${seed}`, lock);
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
  await setTimeout(random.below(2));
}
stdout.write(`taken ${taken}\n`);
