/** `search-e1 evolve`: runs or continues the whole loop, shows how it goes, and prints the table. */
import path from 'node:path';
import { Command, Option } from 'commander';
import { UserError } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { locateModel } from '../checkpoint/hub-model.ts';
import { readConfig } from '../checkpoint/model-directory.ts';
import { type DeviceChoice, engineDifference, isLocal, movedEngine, onDevice } from '../engines/open-engine.ts';
import { estimateRun } from '../evolve/estimate.ts';
import { evolve } from '../evolve/evolve.ts';
import { type Inputs, openSetup } from '../evolve/open.ts';
import { externalsOf } from '../evolve/outside.ts';
import { type PresetName, presets } from '../evolve/presets.ts';
import { memoryOfRun, peakOf } from '../evolve/requirements.ts';
import type { Results, Timing } from '../evolve/results.ts';
import { type Settings, settingsSchema } from '../evolve/settings.ts';
import { type Setup, sliceQuestions } from '../evolve/setup.ts';
import { type SystemName, systemNames, systemOf } from '../evolve/systems.ts';
import { commandsFor } from '../runs/commands.ts';
import { checkSameInputs, presentVersions, type RunConfig, versionNotes } from '../runs/config-record.ts';
import { readReportInput, renderReport } from '../runs/report.ts';
import { RunDirectory } from '../runs/run-directory.ts';
import { RunFiles } from '../runs/run-files.ts';
import { renderTable } from '../runs/table.ts';
import {
  deviceOption,
  modelOption,
  offlineOption,
  refuseBesideResume,
  repeatable,
  threadsOption,
  trustOption,
  wholeNumber,
} from './arguments.ts';
import { type DataOptions, dataOf, withData } from './data-options.ts';
import { nothingLearned, summaryText } from './evolve-summary.ts';
import { estimateText, timingText } from './evolve-text.ts';
import { fetchModel } from './fetch-model.ts';
import { Interrupted, interruptible } from './interrupt.ts';
import { announceOpening, announceSample } from './opening.ts';
import { resolveSettings } from './settings-input.ts';
import { EvolveStatus } from './status/evolve-status.ts';
import { meterTokens } from './status/token-meter.ts';
import type { Io } from './widgets/io.ts';
import { LiveArea } from './widgets/live-area.ts';
import { fitting, message } from './widgets/terminal.ts';

interface Options extends DataOptions {
  readonly preset: PresetName;
  readonly system?: SystemName;
  readonly config?: string;
  readonly set: readonly string[];
  readonly seed?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
  readonly details?: boolean;
  readonly dryRun?: boolean;
  readonly trustServer: readonly string[];
  readonly model?: string;
  readonly offline?: boolean;
  readonly threads?: number;
  readonly device?: DeviceChoice;
}

/** A run before anything is opened: what to do, with what, and where. */
interface Plan {
  readonly folder: string;
  readonly preset: string;
  readonly system?: string;
  readonly settings: Settings;
  readonly inputs: Inputs;
  /** The record of the run that is continued; undefined for a new run. */
  readonly resumed?: RunConfig;
  /** A device was asked for: a run that goes on may do so on another one than it began on. */
  readonly mayMove?: boolean;
}

const examples = `
Examples:
  search-e1 evolve
  search-e1 evolve --preset smoke --seed 2 --json > results.json
  search-e1 evolve --system gigpo --seed 2
  search-e1 evolve --set grpo.steps=20,10 --set distill.adapter=null --out runs/no-adapter
  search-e1 evolve --resume runs/no-adapter
  search-e1 evolve --model hf:Qwen/Qwen2.5-0.5B --questions train.jsonl --corpus passages.jsonl.gz
  search-e1 evolve --questions train.jsonl --corpus passages.jsonl.gz --model base --evaluate nq=nq.test.jsonl --dry-run
  search-e1 evolve --questions train.jsonl --retriever http://127.0.0.1:8000 --model base
`;

export function evolveCommand(io: Io): Command {
  const command = new Command('evolve');
  command
    .addOption(new Option('--preset <name>', 'settings to start from').choices(Object.keys(presets)).default('default'))
    .addOption(
      new Option('--system <name>', 'train as a system of the field; `search-e1 systems` lists them').choices(
        systemNames,
      ),
    )
    .option('--config <file>', 'JSON file with settings, over preset and system')
    .addOption(repeatable('--set <key=value>', 'one setting, e.g. grpo.learningRate=1e-4'))
    .option('--seed <number>', 'everything random follows from it', wholeNumber(0))
    .option('--out <dir>', 'run directory (default: runs/<date>-<preset or system>-seed<seed>)')
    .option('--resume <dir>', 'continue the run in this directory')
    .option('--json', 'print one JSON document at the end, progress as plain lines on stderr')
    .option('--details', 'print the whole table at the end: every suite, stage and way of asking')
    .option('--dry-run', 'print the resolved settings and an estimate of time and memory, and stop');
  return withData(command)
    .addOption(modelOption('policy to start from', 'the embedded base policy'))
    .addOption(offlineOption())
    .addOption(trustOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addHelpText('after', examples)
    .action(async (options: Options) => {
      if (options.resume !== undefined)
        refuseBesideResume(command, ['json', 'details', 'dryRun', 'offline', 'trustServer', 'device']);
      const asked = options.resume === undefined ? await planNew(options) : await planResumed(options.resume, options);
      // From here on a model of the Hub is known by its commit and lies in the cache.
      const model = asked.inputs.model && (await fetchModel(asked.inputs.model, options, io)).place;
      const plan = { ...asked, inputs: { ...asked.inputs, model } };
      await (options.dryRun ? dryRun(plan, options, io) : run(plan, options, io));
    });
}

async function planNew(options: Options): Promise<Plan> {
  const { system } = options;
  const preset: Settings = presets[options.preset];
  const start =
    system === undefined
      ? preset
      : await resolveSettings(settingsSchema, preset, {
          part: { source: `--system ${system}`, value: { ...systemOf(system).settings } },
        });
  const resolved = await resolveSettings(settingsSchema, start, {
    file: options.config,
    set: options.set,
    seed: options.seed,
  });
  const settings = withDevice(resolved, options.device);
  const folder = options.out ?? path.join('runs', `${timestamp()}-${system ?? options.preset}-seed${settings.seed}`);
  if (!options.dryRun) await RunDirectory.refuseUsed(folder);
  return { folder, preset: options.preset, ...(system && { system }), settings, inputs: inputsOf(options) };
}

/** On the device that it began on, unless another one is asked for. */
async function planResumed(folder: string, { device }: Options): Promise<Plan> {
  const config = await new RunFiles(folder).config();
  const { preset, inputs } = config;
  const settings = withDevice(config.settings, device);
  return { folder, preset, settings, inputs, resumed: config, mayMove: device !== undefined };
}

function withDevice(settings: Settings, device: DeviceChoice | undefined): Settings {
  return device === undefined ? settings : { ...settings, engine: onDevice(settings.engine, device) };
}

function inputsOf(options: Options): Inputs {
  return {
    ...dataOf(options),
    model:
      options.model === undefined || options.model.startsWith('hf:')
        ? (options.model ?? null)
        : path.resolve(options.model),
    threads: options.threads ?? null,
  };
}

async function dryRun(plan: Plan, options: Options, io: Io): Promise<void> {
  announceOpening(io, plan.inputs.corpus);
  const { setup, hashes, engine, notes, close } = await openSetup(plan.inputs, plan.settings, {
    offline: true,
    trust: options.trustServer,
    onNote: (text) => io.err.write(message(`note: ${text}`, io.err)),
  });
  try {
    for (const note of notes) io.err.write(message(`note: ${note}`, io.err));
    announceSample(io, setup.policy);
    const estimate = await estimateRun(setup, plan.settings);
    const record = {
      preset: plan.preset,
      ...(plan.system && { system: plan.system }),
      external: [...externalsOf(plan.settings).keys()],
      inputs: plan.inputs,
      hashes,
      engine,
      settings: plan.settings,
    };
    io.out.write(
      options.json
        ? `${JSON.stringify({ ...record, estimate }, null, 2)}\n`
        : `${JSON.stringify(record, null, 2)}\n\n${fitting(estimateText(estimate, await mostMemory(plan)), io.out)}`,
    );
  } finally {
    await close();
  }
}

/** The peak of the run in bytes, as `doctor` counts it; null where a server computes. */
async function mostMemory({ inputs: { model, threads }, settings }: Plan): Promise<number | null> {
  const { engine } = settings;
  if (!isLocal(engine)) return null;
  const { folder } = await locateModel(model ?? BASE_POLICY, { offline: true });
  return peakOf(memoryOfRun(await readConfig(folder), { ...settings, engine }, threads ?? undefined)).bytes;
}

async function run(plan: Plan, options: Options, io: Io): Promise<void> {
  announceOpening(io, plan.inputs.corpus);
  // Printed by whoever has the terminal: once the run is under way, the live status.
  const told = { print: (text: string) => void io.err.write(message(text, io.err)) };
  const { setup, hashes, engine, notes, close } = await openSetup(plan.inputs, plan.settings, {
    offline: true,
    trust: options.trustServer,
    onNote: (text) => told.print(`note: ${text}`),
  });
  try {
    for (const note of [...notes, ...setup.tokenizer.notes]) io.err.write(message(`note: ${note}`, io.err));
    // Settings that these questions cannot serve are refused before anything is written.
    sliceQuestions(setup.trainingQuestions, plan.settings);
    const directory = await openDirectory(plan, { hashes, engine }, io);
    try {
      const { results, timing } = await runIn(directory, setup, plan, options, io, told);
      const learned = !(await neverRight(directory, results));
      if (options.json) io.out.write(jsonText(plan, results, timing));
      else io.out.write(fitting(finalText(plan, results, timing, learned, options.details === true, io), io.out));
      if (learned) return;
      const { message, hint } = nothingLearned(results);
      throw new UserError(`${plan.folder}: ${message}`, { hint });
    } finally {
      await directory.close();
    }
  } finally {
    await close();
  }
}

async function openDirectory(plan: Plan, made: Pick<RunConfig, 'hashes' | 'engine'>, io: Io): Promise<RunDirectory> {
  const { folder, preset, settings, inputs, resumed, mayMove = false } = plan;
  if (resumed === undefined)
    return RunDirectory.create(folder, {
      schema: 1,
      preset,
      ...(plan.system && { system: plan.system }),
      settings,
      inputs,
      ...made,
      versions: presentVersions(),
    });
  const moved = mayMove ? engineDifference(resumed.engine, made.engine) : undefined;
  checkSameInputs(resumed, moved === undefined ? made : { ...made, engine: resumed.engine }, folder);
  for (const note of versionNotes(resumed)) io.err.write(message(`note: ${note}`, io.err));
  const directory = await RunDirectory.open(folder);
  if (moved !== undefined) {
    await directory.move(settings, movedEngine(resumed.engine, made.engine));
    io.err.write(message(`note: ${moved}; results are not those of a run on one device`, io.err));
  }
  return directory;
}

async function runIn(
  directory: RunDirectory,
  setup: Setup,
  plan: Plan,
  options: Options,
  io: Io,
  told: { print: (text: string) => void },
): Promise<{ results: Results; timing: Timing }> {
  const area = new LiveArea(io.err, options.json !== true);
  told.print = (text) => area.print(text);
  const meter = meterTokens(setup.policy);
  const status = new EvolveStatus(area, meter.tokens);
  area.print(`run directory ${plan.folder}`);
  const ticking = setInterval(() => status.draw(), 1000);
  try {
    const hint = `Continue with: ${commandsFor(plan.folder).resume}`;
    const ended = await interruptible(hint, (signal) =>
      evolve({ ...setup, policy: meter.policy }, plan.settings, directory, {
        onEvent: (event) => status.see(event),
        signal,
      }),
    );
    await writeReport(directory, setup);
    return ended;
  } catch (error) {
    // What there is may be looked at. Before the first measurement there is nothing.
    if (error instanceof Interrupted) await writeReport(directory, setup).catch(onlyUserErrors);
    throw error;
  } finally {
    clearInterval(ticking);
    area.finish();
  }
}

async function writeReport(directory: RunDirectory, { tokenizer }: Setup): Promise<void> {
  const report = renderReport(await readReportInput(directory.files), tokenizer);
  await writeFileAtomic(directory.files.file('report.html'), report);
}

function onlyUserErrors(error: unknown): void {
  if (!(error instanceof UserError)) throw error;
}

/** True when no rollout of the run, in training or evaluation, was right. */
async function neverRight(directory: RunDirectory, results: Results): Promise<boolean> {
  if (results.measurements.some(({ suites }) => suites.some(({ exactMatch }) => (exactMatch?.mean ?? 0) > 0)))
    return false;
  if (results.outcomes.length === 0 || results.pools.some(({ exactMatch }) => exactMatch > 0)) return false;
  // Of supervised training on gold answers there are no rollouts.
  const metrics = await directory.files.metrics();
  const scores = metrics.flatMap(({ exactMatch }) => (typeof exactMatch === 'number' ? [exactMatch] : []));
  return scores.every((score) => score === 0) && (scores.length > 0 || results.pools.length > 0);
}

function finalText(plan: Plan, results: Results, timing: Timing, learned: boolean, details: boolean, io: Io): string {
  const width = Math.min(100, Math.max(60, (io.out.columns ?? 81) - 1));
  const summary = summaryText(results, timing, plan.folder, width, learned);
  return details ? `${renderTable(results, width)}\n${timingText(timing)}\n${summary}` : summary;
}

function jsonText(plan: Plan, results: Results, timing: Timing): string {
  const at = (name: string) => path.resolve(plan.folder, name);
  const files = {
    directory: path.resolve(plan.folder),
    config: at('config.json'),
    metrics: at('metrics.jsonl'),
    results: at('results.json'),
    report: at('report.html'),
  };
  return `${JSON.stringify({ preset: plan.preset, seed: plan.settings.seed, files, results, timing }, null, 2)}\n`;
}

/** "2026-11-21-093000", in local time. */
function timestamp(now = new Date()): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const date = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  return `${date}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}
