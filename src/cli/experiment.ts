/** `search-e1 experiment`: arms × seeds over a shared base, resumable at any point. */
import os from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { byteSize } from '../base/bytes.ts';
import { clock } from '../base/clock.ts';
import { EMBEDDED_WORLD, openSetup } from '../evolve/open.ts';
import { presets } from '../evolve/presets.ts';
import { armNames, saysOfArm } from '../experiment/arms.ts';
import { type Base, builtIn, type Definition, MOST } from '../experiment/definition.ts';
import { estimateExperiment } from '../experiment/estimate.ts';
import { runExperiment } from '../experiment/run-experiment.ts';
import type { Summary } from '../experiment/schema.ts';
import { armFolder, tasksOf } from '../experiment/tasks.ts';
import { counted } from '../experiment/text.ts';
import { presentVersions } from '../runs/config-record.ts';
import { modelOption, offlineOption, repeatable, wholeNumber } from './arguments.ts';
import { withData } from './data-options.ts';
import { NO_ESTIMATE } from './evolve-text.ts';
import { type DefinitionOptions, defineExperiment, SEEDS } from './experiment-definition.ts';
import { interruptible } from './interrupt.ts';
import { announceSample } from './opening.ts';
import { ExperimentStatus } from './status/experiment-status.ts';
import type { Io } from './widgets/io.ts';
import { LiveArea } from './widgets/live-area.ts';
import { brokenAtWords, fitting } from './widgets/terminal.ts';

interface Options extends DefinitionOptions {
  readonly out: string;
  readonly jobs: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const examples = `
Experiments: ${Object.keys(builtIn).join(', ')}, or a JSON file: {"arms": ["e1", "grpo-tokens"], "seeds": 3, "settings": {"cycles": 1}}
Arms: ${armNames.join(', ')}, and system-NAME for each system that trains by GRPO (search-e1 systems).
What each changes is told by --dry-run. The report says how to read what comes out. The same command continues what was broken
off; more seeds and arms may be added.

Examples:
  search-e1 experiment claims --dry-run --out claims
  search-e1 experiment claims --seeds 5 --out claims
  search-e1 experiment claims --preset smoke --out trial
  search-e1 experiment mine.json --jobs 2 --out mine
  search-e1 experiment mine.json --model base --questions train.jsonl --corpus passages.jsonl.gz --evaluate nq=nq.jsonl --out nq
`;

export function experimentCommand(io: Io): Command {
  const command = new Command('experiment')
    .argument('<experiment>', `${Object.keys(builtIn).join(', ')}, or a JSON file`)
    .requiredOption('--out <dir>', 'directory of the experiment')
    .option(
      '--seeds <number>',
      `pairs of world and seed, or seeds alone with --questions (default: as the file says, else ${SEEDS}; 1 with --preset smoke)`,
      wholeNumber(1, MOST),
    )
    .option('--jobs <number>', 'runs at the same time, which share the cores', wholeNumber(1), 1)
    .addOption(
      new Option('--preset <name>', 'settings to start from')
        .choices(Object.keys(presets))
        .default(undefined, 'default'),
    )
    .addOption(repeatable('--set <key=value>', 'one setting of all arms, e.g. evaluation.questions=40'));
  return withData(command)
    .addOption(modelOption('base policy of all arms', 'the embedded base policy'))
    .option('--bases <dir>', 'folder in which the models that the file names are (default: the present one)')
    .addOption(offlineOption())
    .option('--dry-run', 'print the grid with an estimate of its time, and stop')
    .option('--json', 'print one JSON document at the end, progress as plain lines on stderr')
    .addHelpText('after', examples)
    .action(async (source: string, options: Options) => {
      const { definition, base } = await defineExperiment(source, options, io);
      await (options.dryRun ? dryRun(definition, base, options, io) : run(definition, base, options, io));
    });
}

/** "9 arms × 1 seed: 9 runs, and 2 first parts that arms share". */
function gridText(definition: Definition): string {
  const [arms, seeds, tasks] = [definition.arms.length, definition.seeds.length, tasksOf(definition).length];
  const shared = tasks - arms * seeds;
  return `${counted(arms, 'arm')} × ${counted(seeds, 'seed')}: ${counted(arms * seeds, 'run')}, and ${counted(shared, 'first part')} that arms share`;
}

async function dryRun(definition: Definition, base: Base, options: Options, io: Io): Promise<void> {
  const tasks = tasksOf(definition);
  const { model } = definition.seeds[0]!.base ?? base;
  const inputs = { ...EMBEDDED_WORLD, ...definition.data, model };
  const { setup, close } = await openSetup(inputs, tasks[0]!.settings, { offline: true });
  announceSample(io, setup.policy);
  const estimate = await estimateExperiment(setup, tasks).finally(close);
  if (options.json) {
    io.out.write(`${JSON.stringify({ ...definition, estimate }, null, 2)}\n`);
    return;
  }
  if (estimate === null) {
    io.out.write(NO_ESTIMATE);
    return;
  }
  const firstSeed = estimate.tasks.filter((_, i) => tasks[i]!.seed === tasks[0]!.seed);
  const says = new Map(
    definition.arms.map((arm) => [armFolder(definition.seeds[0]!, arm), saysOfArm(arm, definition.own)]),
  );
  const text = [
    `${definition.name}: ${gridText(definition)}`,
    ...definition.seeds.map(
      ({ name, seed, world, base: own }) =>
        `  ${name}  seed ${seed}${definition.data ? '' : `, world ${world}`}${own ? `, base ${own.model}` : ''}`,
    ),
    '',
    'Estimate for one seed, from a sample on this machine with all cores (minutes:seconds)',
    ...firstSeed.map(
      ({ folder, seconds }) =>
        `  ${folder.padEnd(26)}${clock(seconds).padStart(7)}  ${says.get(folder) ?? 'shared by the arms'}`,
    ),
    `All seeds: ${clock(estimate.seconds)}${estimate.diskForCheckpoints === null ? '' : `, checkpoints ${byteSize(estimate.diskForCheckpoints)} on disk`}`,
    '',
  ].join('\n');
  io.out.write(asShown(text, io));
}

/** Broken at words for a terminal, whole lines in a log. */
function asShown(text: string, io: Io): string {
  return fitting(io.out.isTTY ? brokenAtWords(text, (io.out.columns || 80) - 1) : text, io.out);
}

async function run(definition: Definition, base: Base, options: Options, io: Io): Promise<void> {
  const area = new LiveArea(io.err, options.json !== true);
  const status = new ExperimentStatus(area);
  area.print(`experiment ${definition.name}: ${gridText(definition)}, in ${options.out}`);
  const ticking = setInterval(() => status.draw(), 1000);
  let summary: Summary;
  try {
    summary = await interruptible('The same command continues.', (signal) =>
      runExperiment(definition, {
        folder: options.out,
        jobs: options.jobs,
        threads: os.availableParallelism(),
        base,
        signal,
        onEvent: (event) => status.see(event),
      }),
    );
  } finally {
    clearInterval(ticking);
    area.finish();
  }
  const runs = definition.seeds.flatMap((seed) =>
    definition.arms.map((arm) => ({
      seed: seed.name,
      arm,
      directory: path.resolve(options.out, armFolder(seed, arm)),
    })),
  );
  const { name, settings } = definition;
  const { verdicts } = summary;
  if (options.json) {
    const directory = path.resolve(options.out);
    const report = path.join(directory, 'report.html');
    const result = { name, directory, report, settings, versions: presentVersions(), verdicts, runs };
    io.out.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  const lines = verdicts.map(
    ({ claim, verdict, sentence }) => `${verdict.padEnd(13)}  ${claim}\n${' '.repeat(15)}${sentence}\n`,
  );
  const once =
    definition.seeds.length > 1 ? '' : 'With one seed intervals are over questions alone, and nothing is decided.\n';
  const end = `Report: ${path.join(options.out, 'report.html')}; beside it findings.json and figure.svg, small enough to commit\n`;
  io.out.write(asShown(`${lines.join('')}${once}${end}`, io));
}
