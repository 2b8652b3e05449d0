/**
 * `node bench/reliability/kill-runs.ts [--runs 5] [--seed 1] [--small]`: runs of `evolve --preset smoke` (or smaller) that are killed by SIGKILL at
 * random moments and continued until they end. What each leaves is held against an undisturbed run, byte for byte.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Random, streamKey } from '../../src/base/random.ts';
import { contentsOf, differences, newRun, searchE1 } from './run.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    small: { type: 'boolean', default: false },
  },
});
const random = new Random(streamKey(values.seed, 'kill-runs'));
const folder = await mkdtemp(path.join(tmpdir(), 'kill-runs-'));
const evolve = await newRun(folder, values.small);

const begun = performance.now();
const undisturbed = path.join(folder, 'undisturbed');
const first = await searchE1([...evolve, '--out', undisturbed]);
if (first.code !== 0) throw new Error(first.err);
const whole = await contentsOf(undisturbed);
/** Kills fall anywhere in a run and in what a continued one does at its start. */
const milliseconds = performance.now() - begun;

let [kills, different, refused] = [0, 0, 0];
for (let run = 0; run < Number(values.runs); run++) {
  const place = path.join(folder, `run-${run}`);
  let isBegun = false;
  // On a machine that has become busier a run might never get far enough: each kill gives it more time.
  for (let span = 0.7 * milliseconds; ; span *= 1.1) {
    const args = isBegun ? ['evolve', '--resume', place] : [...evolve, '--out', place];
    const ended = await searchE1(args, { killAfter: random.uniform() * span });
    if (ended.code === 0) break;
    if (ended.code === null) kills += 1;
    // Killed before it had written its record: there is nothing to continue, and the folder can be used.
    else if (isBegun && ended.err.includes('not a run directory')) isBegun = false;
    else if (!isBegun && ended.err.includes('holds a run already')) isBegun = true;
    else {
      refused += 1;
      process.stderr.write(`run ${run} ended with ${ended.code}:\n${ended.err.slice(-2000)}\n`);
      break;
    }
    isBegun = ended.code === null ? true : isBegun;
  }
  const found = differences(whole, await contentsOf(place));
  if (found.length > 0) different += 1;
  process.stderr.write(
    `run ${run}: ${kills} kills so far${found.length > 0 ? `, differs in ${found.join(', ')}` : ''}\n`,
  );
  await rm(place, { recursive: true });
}
process.stdout.write(
  `${values.runs} runs, ${kills} kills, ${whole.size} files compared: ${different} runs differ, ${refused} were not continued\n`,
);
await rm(folder, { recursive: true });
