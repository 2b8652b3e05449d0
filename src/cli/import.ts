/** `search-e1 import`: a GGUF file as a Hugging Face directory. */
import { Command, Option } from 'commander';
import { UserError } from '../base/errors.ts';
import { isGguf } from '../checkpoint/gguf/model.ts';
import { exportMerged } from '../runs/export.ts';
import { offlineOption } from './arguments.ts';
import { DTYPES, openSource, refuseFilled, report } from './export.ts';
import type { Io } from './widgets/io.ts';

interface Options {
  readonly out: string;
  readonly dtype: keyof typeof DTYPES;
  readonly offline?: boolean;
  readonly json?: boolean;
}

const examples = `
Examples:
  search-e1 import SmolLM2-135M-Instruct.Q4_1.gguf --out smollm2
  search-e1 import hf:OWNER/NAME/FILE.gguf --out model --dtype bfloat16

The file itself is taken as --model too; a directory is for transformers, PEFT, vLLM.
`;

export function importCommand(io: Io): Command {
  return new Command('import')
    .description('Write a GGUF file as a Hugging Face directory: weights in full precision, configuration, tokenizer.')
    .argument('<file>', 'FILE.gguf, or hf:OWNER/NAME/FILE.gguf[@REVISION]')
    .requiredOption('--out <dir>', 'new or empty directory')
    .addOption(new Option('--dtype <type>', 'numbers of the weights').choices(Object.keys(DTYPES)).default('float32'))
    .addOption(offlineOption())
    .option('--json', 'print one JSON document at the end')
    .addHelpText('after', examples)
    .action(async (place: string, options: Options) => {
      await refuseFilled(options.out);
      const source = await openSource(place, options, io);
      if (!(await isGguf(source.folder)))
        throw new UserError(`${place}: is no GGUF file`, {
          hint: 'A model directory is written anew by `search-e1 export`.',
        });
      await exportMerged(source, options.out, { dtype: DTYPES[options.dtype] });
      report(source, options, io);
    });
}
