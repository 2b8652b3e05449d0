/**
 * `node bench/reliability/damage-runs.ts [--seed 1] [--small]`: one bit of each file of a stopped and of a finished run of `evolve --preset smoke` (or
 * smaller) is turned, one file at a time, and the run is continued. What may come of it:
 *
 *   refused    by the file's name, with code 2; with the file brought back the run goes on and is what it would have been
 *   mended     the file follows from others and is written anew: the run is what it would have been
 *   not read   the run is what it would have been but for this file, of which nothing depends (a kept checkpoint: refused when it is used, if it can be;
 *              rows in index/, which the viewer passes over where they are damaged)
 *   UNNOTICED  anything else
 */
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Random, streamKey } from '../../src/base/random.ts';
import { ROWS_FOLDER } from '../../src/runs/rows/rows-file.ts';
import { contentsOf, differences, type Ended, newRun, searchE1 } from './run.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, small: { type: 'boolean', default: false } },
});
const random = new Random(streamKey(values.seed, 'damage-runs'));
const folder = await mkdtemp(path.join(tmpdir(), 'damage-runs-'));
const [finished, stopped, copy] = ['finished', 'stopped', 'copy'].map((name) => path.join(folder, name)) as [
  string,
  string,
  string,
];

const evolve = await newRun(folder, values.small);
const first = await searchE1([...evolve, '--out', finished]);
if (first.code !== 0) throw new Error(first.err);
// Far enough to have trained and kept something, in the middle of a distillation.
const pairs = path.join(stopped, 'pairs');
const killed = await searchE1([...evolve, '--out', stopped], {
  killWhen: () => existsSync(pairs) && readdirSync(pairs).length > 1,
});
if (killed.code !== null) throw new Error(`it was not stopped in time: ${killed.err}`);

const expected = await contentsOf(finished);
for (const run of [stopped, finished]) {
  const counts: Record<string, string[]> = { refused: [], mended: [], 'not read': [], UNNOTICED: [] };
  const entries = await readdir(run, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile() && one.name !== 'lock.json')) {
    const name = path.relative(run, path.join(entry.parentPath, entry.name));
    await cp(run, copy, { recursive: true });
    await rm(path.join(copy, 'lock.json'), { force: true });
    const file = path.join(copy, name);
    const bytes = await readFile(file);
    const whole = Buffer.from(bytes);
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    await writeFile(file, bytes);
    const ended = await searchE1(['evolve', '--resume', copy]);
    const outcome = await judge(name, file, whole, ended);
    counts[outcome]!.push(name);
    if (outcome === 'UNNOTICED')
      process.stderr.write(`${path.basename(run)} ${name}: code ${ended.code}\n${ended.err.slice(-500)}\n`);
    await rm(copy, { recursive: true });
  }
  const total = Object.values(counts).reduce((sum, names) => sum + names.length, 0);
  process.stdout.write(`${path.basename(run)} run, ${total} files, a bit of each turned:\n`);
  for (const [outcome, names] of Object.entries(counts))
    if (names.length > 0)
      process.stdout.write(`  ${outcome}: ${names.length}${outcome === 'refused' ? '' : ` (${names.join(', ')})`}\n`);
}
await rm(folder, { recursive: true });

async function judge(name: string, file: string, whole: Uint8Array, { code, err }: Ended): Promise<string> {
  if (code === 2 && err.includes(file)) {
    await writeFile(file, whole);
    const again = await searchE1(['evolve', '--resume', copy]);
    return again.code === 0 && differences(expected, await contentsOf(copy)).length === 0 ? 'refused' : 'UNNOTICED';
  }
  if (code !== 0) return 'UNNOTICED';
  const left = differences(expected, await contentsOf(copy));
  if (left.length === 0) return 'mended';
  if (name.startsWith(`${ROWS_FOLDER}${path.sep}`)) return left.length === 1 ? 'not read' : 'UNNOTICED';
  const kept = /^checkpoints\/\d+-([^/]+)\//.exec(name)?.[1];
  if (kept === undefined || left.length > 1) return 'UNNOTICED';
  // A round's best weights are its own affair; the others can be used.
  if (kept.endsWith('-best')) return 'not read';
  const used = await searchE1(['export', `${copy}#${kept}`, '--out', path.join(folder, 'exported')]);
  await rm(path.join(folder, 'exported'), { recursive: true, force: true });
  return used.code === 2 && used.err.includes(file) ? 'not read' : 'UNNOTICED';
}
