/** `search-e1 experiment`: arms × seeds over a shared base, resumable at any point. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { byteSize } from '../base/bytes.ts';
import { clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { readJson } from '../base/files.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { locateModel } from '../checkpoint/hub-model.ts';
import { hashWeights } from '../checkpoint/model-directory.ts';
import { isLocal } from '../engines/open-engine.ts';
import { EMBEDDED_WORLD, openSetup } from '../evolve/open.ts';
import { type PresetName, presets, settingsSchema } from '../evolve/settings.ts';
import { armNames, armOf } from '../experiment/arms.ts';
import {
  type Base,
  builtIn,
  checkDefinition,
  type Definition,
  type ExperimentFile,
  experimentSettings,
  fileSchema,
  MOST,
  type Seed,
  seedsOf,
} from '../experiment/definition.ts';
import { estimateExperiment } from '../experiment/estimate.ts';
import { runExperiment } from '../experiment/run-experiment.ts';
import type { Summary } from '../experiment/schema.ts';
import { armFolder, tasksOf } from '../experiment/tasks.ts';
import { counted } from '../experiment/text.ts';
import { presentVersions } from '../runs/config-record.ts';
import { parseAs } from '../runs/schemas.ts';
import { repeatable, wholeNumber } from './arguments.ts';
import { type DataOptions, dataOf, withData } from './data-options.ts';
import { NO_ESTIMATE } from './evolve-text.ts';
import { fetchModel } from './fetch-model.ts';
import { interruptible } from './interrupt.ts';
import { resolveSettings } from './settings-input.ts';
import { ExperimentStatus } from './status/experiment-status.ts';
import type { Io } from './widgets/io.ts';
import { LiveArea } from './widgets/live-area.ts';
import { brokenAtWords, fitting } from './widgets/terminal.ts';

interface Options extends DataOptions {
  readonly out: string;
  readonly seeds?: number;
  readonly jobs: number;
  readonly preset?: PresetName;
  readonly set: readonly string[];
  readonly model?: string;
  readonly offline?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const SEEDS = 5;

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
      `pairs of world and seed, or seeds alone with --questions (default: ${SEEDS}; 1 with --preset smoke)`,
      wholeNumber(1, MOST),
    )
    .option('--jobs <number>', 'runs at the same time, which share the cores', wholeNumber(1), 1)
    .addOption(new Option('--preset <name>', 'settings to start from (default: default)').choices(Object.keys(presets)))
    .addOption(
      repeatable('--set <key=value>', 'one setting of all arms, e.g. evaluation.questions=40; may be repeated'),
    );
  return withData(command)
    .option('--model <dir|hf:name>', 'base policy of all arms (default: the embedded one)')
    .option('--offline', 'take an hf: model from the cache, never from the network')
    .option('--dry-run', 'print the grid with an estimate of its time, and stop')
    .option('--json', 'print one JSON document at the end, progress as plain lines on stderr')
    .addHelpText('after', examples)
    .action(async (source: string, options: Options) => {
      const { definition, base } = await define(source, options, io);
      await (options.dryRun ? dryRun(definition, base, options, io) : run(definition, base, options, io));
    });
}

async function define(
  source: string,
  options: Options,
  io: Io,
): Promise<{ readonly definition: Definition; readonly base: Base }> {
  const arms = Object.hasOwn(builtIn, source) ? builtIn[source] : undefined;
  if (arms === undefined && !existsSync(source))
    throw new UserError(`${source}: neither a file nor one of the experiments ${Object.keys(builtIn).join(', ')}`);
  const file: ExperimentFile = arms ? { arms: [...arms] } : parseAs(fileSchema, await readJson(source), source);
  const preset = options.preset ?? file.preset ?? 'default';
  const settings = await resolveSettings(settingsSchema, experimentSettings(preset), {
    part: file.settings && { source, value: file.settings },
    set: options.set,
    listedBy: '`search-e1 settings`',
  });
  const count = options.seeds ?? file.seeds ?? (preset === 'smoke' ? 1 : SEEDS);
  const name = arms ? source : path.basename(source, '.json');
  if (file.models !== undefined && options.model !== undefined)
    throw new UserError(`--model: ${source} names a model for each seed already`, {
      hint: 'Leave out one of the two.',
    });
  const own = dataOf(options);
  if (own.questions !== null && file.worlds !== undefined)
    throw new UserError(`--questions: ${source} names worlds, which have questions of their own`, {
      hint: 'Leave out one of the two.',
    });
  const data = own.questions === null && own.corpus === null ? null : own;
  const definition = { name, arms: file.arms, seeds: seedsOf(count, file), preset, settings, data };
  checkDefinition(definition);

  if (!isLocal(settings.engine) && file.models !== undefined)
    throw new UserError(`${source}: models: the server at ${settings.engine.url} has its own`, {
      hint: 'Leave them out; engine.baseModel names it.',
    });
  const base = isLocal(settings.engine)
    ? await openBase(options.model ?? null, options, io)
    : { model: options.model ?? null, weights: null };
  const seeds: Seed[] = [];
  for (const [i, seed] of definition.seeds.entries()) {
    const model = file.models?.[i] ?? null;
    seeds.push(model === null ? seed : { ...seed, base: await openBase(model, options, io) });
  }
  return { definition: { ...definition, seeds }, base };
}

/** Paths are made absolute, so that the experiment can be continued from another folder. */
async function openBase(named: string | null, options: Options, io: Io): Promise<Base> {
  const place = named && (await fetchModel(named, options, io)).place;
  const model = place && !place.startsWith('hf:') ? path.resolve(place) : place;
  const { folder } = await locateModel(model ?? BASE_POLICY, { offline: true });
  return { model, weights: await hashWeights(folder) };
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
  const says = new Map(definition.arms.map((arm) => [armFolder(definition.seeds[0]!, arm), armOf(arm).says]));
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
