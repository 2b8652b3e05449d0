/**
 * `search-e1 warmup`: makes a base policy from examples, of embedded worlds or of the user's own questions: from nothing, or from a
 * pretrained model.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { byteSize } from '../base/bytes.ts';
import { clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { makeFolder } from '../base/files.ts';
import { streamKey } from '../base/random.ts';
import { shellCommand } from '../base/shell-command.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { readConfig } from '../checkpoint/model-directory.ts';
import { tensorShapes } from '../checkpoint/tensor-shapes.ts';
import { type DeviceChoice, EMBEDDED, isLocal, onDevice, openEngine } from '../engines/open-engine.ts';
import { modelBesideServer, tokenizerMissing } from '../evolve/open.ts';
import { compactTemplate, openTemplate, searchR1Template } from '../protocol/templates.ts';
import { presentVersions } from '../runs/config-record.ts';
import { acquireLock } from '../runs/lock.ts';
import { RunFiles } from '../runs/run-files.ts';
import { estimateWarmUp } from '../warmup/estimate.ts';
import { estimatePretrained } from '../warmup/estimate-pretrained.ts';
import type { ExampleSource } from '../warmup/examples.ts';
import { filesSource } from '../warmup/files-source.ts';
import type { Manifest } from '../warmup/manifest.ts';
import {
  type PretrainedRecipe,
  pretrainedRecipe,
  pretrainedRecipeSchema,
  type Recipe,
  recipeSchema,
  totalSteps,
  worldRecipe,
} from '../warmup/recipe.ts';
import { MEASURED_AT_A_TIME, refuseUnfitPretrained } from '../warmup/requirements.ts';
import { configOf, warmUp } from '../warmup/warm-up.ts';
import { worldSource } from '../warmup/world-source.ts';
import {
  deviceOption,
  modelOption,
  offlineOption,
  repeatable,
  templateOption,
  threadsOption,
  wholeNumber,
} from './arguments.ts';
import { fetchModel } from './fetch-model.ts';
import { interruptible } from './interrupt.ts';
import { resolveSettings } from './settings-input.ts';
import { WarmUpStatus } from './status/warmup-status.ts';
import type { Io } from './widgets/io.ts';
import { LiveArea } from './widgets/live-area.ts';
import { fitting, message } from './widgets/terminal.ts';

interface Options {
  readonly model?: string;
  readonly engine?: string;
  readonly offline?: boolean;
  readonly config?: string;
  readonly set: readonly string[];
  readonly seed?: number;
  readonly out: string;
  readonly resume?: true | string;
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly questions?: string;
  readonly corpus?: string;
  readonly tokenizer?: string;
  readonly template?: string;
  readonly threads?: number;
  readonly device?: DeviceChoice;
}

const examples = `
From nothing a policy learns its language too; with --model it learns to read ("reader") and to search ("agent"), and the best weights on
questions that are kept from training stay. docs/pretrained.md has the recipe.

Examples:
  search-e1 warmup --out base
  search-e1 warmup --out base --seed 2 --set model.layers=6
  search-e1 warmup --resume base
  search-e1 warmup --out base --questions train.jsonl.gz --corpus passages.jsonl.gz --tokenizer tokenizer.json
  search-e1 warmup --model SmolLM2-135M-Instruct.Q4_1.gguf --questions train.jsonl.gz --corpus passages.jsonl.gz --out base --dry-run
  search-e1 warmup --engine http://127.0.0.1:8000 --set engine.profile=skyrl --set engine.baseModel=Qwen/Qwen2.5-3B --set engine.loraRank=32 --tokenizer qwen --questions train.jsonl.gz --corpus passages.jsonl.gz --out base
  search-e1 warmup --model smollm2 --questions train.jsonl.gz --corpus passages.jsonl.gz --out base --set adapter=null
`;

export function warmupCommand(io: Io): Command {
  const command = new Command('warmup')
    .addOption(modelOption('a pretrained model to go on from, with --questions and --corpus'))
    .option(
      '--engine <url>',
      'a training server to do it on, with its model: engine.profile, engine.baseModel, engine.loraRank',
    )
    .addOption(offlineOption())
    .option('--config <file>', 'JSON file with parts of the recipe, over the embedded one')
    .addOption(repeatable('--set <key=value>', 'one part of the recipe, e.g. model.layers=6'))
    .option('--seed <number>', 'everything random follows from it', wholeNumber(0))
    .option('--out <dir>', 'where the policy goes, a Hugging Face directory', 'base-policy')
    .option(
      '--resume [dir]',
      'continue the unfinished warm-up in this directory, else in --out, with the same recipe and files',
    )
    .option('--json', 'print one JSON document at the end, progress as plain lines on stderr')
    .option('--dry-run', 'open the files, print the resolved recipe and an estimate of the time, and stop')
    .option('--questions <file>', 'questions with gold_ids, JSONL or JSONL.gz (default: embedded worlds)')
    .option('--corpus <file>', 'passages to search, JSONL or JSONL.gz')
    .option('--tokenizer <file>', "tokenizer.json, or the folder that it is in (default with --model: the model's own)")
    .addOption(templateOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addHelpText('after', examples);
  return command.action((given: Options) => {
    const options = inFolder(given, command.getOptionValueSource('out') === 'cli');
    return options.model === undefined && options.engine === undefined
      ? fromNothing(options, io)
      : fromPretrained(options, io);
  });
}

/** `--resume DIR` is `--out DIR --resume`. */
function inFolder(options: Options, named: boolean): Options {
  const { out, resume } = options;
  if (typeof resume !== 'string') return options;
  if (named && path.resolve(resume) !== path.resolve(out))
    throw new UserError(`--resume ${resume} and --out ${out} name two directories`, {
      hint: 'A warm-up goes on where it is: leave --out away.',
    });
  return { ...options, out: resume };
}

function recipeInput({ config, set, seed }: Options) {
  return { file: config, set, seed, listedBy: '`search-e1 warmup --dry-run`' };
}

async function fromNothing(options: Options, io: Io): Promise<void> {
  const recipe = await resolveSettings(recipeSchema, worldRecipe, recipeInput(options));
  await checkFolder(options);
  const source = await openSource(recipe, options, io);
  refuseUnfit(configOf(recipe, source));
  await (options.dryRun ? dryRun(recipe, source, options, io) : run(recipe, source, options, io));
}

/** From a model of this machine, or from the one of a training server. */
async function fromPretrained(options: Options, io: Io): Promise<void> {
  const { model, engine: url, questions, corpus } = options;
  if (model !== undefined && url !== undefined) throw modelBesideServer(url);
  const server = url === undefined ? [] : ['engine.kind=tinker', `engine.url=${url}`];
  const preset = { ...pretrainedRecipe, ...(url !== undefined && { adapter: null }) };
  const recipe = await resolveSettings(pretrainedRecipeSchema, preset, {
    ...recipeInput({ ...options, set: [...server, ...options.set] }),
  });
  const given = url === undefined ? '--model' : '--engine';
  if (isLocal(recipe.engine) !== (url === undefined))
    throw new UserError(`engine.kind is ${recipe.engine.kind}`, { hint: 'Name a training server with --engine URL.' });
  if (questions === undefined || corpus === undefined)
    throw new UserError(`${given} needs --questions and --corpus: a pretrained model cannot read the embedded world`, {
      hint: 'Questions with gold_ids, and the passages that these name (docs/pretrained.md).',
    });
  const unfit = recipe.phases.find(({ kind }) => kind !== 'reader' && kind !== 'agent');
  if (unfit !== undefined)
    throw new UserError(`phases: ${unfit.kind} is for models from nothing`, {
      hint: 'A pretrained model goes through phases of the kinds reader and agent.',
    });
  await checkFolder(options);
  const { folder, contextLength, tokenizer } = await beginning(recipe, options, io);
  if (recipe.contextTokens > contextLength)
    throw new UserError(
      `contextTokens: ${isLocal(recipe.engine) ? model : recipe.engine.baseModel} reads at most ${contextLength} tokens, found ${recipe.contextTokens}`,
    );
  const template = options.template ?? compactTemplate.name;
  const source = await filesSource(
    { questions, corpus, tokenizer, template: await openTemplate(template) },
    recipe,
    (doing) => io.err.write(message(`${doing} …`, io.err)),
  );
  const complete = { ...options, template, ...(folder !== undefined && { model: folder }) };
  await (options.dryRun ? dryRun(recipe, source, complete, io) : run(recipe, source, complete, io));
}

/** The model's folder, where there is one here, what it reads at most in tokens, and its tokenizer. */
async function beginning(
  recipe: PretrainedRecipe,
  options: Options,
  io: Io,
): Promise<{ readonly folder?: string; readonly contextLength: number; readonly tokenizer: string }> {
  const { engine } = recipe;
  if (isLocal(engine)) {
    const { folder } = await fetchModel(options.model!, options, io);
    const config = await readConfig(folder);
    refuseUnfitPretrained(config, recipe, options);
    return { folder, contextLength: config.contextLength, tokenizer: options.tokenizer ?? folder };
  }
  if (options.tokenizer === undefined) throw tokenizerMissing(engine.baseModel);
  if (recipe.adapter !== null)
    throw new UserError('adapter: a server makes its adapter itself', {
      hint: 'Set engine.loraRank, and leave adapter out.',
    });
  return { contextLength: engine.context, tokenizer: options.tokenizer };
}

/** A finished policy is never written over, and an unfinished one is continued only when asked for. */
async function checkFolder({ out, resume }: Options): Promise<void> {
  const entries = (await new RunFiles(out).entries()) ?? [];
  if (entries.includes('manifest.json'))
    throw new UserError(`${out}: holds a finished policy`, { hint: 'Choose another directory with --out.' });
  // Before its first save a warm-up leaves nothing that is worth continuing.
  const unfinished = existsSync(path.join(out, 'progress', 'state.json'));
  if (resume && !unfinished)
    throw new UserError(`${out}: there is no unfinished warm-up here`, { hint: 'Leave out --resume to begin one.' });
  if (!resume && unfinished)
    throw new UserError(`${out}: holds an unfinished warm-up`, {
      hint: 'Continue it with --resume, or choose another directory with --out.',
    });
  if (!unfinished && entries.some((name) => name !== 'progress' && !name.startsWith('lock.json')))
    throw new UserError(`${out}: is not empty`, { hint: 'Choose another directory with --out.' });
}

async function openSource(recipe: Recipe, options: Options, io: Io): Promise<ExampleSource> {
  const { questions, corpus, tokenizer, template } = options;
  if (questions === undefined && corpus === undefined && tokenizer === undefined) {
    if (template !== undefined) throw new UserError('--template needs --questions: embedded worlds have their own');
    return worldSource(recipe);
  }
  if (questions === undefined || corpus === undefined || tokenizer === undefined)
    throw new UserError('--questions, --corpus and --tokenizer go together', {
      hint: 'Give all three, or none for the embedded worlds.',
    });
  if (recipe.habits !== undefined)
    throw new UserError('habits: found beside --questions, which bring no demonstrations of an agent with habits', {
      hint: 'Leave them out: habits are those of the embedded worlds.',
    });
  return filesSource(
    { questions, corpus, tokenizer, template: await openTemplate(template ?? searchR1Template.name) },
    recipe,
    (doing) => io.err.write(message(`${doing} …`, io.err)),
  );
}

/** Memory of weights, gradients and both means of AdamW, in bytes a parameter. */
const BYTES_A_PARAMETER = 16;

/** @throws UserError for a model that memory has no room for */
function refuseUnfit(config: ModelConfig): void {
  const total = [...tensorShapes(config).values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const available = process.availableMemory();
  if (total * BYTES_A_PARAMETER <= available) return;
  throw new UserError(
    `a model of ${total.toLocaleString('en')} parameters takes ${byteSize(total * BYTES_A_PARAMETER)} of memory to train, ${byteSize(available)} are available`,
    { hint: 'Make it smaller: --set model.hidden=… --set model.layers=…' },
  );
}

async function dryRun(
  recipe: Recipe | PretrainedRecipe,
  source: ExampleSource,
  options: Options,
  io: Io,
): Promise<void> {
  if ('engine' in recipe && !isLocal(recipe.engine)) {
    // A step that changes nothing is no call of the protocol.
    io.out.write(`${JSON.stringify(recipe, null, 2)}\n`);
    const steps = totalSteps(recipe).toLocaleString('en');
    io.err.write(
      message(`${steps} steps on ${recipe.engine.baseModel}; how long a server takes is seen when it begins`, io.err),
    );
    return;
  }
  io.err.write(message('measuring a few steps of each phase …', io.err));
  const open = policyOpener(recipe, source, options, io);
  const { seconds, parameters } = await interruptible('Nothing was written.', (signal) =>
    'model' in recipe
      ? estimateWarmUp(recipe, source, open, signal)
      : estimatePretrained(recipe, source, () => open(options.model!), signal),
  );
  io.out.write(`${JSON.stringify(recipe, null, 2)}\n`);
  const steps = totalSteps(recipe).toLocaleString('en');
  io.err.write(
    message(
      `${parameters === null ? '' : `${parameters.toLocaleString('en')} parameters, `}${steps} steps: about ${clock(seconds)} ${'model' in recipe ? 'of training' : 'of training and measuring'} on this machine`,
      io.err,
    ),
  );
}

function policyOpener(
  recipe: Recipe | PretrainedRecipe,
  { tokenizer: { pieces } }: ExampleSource,
  { threads, model, device }: Options,
  io: Io,
) {
  const concurrency = model === undefined ? undefined : MEASURED_AT_A_TIME;
  const chosen = 'engine' in recipe ? recipe.engine : EMBEDDED;
  const engine = device === undefined ? chosen : onDevice(chosen, device);
  const seed = streamKey(recipe.seed, 'engine')[0] >>> 1;
  const onNote = (text: string) => io.err.write(message(`note: ${text}`, io.err));
  return async (folder: string) =>
    (await openEngine(engine, { folder: isLocal(engine) ? folder : null, pieces, threads, concurrency, seed, onNote }))
      .policy;
}

async function run(recipe: Recipe | PretrainedRecipe, source: ExampleSource, options: Options, io: Io): Promise<void> {
  const { out } = options;
  const area = new LiveArea(io.err, options.json !== true);
  const status = new WarmUpStatus(area);
  const ticking = setInterval(() => status.draw(), 1000);
  await makeFolder(out);
  const lock = await acquireLock(out);
  try {
    const manifest = await interruptible('Continue with the same command and --resume.', (signal) =>
      warmUp(recipe, source, out, {
        model: options.model,
        device: options.device,
        versions: presentVersions(),
        openPolicy: policyOpener(recipe, source, options, io),
        onEvent: (event) => status.see(event),
        signal,
      }),
    );
    area.finish();
    io.out.write(
      options.json
        ? `${JSON.stringify({ directory: path.resolve(out), manifest }, null, 2)}\n`
        : fitting(summary(options, recipe, manifest), io.out),
    );
  } finally {
    clearInterval(ticking);
    area.finish();
    await lock.release();
  }
}

function summary(
  options: Options,
  recipe: Recipe | PretrainedRecipe,
  { parameters, steps, tokens, seconds, losses, measured }: Manifest,
): string {
  const { out } = options;
  const loss = losses.at(-1);
  return [
    `${out}: ${parameters === null ? '' : `${parameters.toLocaleString('en')} parameters, `}${steps} steps, ${tokens.toLocaleString('en')} tokens in ${clock(seconds)}`,
    ...(loss?.loss == null ? [] : [`last mean loss ${loss.loss.toFixed(3)} nats`]),
    ...(measured === null ? [] : [`measured: ${JSON.stringify(measured.mean ?? measured)}`]),
    `How it was made and what it can do: ${path.join(out, 'manifest.json')}`,
    `Train it with: ${trainingCommand(options, recipe)}`,
    '',
  ].join('\n');
}

/** With the data that the policy was made for: without it, a run would train on the embedded world's. */
function trainingCommand({ out, model, engine, ...given }: Options, recipe: Recipe | PretrainedRecipe): string {
  // A warmed-up model's folder has the tokenizer.
  const data = model === undefined && engine === undefined ? given : { ...given, tokenizer: undefined };
  const names = ['questions', 'corpus', 'tokenizer', 'template'] as const;
  const options = names.flatMap((name) => (data[name] === undefined ? [] : [`--${name}`, data[name]]));
  const server = 'engine' in recipe && !isLocal(recipe.engine) ? recipe.engine : undefined;
  const at = server && (['kind', 'url', 'profile', 'baseModel', 'loraRank', 'context'] as const);
  const settings = at?.flatMap((name) => ['--set', `engine.${name}=${server![name]}`]) ?? [];
  return shellCommand('search-e1', 'evolve', '--model', out, ...settings, ...options);
}
