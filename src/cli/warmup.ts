/** `search-e1 warmup`: makes a base policy from nothing but examples, of embedded worlds or of the user's own questions. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { byteSize } from '../base/bytes.ts';
import { UserError } from '../base/errors.ts';
import { makeFolder } from '../base/files.ts';
import { shellCommand } from '../base/shell-command.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { tensorShapes } from '../checkpoint/tensor-shapes.ts';
import { EMBEDDED, openEngine } from '../engines/open-engine.ts';
import { builtInTemplates, openTemplate, searchR1Template } from '../protocol/templates.ts';
import { presentVersions } from '../runs/config-record.ts';
import { acquireLock } from '../runs/lock.ts';
import { RunFiles } from '../runs/run-files.ts';
import { estimateWarmUp } from '../warmup/estimate.ts';
import type { ExampleSource } from '../warmup/examples.ts';
import { filesSource } from '../warmup/files-source.ts';
import type { Manifest } from '../warmup/manifest.ts';
import { type Recipe, recipeSchema, totalSteps, worldRecipe } from '../warmup/recipe.ts';
import { configOf, warmUp } from '../warmup/warm-up.ts';
import { worldSource } from '../warmup/world-source.ts';
import { repeatable, wholeNumber } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import { resolveSettings } from './settings-input.ts';
import { WarmUpStatus } from './status/warmup-status.ts';
import type { Io } from './widgets/io.ts';
import { clock, LiveArea } from './widgets/live-area.ts';
import { fitting, message } from './widgets/terminal.ts';

interface Options {
  readonly config?: string;
  readonly set: readonly string[];
  readonly seed?: number;
  readonly out: string;
  readonly resume?: boolean;
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly questions?: string;
  readonly corpus?: string;
  readonly tokenizer?: string;
  readonly template?: string;
  readonly threads?: number;
}

const examples = `
Examples:
  search-e1 warmup --out base
  search-e1 warmup --out base --seed 2 --set model.layers=6
  search-e1 warmup --out base --resume
  search-e1 warmup --out base --questions train.jsonl.gz --corpus passages.jsonl.gz --tokenizer tokenizer.json
`;

export function warmupCommand(io: Io): Command {
  return new Command('warmup')
    .option('--config <file>', 'JSON file with parts of the recipe, over the embedded one')
    .addOption(repeatable('--set <key=value>', 'one part of the recipe, e.g. model.layers=6; may be repeated'))
    .option('--seed <number>', 'everything random follows from it', wholeNumber(0))
    .option('--out <dir>', 'where the policy goes, a Hugging Face directory', 'base-policy')
    .option('--resume', 'continue an unfinished warm-up in --out, with the same recipe and files')
    .option('--json', 'print one JSON document at the end, progress as plain lines on stderr')
    .option('--dry-run', 'open the files, print the resolved recipe and an estimate of the time, and stop')
    .option('--questions <file>', 'questions with gold_ids, JSONL or JSONL.gz (default: embedded worlds)')
    .option('--corpus <file>', 'passages to search, JSONL or JSONL.gz')
    .option('--tokenizer <file>', 'tokenizer.json')
    .option('--template <name|file>', `prompts: ${builtInTemplates.map(({ name }) => name).join(', ')}, or a JSON file`)
    .option('--threads <number>', 'threads of the engine (default: all cores)', wholeNumber(1))
    .addHelpText('after', examples)
    .action(async (options: Options) => {
      const recipe = await resolveSettings(recipeSchema, worldRecipe, {
        file: options.config,
        set: options.set,
        seed: options.seed,
        listedBy: '`search-e1 warmup --dry-run`',
      });
      await checkFolder(options);
      const source = await openSource(recipe, options, io);
      refuseUnfit(configOf(recipe, source));
      await (options.dryRun ? dryRun(recipe, source, options, io) : run(recipe, source, options, io));
    });
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

async function dryRun(recipe: Recipe, source: ExampleSource, options: Options, io: Io): Promise<void> {
  io.err.write(message('measuring a few steps of each phase …', io.err));
  const open = policyOpener(source, options);
  const { seconds, parameters } = await interruptible('Nothing was written.', (signal) =>
    estimateWarmUp(recipe, source, open, signal),
  );
  io.out.write(`${JSON.stringify(recipe, null, 2)}\n`);
  const steps = totalSteps(recipe).toLocaleString('en');
  io.err.write(
    message(
      `${parameters === null ? '' : `${parameters.toLocaleString('en')} parameters, `}${steps} steps: about ${clock(seconds)} of training on this machine`,
      io.err,
    ),
  );
}

function policyOpener({ tokenizer: { pieces } }: ExampleSource, { threads }: Options) {
  return async (folder: string) => (await openEngine(EMBEDDED, { folder, pieces, threads })).policy;
}

async function run(recipe: Recipe, source: ExampleSource, options: Options, io: Io): Promise<void> {
  const { out } = options;
  const area = new LiveArea(io.err, options.json !== true);
  const status = new WarmUpStatus(area);
  await makeFolder(out);
  const lock = await acquireLock(out);
  try {
    const manifest = await interruptible('Continue with the same command and --resume.', (signal) =>
      warmUp(recipe, source, out, {
        versions: presentVersions(),
        openPolicy: policyOpener(source, options),
        onEvent: (event) => status.see(event),
        signal,
      }),
    );
    area.finish();
    io.out.write(
      options.json
        ? `${JSON.stringify({ directory: path.resolve(out), manifest }, null, 2)}\n`
        : fitting(summary(options, manifest), io.out),
    );
  } finally {
    area.finish();
    await lock.release();
  }
}

function summary(options: Options, { parameters, steps, tokens, seconds, losses, measured }: Manifest): string {
  const { out } = options;
  const loss = losses.at(-1);
  return [
    `${out}: ${parameters === null ? '' : `${parameters.toLocaleString('en')} parameters, `}${steps} steps, ${tokens.toLocaleString('en')} tokens in ${clock(seconds)}`,
    ...(loss?.loss == null ? [] : [`last mean loss ${loss.loss.toFixed(3)} nats`]),
    ...(measured === null ? [] : [`measured: ${JSON.stringify(measured.mean ?? measured)}`]),
    `How it was made and what it can do: ${path.join(out, 'manifest.json')}`,
    `Train it with: ${trainingCommand(options)}`,
    '',
  ].join('\n');
}

/** With the data that the policy was made for: without it, a run would train on the embedded world's. */
function trainingCommand({ out, ...data }: Options): string {
  const names = ['questions', 'corpus', 'tokenizer', 'template'] as const;
  const options = names.flatMap((name) => (data[name] === undefined ? [] : [`--${name}`, data[name]]));
  return shellCommand('search-e1', 'evolve', '--model', out, ...options);
}
