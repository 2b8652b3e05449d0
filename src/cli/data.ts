/** `search-e1 data`: the benchmarks and corpora: what there is, fetching it, checking it. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { megabytes } from '../base/bytes.ts';
import { clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import type { Benchmark } from '../benchmarks/benchmark.ts';
import { type Checked, checkBenchmark } from '../benchmarks/check.ts';
import { type Pullable, type Pulled, pull, pullables } from '../benchmarks/pull.ts';
import { locateBenchmark } from '../benchmarks/read-benchmark.ts';
import { benchmarkNames, benchmarks, findBenchmark } from '../benchmarks/suites/all.ts';
import { alsoCalled } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';
import { LiveArea } from './widgets/live-area.ts';
import { nearestPath } from './widgets/nearest.ts';

interface Options {
  readonly data: string;
  readonly json?: boolean;
}

const examples = `
Examples:
  search-e1 data list                              what there is, and what is here already
  search-e1 data pull nq hotpotqa                  fetch two benchmarks into ./data
  search-e1 data pull all                          all seven benchmarks (not the corpus)
  search-e1 data pull wiki-18                      the 21-million-passage corpus (several gigabytes; the size is shown)
  search-e1 data check                             count and validate the benchmarks in ./data
  search-e1 data check hotpotqa=hotpot_dev_fullwiki_v1.json

Files come from the Hugging Face Hub; HF_ENDPOINT (a mirror) and HF_TOKEN are honoured. Nothing is fetched that was not named.
`;

export function dataCommand(io: Io): Command {
  const data = new Command('data').addHelpText('after', examples);
  data
    .command('list')
    .description('What there is, where it comes from, and what is here already.')
    .option('--data <dir>', 'where to look', 'data')
    .option('--json', 'print one JSON document')
    .action((options: Options) => list(options, io));
  data
    .command('pull')
    .description('Fetch benchmarks or corpora by name; continues what was cut off, checks checksums.')
    .argument('<name...>', `${pullables.map(({ name }) => name).join(', ')}; all = the seven benchmarks`)
    .option('--data <dir>', 'where to put them', 'data')
    .option('--json', 'print one JSON document')
    .action((names: readonly string[], options: Options) => pullAll(names, options, io));
  data
    .command('check')
    .description(
      'Validate question files and hold their counts against the published ones; exit code 2 when one differs.',
    )
    .argument('[name...]', 'NAME (found in --data) or NAME=FILE; default: every benchmark that is found in --data')
    .option('--data <dir>', 'where to look', 'data')
    .option('--json', 'print one JSON document')
    .action((names: readonly string[], options: Options) => check(names, options, io));
  for (const command of data.commands) alsoCalled(command, '--dir <dir>', 'data');
  return data;
}

// --------------------------------------------------------------------------------------------------------------- list

async function list({ data: dir, json }: Options, io: Io): Promise<void> {
  const rows = [];
  for (const benchmark of benchmarks) {
    const { name, title, split, questions, licence, source } = benchmark;
    const file = (await locateBenchmark(benchmark, dir)) ?? null;
    rows.push({ name, title, split, questions, licence, source, file });
  }
  const corpora = pullables
    .filter(({ kind }) => kind === 'corpus')
    .map(({ name, about, file, target }) => {
      const local = path.join(dir, target);
      return { name, about, repository: file.repository, file: existsSync(local) ? local : null };
    });
  if (json === true) {
    io.out.write(`${JSON.stringify({ benchmarks: rows, corpora }, null, 2)}\n`);
    return;
  }
  const lines = rows.map(({ name, split, questions, licence, file }) =>
    [
      name.padEnd(16),
      split.padEnd(5),
      questions.toLocaleString('en').padStart(7),
      licence.padEnd(13),
      file ?? '-',
    ].join('  '),
  );
  const header = [
    'benchmark'.padEnd(16),
    'split'.padEnd(5),
    'size'.padStart(7),
    'licence'.padEnd(13),
    `in ${dir}`,
  ].join('  ');
  const corpusLines = corpora.map(({ name, about, file }) => `${name}: ${about}\n  ${file ?? `not in ${dir}`}`);
  io.out.write(`${[header, ...lines, '', ...corpusLines].join('\n')}\n`);
}

// --------------------------------------------------------------------------------------------------------------- pull

async function pullAll(names: readonly string[], { data: dir, json }: Options, io: Io): Promise<void> {
  const wanted = names.flatMap((name) =>
    name === 'all' ? pullables.filter(({ kind }) => kind === 'questions') : find(name),
  );
  const area = new LiveArea(io.err, json !== true);
  const done: Pulled[] = [];
  try {
    await interruptible('Give the same command again: it goes on where it stopped.', async (signal) => {
      for (const what of new Set(wanted)) {
        const start = performance.now();
        const onProgress = (bytes: number, total: number) =>
          area.show(progress(what.name, bytes, total, (performance.now() - start) / 1000));
        const pulled = await pull(what, dir, { signal, now: new Date(), onProgress });
        done.push(pulled);
        area.finish();
        if (json !== true) io.out.write(line(pulled));
      }
    });
  } finally {
    area.finish();
  }
  if (json === true) io.out.write(`${JSON.stringify({ pulled: done }, null, 2)}\n`);
}

function find(name: string): Pullable {
  const found = pullables.find((pullable) => pullable.name === name);
  if (found !== undefined) return found;
  throw unknown(
    name,
    pullables.map((pullable) => pullable.name),
  );
}

function progress(name: string, bytes: number, total: number, seconds: number) {
  const plain = `${name}: ${megabytes(bytes)} of ${megabytes(total)}, ${clock((seconds / bytes) * (total - bytes))} left`;
  return { lines: [plain], plain, milestone: name };
}

function line({ name, file, bytes, fetched }: Pulled): string {
  return `${name}: ${file} (${megabytes(bytes)}${fetched ? '' : ', was there already'})\n`;
}

// -------------------------------------------------------------------------------------------------------------- check

async function check(names: readonly string[], { data: dir, json }: Options, io: Io): Promise<void> {
  const checked: Checked[] = [];
  for (const { benchmark, file } of await filesToCheck(names, dir)) {
    const result = await checkBenchmark(benchmark, file);
    checked.push(result);
    if (json !== true) io.out.write(verdict(result));
  }
  if (json === true) io.out.write(`${JSON.stringify({ checked }, null, 2)}\n`);
  const wrong = checked.filter(({ complete }) => !complete);
  if (wrong.length > 0)
    throw new UserError(
      `${wrong.map(({ benchmark }) => benchmark).join(', ')}: not the published number of questions`,
      {
        hint: 'A score over part of a benchmark, or over another split, cannot be compared with published ones.',
      },
    );
}

async function filesToCheck(names: readonly string[], dir: string) {
  const files: { benchmark: Benchmark; file: string }[] = [];
  for (const name of names.length > 0 ? names : benchmarkNames) {
    const [key, given] = name.includes('=')
      ? [name.slice(0, name.indexOf('=')), name.slice(name.indexOf('=') + 1)]
      : [name];
    const benchmark = findBenchmark(key);
    if (benchmark === undefined) throw unknown(key, benchmarkNames);
    const file = given ?? (await locateBenchmark(benchmark, dir));
    if (file !== undefined) files.push({ benchmark, file });
    else if (names.length > 0)
      throw new UserError(`${key}: not found in ${dir}`, {
        hint: `Fetch it with: search-e1 data pull ${key}. Or name a file: ${key}=FILE.`,
      });
  }
  if (files.length === 0)
    throw new UserError(`${dir}: none of the benchmarks is here`, {
      hint: 'Fetch them with: search-e1 data pull all. Another folder: --data DIR.',
    });
  return files;
}

function verdict({ benchmark, file, questions, expected, repeated, complete }: Checked): string {
  const count = complete
    ? `${questions.toLocaleString('en')} questions, as published`
    : `${questions.toLocaleString('en')} questions, expected ${expected.toLocaleString('en')}`;
  const twice = repeated === 0 ? '' : `, ${repeated} repeat the text of an earlier one`;
  return `${complete ? 'ok' : 'differs'}  ${benchmark}: ${count}${twice}  (${file})\n`;
}

function unknown(name: string, known: readonly string[]): UserError {
  const near = nearestPath(name, known);
  return new UserError(`unknown name ${name}${near === undefined ? '' : `, did you mean ${near}?`}`, {
    hint: `There are ${known.join(', ')}.`,
  });
}
