/** The options by which commands that train take the user's own questions and passages in place of the embedded world. */
import path from 'node:path';
import { type Command, Option } from 'commander';
import { UserError } from '../base/errors.ts';
import type { Inputs } from '../evolve/open.ts';
import { builtInTemplates } from '../protocol/templates.ts';
import { repeatable, templateOption } from './arguments.ts';

export interface DataOptions {
  readonly questions?: string;
  readonly corpus?: string;
  readonly retriever?: string;
  readonly tokenizer?: string;
  readonly evaluate: readonly string[];
  readonly template?: string;
}

export function withData(command: Command): Command {
  return command
    .option('--questions <file>', 'training questions, JSONL or JSONL.gz (default: the embedded world)')
    .option('--corpus <file>', 'passages to search, JSONL or JSONL.gz')
    .addOption(
      new Option(
        '--retriever <which>',
        'in place of --corpus: an index directory, or the URL of a retrieval server',
      ).conflicts('corpus'),
    )
    .option('--tokenizer <file>', "tokenizer.json, in place of the model's own")
    .addOption(repeatable('--evaluate <suite=file>', 'questions to evaluate on'))
    .addOption(templateOption());
}

/** The user's files, as absolute paths: what is run may be continued from another directory. */
export function dataOf(options: DataOptions): Omit<Inputs, 'model' | 'threads'> {
  const absolute = (file: string | undefined) => (file === undefined ? null : path.resolve(file));
  if (options.questions === undefined && options.evaluate.length > 0)
    throw new UserError('--evaluate needs --questions and --corpus: the embedded world brings its own suites');
  const isBuiltIn = builtInTemplates.some(({ name }) => name === options.template);
  return {
    questions: absolute(options.questions),
    corpus: isUrl(options.retriever) ? options.retriever : absolute(options.retriever ?? options.corpus),
    tokenizer: absolute(options.tokenizer),
    template: isBuiltIn ? options.template! : absolute(options.template),
    evaluate: options.evaluate.map((text) => {
      const [, suite, file] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (suite === undefined || file === undefined)
        throw new UserError(`--evaluate ${text}: expected SUITE=FILE`, {
          hint: 'For example: --evaluate nq=nq.test.jsonl',
        });
      return { suite, file: path.resolve(file) };
    }),
  };
}

function isUrl(source: string | undefined): source is string {
  return source !== undefined && /^https?:\/\//.test(source);
}
