/** `search-e1 export`: a trained policy as a Hugging Face directory or a GGUF file, or its adapter in PEFT's format. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Command, Option } from 'commander';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import { parameterCount } from '../checkpoint/tensor-shapes.ts';
import { type ExportSource, exportAdapter, exportGguf, exportMerged, openExport } from '../runs/export.ts';
import { offlineOption } from './arguments.ts';
import { fetchModel } from './fetch-model.ts';
import type { Io } from './widgets/io.ts';

/** Names on the command line and in safetensors. */
export const DTYPES = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' } as const;
/** Names on the command line and in GGUF. */
const TYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16', q8_0: 'Q8_0', q4_0: 'Q4_0', q4_1: 'Q4_1' } as const;

interface Options {
  readonly out: string;
  readonly format: 'huggingface' | 'gguf';
  readonly type: keyof typeof TYPES;
  readonly dtype: keyof typeof DTYPES;
  readonly adapterOnly?: boolean;
  readonly adapter?: string;
  readonly offline?: boolean;
  readonly json?: boolean;
}

const examples = `
Examples:
  search-e1 export runs/mine --out policy                              the training stage that ended last
  search-e1 export 'runs/mine#e1-1' --out policy                       the stage named
  search-e1 export runs/mine --out policy --dtype bfloat16             half the size, rounded
  search-e1 export runs/mine/checkpoints/0011 --out lora --adapter-only
  search-e1 export hf:Qwen/Qwen2.5-0.5B --adapter lora --out merged    a PEFT adapter put into its base
  search-e1 export runs/mine --format gguf --type q8_0 --out mine.gguf    for llama.cpp and Ollama

Hugging Face's layout: for transformers, PEFT, vLLM, and here as --model. A GGUF file is taken as --model as well.
`;

export function exportCommand(io: Io): Command {
  return new Command('export')
    .argument(
      '<place>',
      'run (RUN or RUN#STAGE), checkpoint folder, Hugging Face directory, FILE.gguf, or hf:OWNER/NAME[/FILE.gguf][@REVISION]',
    )
    .requiredOption('--out <dir>', 'new or empty directory; with --format gguf a new FILE.gguf, or a directory for it')
    .addOption(
      new Option('--format <format>', 'what is written').choices(['huggingface', 'gguf']).default('huggingface'),
    )
    .addOption(new Option('--type <type>', 'numbers of a GGUF file').choices(Object.keys(TYPES)).default('f16'))
    .addOption(new Option('--dtype <type>', 'numbers of the weights').choices(Object.keys(DTYPES)).default('float32'))
    .option('--adapter-only', "the adapter alone, in PEFT's format (default: added to the weights)")
    .option('--adapter <dir>', 'a PEFT adapter to put on the model')
    .addOption(offlineOption())
    .option('--json', 'print one JSON document at the end')
    .addHelpText('after', examples)
    .action(async (place: string, options: Options, command: Command) => {
      const given = (name: keyof Options) => command.getOptionValueSource(name) === 'cli';
      const isGguf = options.format === 'gguf';
      for (const name of isGguf ? (['dtype', 'adapterOnly'] as const) : (['type'] as const))
        if (given(name))
          throw new UserError(
            `--${name === 'adapterOnly' ? 'adapter-only' : name} does not go with --format ${options.format}`,
            {
              hint: isGguf ? 'Name the type of the numbers with --type.' : 'Name the type of the numbers with --dtype.',
            },
          );
      const out = isGguf && !/\.gguf$/i.test(options.out) ? path.join(options.out, 'model.gguf') : options.out;
      await (isGguf ? refuseThere(out) : refuseFilled(out));
      const source = await openSource(place, options, io);
      if (isGguf) await exportGguf(source, out, TYPES[options.type]);
      else if (options.adapterOnly) await exportAdapter(source, out, DTYPES[options.dtype]);
      else await exportMerged(source, out, { dtype: DTYPES[options.dtype] });
      report(source, { ...options, out, dtype: isGguf ? options.type : options.dtype }, io);
    });
}

/** Opens what the user named; what was just fetched is not asked for again, but a run may still name a model that has to be. */
export async function openSource(
  place: string,
  options: { readonly offline?: boolean; readonly json?: boolean; readonly adapter?: string },
  io: Io,
): Promise<ExportSource> {
  const located = await fetchModel(place, options, io);
  const offline = place.startsWith('hf:') || options.offline === true;
  return openExport(located.place, options.adapter, offline ? { offline } : {});
}

/** Says what was written. */
export function report(
  source: ExportSource,
  {
    out,
    dtype,
    adapterOnly,
    json,
  }: { readonly out: string; readonly dtype: string; readonly adapterOnly?: boolean; readonly json?: boolean },
  io: Io,
): void {
  const what = {
    from: source.folder,
    directory: path.resolve(out),
    family: source.config.family,
    parameters: parameterCount(source.config),
    dtype,
    adapter: source.adapter ? { rank: source.adapter.rank, alpha: source.adapter.alpha } : null,
    base: adapterOnly ? source.base : null,
    tokenizer: source.tokenizer !== undefined && !adapterOnly,
  };
  io.out.write(json ? `${JSON.stringify(what, null, 2)}\n` : summary(what));
}

function summary({
  from,
  directory,
  family,
  parameters,
  dtype,
  adapter,
  base,
  tokenizer,
}: {
  readonly from: string;
  readonly directory: string;
  readonly family: string;
  readonly parameters: number;
  readonly dtype: string;
  readonly adapter: { readonly rank: number; readonly alpha: number } | null;
  readonly base: { readonly name: string; readonly revision?: string } | null;
  readonly tokenizer: boolean;
}): string {
  const lora = adapter && `adapter of rank ${adapter.rank}, alpha ${adapter.alpha}`;
  if (base)
    return `${directory}: ${lora}, ${dtype}, from ${from}\nIt belongs to ${base.name}${base.revision ? ` at ${base.revision}` : ''}.\n`;
  return [
    `${directory}: ${family}, ${parameters.toLocaleString('en')} parameters, ${dtype}, from ${from}`,
    ...(lora ? [`The ${lora}, was added to the weights.`] : []),
    ...(tokenizer ? [] : ['There was no tokenizer beside the model: put its tokenizer.json there.']),
    '',
  ].join('\n');
}

async function refuseThere(file: string): Promise<void> {
  if (existsSync(file)) throw new UserError(`${file}: exists already`, { hint: 'Choose another file with --out.' });
}

export async function refuseFilled(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw fileError(error, folder, 'write');
  });
  if (entries.length > 0)
    throw new UserError(`${folder}: is not empty`, { hint: 'Choose another directory with --out.' });
}
