/**
 * `node bench/reliability/damage-runs.ts [--seed 1]`: one bit of each file of a stopped and of a finished run of `evolve --preset smoke` is turned,
 * one file at a time, and the run is continued. What may come of it:
 *
 *   refused    by the file's name, with code 2, before anything is written
 *   mended     the file follows from others and is written anew: the run is what it would have been
 *   not read   the run is what it would have been but for this file, of which nothing depends (a kept checkpoint: refused when it is used)
 *   UNNOTICED  anything else
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Random, streamKey } from '../../src/base/random.ts';
import { contentsOf, differences, searchE1 } from './run.ts';

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' } } });
const random = new Random(streamKey(values.seed, 'damage-runs'));
const folder = await mkdtemp(path.join(tmpdir(), 'damage-runs-'));
const [finished, stopped, copy] = ['finished', 'stopped', 'copy'].map((name) => path.join(folder, name)) as [
  string,
  string,
  string,
];

const begun = performance.now();
const whole = await searchE1(['evolve', '--preset', 'smoke', '--out', finished]);
if (whole.code !== 0) throw new Error(whole.err);
const milliseconds = performance.now() - begun;
// Far enough to have trained and kept something.
while ((await readdir(path.join(stopped, 'pairs')).catch(() => [])).length === 0) {
  await rm(stopped, { recursive: true, force: true });
  const ended = await searchE1(
    ['evolve', '--preset', 'smoke', '--out', stopped],
    (0.5 + 0.4 * random.uniform()) * milliseconds,
  );
  if (ended.code !== null) throw new Error(`it was not stopped in time: ${ended.err}`);
}

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
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    await writeFile(file, bytes);
    const before = await contentsOf(copy);
    const ended = await searchE1(['evolve', '--resume', copy]);
    const outcome = await judge(name, file, ended.code, ended.err, before);
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

async function judge(
  name: string,
  file: string,
  code: number | null,
  err: string,
  before: ReadonlyMap<string, string>,
): Promise<string> {
  const after = await contentsOf(copy);
  if (code === 2 && err.includes(file) && differences(before, after).length === 0) return 'refused';
  const left = differences(expected, after);
  if (code !== 0) return 'UNNOTICED';
  if (left.length === 0) return 'mended';
  const kept = /^checkpoints\/(\d+-([^/]+))\//.exec(name);
  if (kept === null || left.length > 1) return 'UNNOTICED';
  const used = await searchE1(['export', `${copy}#${kept[2]}`, '--out', path.join(folder, 'exported')]);
  await rm(path.join(folder, 'exported'), { recursive: true, force: true });
  return used.code === 2 && used.err.includes(file) ? 'not read' : 'UNNOTICED';
}
