/** `search-e1 doctor`: what a run will take, before it is taken: memory by part, speed on this machine, time. */
import os from 'node:os';
import { Command, Option } from 'commander';
import { byteSize } from '../base/bytes.ts';
import { clock } from '../base/clock.ts';
import { printable } from '../base/text.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { readSamplingDefaults, type SamplingDefaults } from '../checkpoint/generation-config.ts';
import type { MissingFiles } from '../checkpoint/hub-model.ts';
import { hasWeights, readConfig } from '../checkpoint/model-directory.ts';
import { parameterCount } from '../checkpoint/tensor-shapes.ts';
import {
  type AdapterAnswer,
  adapterName,
  askAdapter,
  type ComputationPlan,
  type DeviceChoice,
  isLocal,
  locallyOn,
  onDevice,
  openEngine,
  openMadeUpPolicy,
  type Pace,
  planComputation,
  probe,
  trainingShards,
} from '../engines/open-engine.ts';
import { estimateStages } from '../evolve/estimate.ts';
import { type PresetName, presets } from '../evolve/presets.ts';
import { memoryOfRun, peakOf, type Remedy, remedies, type StageMemory } from '../evolve/requirements.ts';
import { type LocalSettings, type Settings, settingsSchema } from '../evolve/settings.ts';
import { SUITES } from '../world/suites.ts';
import { deviceOption, modelOption, offlineOption, repeatable, threadsOption } from './arguments.ts';
import { diagnoseServer, serverText } from './doctor-server.ts';
import { fetchModel, lookUpModel } from './fetch-model.ts';
import { resolveSettings } from './settings-input.ts';
import type { Io } from './widgets/io.ts';
import { fitting, message } from './widgets/terminal.ts';

interface Options {
  readonly model?: string;
  readonly offline?: boolean;
  readonly download?: boolean;
  readonly preset: PresetName;
  readonly config?: string;
  readonly set: readonly string[];
  readonly threads?: number;
  readonly device?: DeviceChoice;
  readonly engine?: string;
  readonly tokenizer?: string;
  readonly json?: boolean;
}

interface Diagnosis {
  readonly machine: { readonly cores: number; readonly memory: number; readonly available: number };
  readonly model: { readonly place: string; readonly folder: string; readonly parameters: number } & ModelConfig;
  /** Of a model of the Hub: what is not in the cache, nor downloaded unless asked for. */
  readonly missing: MissingFiles | null;
  /** What its generation_config.json says; not used. */
  readonly samplingDefaults: SamplingDefaults | null;
  /** `threads`: how many compute micro-batches side by side. */
  readonly computation: ComputationPlan & { readonly threads: number };
  readonly memory: readonly StageMemory[];
  readonly fits: boolean;
  /** Settings that lower the need, each together with those before it. */
  readonly remedies: readonly Remedy[];
  /** Null when the run does not fit: nothing was opened. */
  readonly pace: Pace | null;
  /** With --device webgpu: the GPU, and the speed on it, beside `pace`, which is then the processor's; null otherwise. */
  readonly gpu: { readonly adapter: AdapterAnswer; readonly pace: Pace | null } | null;
  /** Where there are no weights, random ones of the same shapes are computed with. */
  readonly measuredOn: 'its weights' | 'random weights';
  /** Every rollout as long as the settings allow. */
  readonly atMost: { readonly seconds: number; readonly stages: readonly { name: string; seconds: number }[] } | null;
}

const examples = `
Examples:
  search-e1 doctor                                        the embedded world's policy
  search-e1 doctor --model path/to/Qwen2.5-0.5B           memory, speed and time; config.json alone will do
  search-e1 doctor --model hf:Qwen/Qwen2.5-0.5B --preset paper     before anything large is downloaded
  search-e1 doctor --model base --set rollout.contextTokens=2048 --json
  search-e1 doctor --engine http://127.0.0.1:8000 --tokenizer Qwen2.5-3B-Instruct --set engine.profile=verl --set engine.baseModel=Qwen/Qwen2.5-3B-Instruct --set engine.loraRank=null      what a training server can do
`;

export function doctorCommand(io: Io): Command {
  return new Command('doctor')
    .addOption(modelOption('policy to start from', 'the embedded base policy'))
    .addOption(offlineOption())
    .option('--download', 'download the weights of a model of the Hub and measure with them')
    .addOption(new Option('--preset <name>', 'settings to start from').choices(Object.keys(presets)).default('default'))
    .option('--config <file>', 'JSON file with settings, over the preset')
    .addOption(repeatable('--set <key=value>', 'one setting, e.g. rollout.contextTokens=2048'))
    .addOption(threadsOption())
    .addOption(deviceOption())
    .option('--engine <url>', 'examine a training server: what of the method it can do (docs/distributed.md)')
    .option('--tokenizer <file>', "the tokenizer of the server's model: its directory, or tokenizer.json")
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action(async (options: Options) => {
      const server = options.engine === undefined ? [] : ['engine.kind=tinker', `engine.url=${options.engine}`];
      const settings = await resolveSettings(settingsSchema, presets[options.preset], {
        file: options.config,
        set: [...server, ...options.set],
      });
      const engine = onDevice(
        settings.engine,
        options.device ?? (isLocal(settings.engine) ? settings.engine.device : 'auto'),
      );
      if (!isLocal(engine)) {
        const found = await diagnoseServer(settings, options.tokenizer, io);
        io.out.write(
          options.json ? `${JSON.stringify(found, null, 2)}\n` : fitting(printable(serverText(found)), io.out),
        );
        return;
      }
      const diagnosis = await diagnose({ ...settings, engine }, options, io);
      io.out.write(
        options.json ? `${JSON.stringify(diagnosis, null, 2)}\n` : fitting(printable(diagnosisText(diagnosis)), io.out),
      );
    });
}

async function diagnose(settings: LocalSettings, options: Options, io: Io): Promise<Diagnosis> {
  const asked = options.model ?? BASE_POLICY;
  if (options.download) await fetchModel(asked, options, io);
  const { folder, place, missing } = await lookUpModel(asked, options);
  const [config, samplingDefaults] = [await readConfig(folder), await readSamplingDefaults(folder)];
  const threads = options.threads ?? os.availableParallelism();
  const plan = planComputation(config);
  const memory = memoryOfRun(config, settings, threads);
  const available = process.availableMemory();
  const fits = peakOf(memory).bytes <= available;
  // Of a download that was broken off, parts may be there.
  const weights = missing === null && (await hasWeights(folder)) ? folder : null;
  const adapter = settings.engine.device === 'webgpu' ? await askAdapter(SIZES) : null;
  if (fits) io.err.write(message('measuring speed on random tokens …', io.err));
  const onProcessor: LocalSettings = { ...settings, engine: locallyOn(settings.engine, 'cpu') };
  const pace = fits ? await measure(weights, config, onProcessor, threads) : null;
  const gpu = adapter && { adapter, pace: fits ? await measure(weights, config, settings, threads) : null };
  return {
    machine: { cores: os.availableParallelism(), memory: os.totalmem(), available },
    model: { place, folder, parameters: parameterCount(config), ...config },
    missing,
    samplingDefaults,
    computation: { ...plan, threads: trainingShards(config, threads, plan.tokens) },
    memory,
    fits,
    remedies: remedies(config, settings, threads),
    pace,
    gpu,
    measuredOn: weights === null ? 'random weights' : 'its weights',
    atMost: pace && longest(settings, config, pace),
  };
}

/** Sizes of tensors that a GPU is asked about, in bytes: 128 MiB to 2 GiB. */
const SIZES = [27, 28, 29, 30, 31].map((power) => 2 ** power);

/** @param folder of the weights; null = random ones */
async function measure(
  folder: string | null,
  config: ModelConfig,
  settings: LocalSettings,
  threads: number,
): Promise<Pace> {
  const { concurrency, contextTokens } = settings.rollout;
  const { decodeBits, device } = settings.engine;
  // Random tokens are sampled to their full length: no text, no stop strings.
  const pieces = new Array<string>(config.vocabulary).fill('');
  const policy =
    folder === null
      ? await openMadeUpPolicy(config, {
          pieces,
          maxActive: concurrency,
          decodeBits,
          threads,
          device: device === 'webgpu' ? 'webgpu' : 'cpu',
        })
      : (await openEngine(settings.engine, { folder, pieces, concurrency, threads })).policy;
  try {
    return await probe(policy, { concurrency, contextTokens });
  } finally {
    await policy.close();
  }
}

/** The time of the run's stages if every rollout were as long as the settings allow, retrieval not counted. */
function longest(settings: Settings, config: ModelConfig, pace: Pace): NonNullable<Diagnosis['atMost']> {
  const { responseTokens, contextTokens } = settings.rollout;
  const stages = estimateStages(
    {
      suites: SUITES.map((name) => ({ name, questions: settings.evaluation.questions })),
      trainingQuestions: settings.trainingQuestions || settings.world.trainingQuestions,
    },
    settings,
    {
      rolloutsPerSecond: pace.sampledPerSecond / responseTokens,
      trainedPerSecond: pace.trainedPerSecond / Math.min(contextTokens, config.contextLength),
    },
  );
  return { seconds: stages.reduce((sum, stage) => sum + stage.seconds, 0), stages };
}

/** The GPU beside the processor, and which is worth it by the three measurements. */
function gpuLines({ adapter, pace: there }: NonNullable<Diagnosis['gpu']>, here: Pace): string[] {
  const about = [
    adapter.software ? 'software: it computes on the processor' : 'hardware',
    adapter.holds === 0
      ? `tensors of less than ${byteSize(SIZES[0]!)}`
      : `tensors of ${byteSize(adapter.holds)} and more`,
    `${adapter.float16 ? '' : 'no '}16-bit floats`,
  ];
  const lines = [`GPU       ${adapterName(adapter)}; ${about.join(', ')}`];
  if (!there) return lines;
  const parts = [
    ['sampling', 'sampledPerSecond'],
    ['scoring', 'scoredPerSecond'],
    ['training', 'trainedPerSecond'],
  ] as const;
  for (const [name, key] of parts)
    lines.push(
      `  ${name.padEnd(10)}${Math.round(there[key]).toLocaleString('en')} tokens/s, ${(there[key] / here[key]).toFixed(2)} times the processor's`,
    );
  const worth = parts.filter(([, key]) => there[key] > here[key]).map(([name]) => name);
  lines.push(
    worth.length === 0
      ? '  The processor is the faster one in all of it: --device cpu.'
      : worth.length === parts.length
        ? '  The GPU is the faster one in all of it: --device webgpu.'
        : `  The GPU is the faster one in ${worth.join(' and ')} alone.`,
  );
  return lines;
}

function diagnosisText(diagnosis: Diagnosis): string {
  const { machine, model, missing, samplingDefaults, computation, memory, fits, remedies, pace, atMost } = diagnosis;
  const peak = peakOf(memory);
  const rate = (tokens: number) => `${Math.round(tokens).toLocaleString('en')} tokens/s`;
  const { family, layers, hidden, vocabulary } = model;
  const lines = [
    `Machine   ${machine.cores} cores, ${byteSize(machine.memory)} of memory, ${byteSize(machine.available)} available`,
    `Model     ${model.place}: ${family}, ${(model.parameters / 1e6).toFixed(1)} million parameters (${layers} layers of ${hidden}, vocabulary ${vocabulary.toLocaleString('en')})`,
    `Training  ${computation.mode === 'whole' ? `the whole model as one graph, on ${computation.threads} thread${computation.threads === 1 ? '' : 's'} side by side` : `layer by layer, up to ${byteSize(computation.kept)} kept for the way back where so much is to spare, the rest computed again`}; micro-batches of ${computation.tokens.toLocaleString('en')} tokens, ${computation.rows.toLocaleString('en')} rows of logits at a time`,
  ];
  if (missing)
    lines.push(
      `Download  ${byteSize(missing.bytes)}, not begun; ${byteSize(missing.free)} are free in ${missing.cache}${missing.bytes > missing.free ? ': too little' : ''}`,
    );
  const defaults = Object.entries(samplingDefaults ?? {}).map(([name, value]) => `${name} ${value}`);
  if (defaults.length > 0)
    lines.push(
      `Sampling  at temperature 1 in training, greedy in evaluation; not used: ${defaults.join(', ')} (generation_config.json)`,
    );
  for (const { stage, parts, bytes } of memory) {
    lines.push('', `Memory, ${stage}`);
    for (const part of parts) lines.push(`  ${part.name.padEnd(26)}${byteSize(part.bytes).padStart(9)}`);
    lines.push(`  ${'all'.padEnd(26)}${byteSize(bytes).padStart(9)}`);
  }
  lines.push('', fits ? 'It fits.' : `It does not fit: ${peak.stage} takes ${byteSize(peak.bytes)}.`);
  if (!fits)
    for (const { option, bytes } of remedies) lines.push(`  ${byteSize(bytes).padStart(9)} with --set '${option}'`);
  if (!fits && remedies.length > 1) lines.push('  (each together with those above it)');
  if (pace && atMost) {
    lines.push(
      '',
      `Speed, measured on random tokens with ${diagnosis.measuredOn}${missing ? ' (--download fetches its own)' : ''}`,
      `  sampling  ${rate(pace.sampledPerSecond)}, scoring ${rate(pace.scoredPerSecond)}, training ${rate(pace.trainedPerSecond)}`,
      ...(diagnosis.gpu ? gpuLines(diagnosis.gpu, pace) : []),
      '',
      'Time at most (every rollout as long as the settings allow, which few are; searches not counted)',
      ...atMost.stages.map(({ name, seconds }) => `  ${name.padEnd(26)}${clock(seconds).padStart(9)}`),
      `  ${'all'.padEnd(26)}${clock(atMost.seconds).padStart(9)}`,
      'What to expect for your questions and passages: search-e1 evolve … --dry-run samples real rollouts.',
    );
  }
  return `${lines.join('\n')}\n`;
}
