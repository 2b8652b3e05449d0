/**
 * `npm run bench:viewer [-- --rollouts 100000] [--run FOLDER]`: how long `search-e1 view` takes to open a large run, for the first
 * time and again, and the memory; then what each filter costs, as [milliseconds, of them of the processor], the median of five.
 * Each opening is a process of its own.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { marks } from '../../src/runs/rows/row.ts';
import { apiOf } from '../../src/viewer/api.ts';
import { INDEX_FILE } from '../../src/viewer/kept-index.ts';
import { Library } from '../../src/viewer/library.ts';
import { writeLargeRun } from '../../src/viewer/testing/large-run.ts';
import type { Indexing, Rollouts } from '../../src/viewer/wire.ts';
import { median } from '../engine/measure.ts';

const { values } = parseArgs({
  options: { rollouts: { type: 'string', default: '100000' }, run: { type: 'string' }, opened: { type: 'string' } },
});

/** Each filter alone, and all kinds of them together. */
const queries = [
  '',
  ...marks.map(({ name }) => `mark=${name}`),
  ...['not=right', 'stage=grpo-1', 'part=step', 'suite=bridge', 'stop=answered', 'question=q70'],
  ...[
    'reward=..<0.5',
    'advantage=0..',
    'searches=2..',
    'tokens=30..60',
    'step=7..300',
    'sort=-tokens',
    'sort=question',
  ],
  ...['text=kalomir', 'text=nowhere', 'text=home+of'],
  'mark=wrong&mark=misread&not=malformed&suite=bridge&searches=2..&text=home+of&sort=-reward',
];

/** As the page asks: overview, rollouts, and then how far the reading is. */
async function open(folder: string) {
  const begun = performance.now();
  const spent = process.cpuUsage();
  const since = () => Math.round(performance.now() - begun);
  const ask = apiOf(await Library.open(folder));
  const source = new URLSearchParams({ source: '.' });
  await ask('overview', source);
  const overview = since();
  const first = (await ask('rollouts', source)) as Rollouts;
  const [screen, rowsAtFirst] = [since(), first.of];
  let slowest = 0;
  let peak = process.memoryUsage().rss;
  for (;;) {
    const asked = performance.now();
    const { shards, ofShards } = (await ask('index', source)) as Indexing;
    slowest = Math.max(slowest, performance.now() - asked);
    peak = Math.max(peak, process.memoryUsage().rss);
    if (shards === ofShards) break;
  }
  const whole = since();
  const { user, system } = process.cpuUsage(spent);
  for (;;) {
    const { textShards, ofShards } = (await ask('index', source)) as Indexing;
    if (textShards === ofShards) break;
    await setTimeout(100);
  }
  const searchable = since();
  const filters: Record<string, readonly [wall: number, user: number]> = {};
  for (const query of queries) {
    const times: [number, number][] = [];
    for (let i = 0; i < 5; i++) {
      const [asked, before] = [performance.now(), process.cpuUsage()];
      await ask('rollouts', new URLSearchParams(`source=.&${query}`));
      times.push([performance.now() - asked, process.cpuUsage(before).user / 1000]);
    }
    const middle = (part: 0 | 1) => Math.round(median(times.map((one) => one[part])));
    filters[query || 'all'] = [middle(0), middle(1)];
  }
  return {
    ...{
      overview,
      screen,
      rowsAtFirst,
      whole,
      cpu: Math.round((user + system) / 1000),
      searchable,
      slowestAnswer: Math.round(slowest),
    },
    filters,
    peakMB: Math.round(Math.max(peak, process.memoryUsage().rss) / 1e6),
  };
}

if (values.opened !== undefined) {
  process.stdout.write(`${JSON.stringify(await open(values.opened))}\n`);
} else {
  const made = values.run === undefined ? await mkdtemp(path.join(os.tmpdir(), 'bench-viewer-')) : undefined;
  const folder = values.run ?? made!;
  if (made !== undefined) await writeLargeRun(folder, Number(values.rollouts));
  const shards = await readdir(path.join(folder, 'trajectories'));
  const sizes = await Promise.all(shards.map((name) => stat(path.join(folder, 'trajectories', name))));
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  process.stdout.write(
    `${os.cpus()[0]?.model}, ${os.availableParallelism()} cores, load ${os.loadavg()[0]!.toFixed(1)}, node ${process.version}\n${shards.length} shards, ${megabytes(sizes.reduce((sum, { size }) => sum + size, 0))}\n`,
  );
  const index = path.join(folder, INDEX_FILE);
  await rm(index, { force: true });
  for (const name of ['first opening', 'again']) {
    const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, '--opened', folder]);
    process.stdout.write(`${name}: ${stdout}`);
    // The index is written behind the last answer.
    const kept = await stat(index).catch(() => undefined);
    if (kept) process.stdout.write(`kept index ${megabytes(kept.size)}\n`);
  }
  if (made !== undefined) await rm(made, { recursive: true, force: true });
}
