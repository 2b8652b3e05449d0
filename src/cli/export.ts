/** `search-e1 export`: a trained policy as a Hugging Face directory, or its adapter in PEFT's format. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Command, Option } from 'commander';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import { exportAdapter, exportMerged, openExport } from '../runs/export.ts';
import { fetchModel } from './fetch-model.ts';
import type { Io } from './widgets/io.ts';

/** Names on the command line and in safetensors. */
const DTYPES = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' } as const;

interface Options {
  readonly out: string;
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

Hugging Face's layout: for transformers, PEFT, vLLM, llama.cpp's converter, and here as --model.
`;

export function exportCommand(io: Io): Command {
  return new Command('export')
    .argument(
      '<place>',
      'run (RUN or RUN#STAGE), checkpoint folder, Hugging Face directory, or hf:OWNER/NAME[@REVISION]',
    )
    .requiredOption('--out <dir>', 'new or empty directory')
    .addOption(new Option('--dtype <type>', 'numbers of the weights').choices(Object.keys(DTYPES)).default('float32'))
    .option('--adapter-only', "the adapter alone, in PEFT's format (default: added to the weights)")
    .option('--adapter <dir>', 'a PEFT adapter to put on the model')
    .option('--offline', 'take an hf: model from the cache, never from the network')
    .option('--json', 'print one JSON document at the end')
    .addHelpText('after', examples)
    .action(async (place: string, options: Options) => {
      await refuseFilled(options.out);
      const located = await fetchModel(place, options, io);
      // What was just fetched is not asked for again; a run may still name a model that has to be.
      const offline = place.startsWith('hf:') || options.offline === true;
      const source = await openExport(located.place, options.adapter, offline ? { offline } : {});
      const dtype = DTYPES[options.dtype];
      if (options.adapterOnly) await exportAdapter(source, options.out, dtype);
      else await exportMerged(source, options.out, { dtype });
      const what = {
        from: source.folder,
        directory: path.resolve(options.out),
        family: source.config.family,
        parameters: source.weights.length,
        dtype: options.dtype,
        adapter: source.adapter ? { rank: source.adapter.rank, alpha: source.adapter.alpha } : null,
        base: options.adapterOnly ? source.base : null,
        tokenizer: source.tokenizer !== undefined && !options.adapterOnly,
      };
      io.out.write(options.json ? `${JSON.stringify(what, null, 2)}\n` : summary(what));
    });
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

async function refuseFilled(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw fileError(error, folder, 'write');
  });
  if (entries.length > 0)
    throw new UserError(`${folder}: is not empty`, { hint: 'Choose another directory with --out.' });
}
