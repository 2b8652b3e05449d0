/** `search-e1 compare`: evaluations side by side, with the published rows, as text, Markdown, HTML or JSON. */
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { UserError } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import { printable } from '../base/text.ts';
import { type Comparison, compareEvaluations } from '../evaluation/compare.ts';
import { comparisonHtml, comparisonMarkdown, comparisonText } from '../evaluation/comparison-tables.ts';
import { readEvaluation } from '../evaluation/evaluation-directory.ts';
import { type PublishedModel, publishedModels } from '../evaluation/published.ts';
import type { NamedEvaluation } from '../evaluation/results.ts';
import type { Io } from './widgets/io.ts';
import { fitting, message } from './widgets/terminal.ts';

interface Options {
  readonly out?: string;
  readonly published: readonly PublishedModel[] | false;
  readonly json?: boolean;
}

const examples = `
The first directory's first row is what the others are compared with, question by question, over the questions that both
asked: the same id, question and gold answers. How many these are stands below the table.
Published rows are the papers' own numbers; what differs from their conditions is said below the tables.

Examples:
  search-e1 compare evaluations/e1 evaluations/search-r1
  search-e1 compare evaluations/* --out table.html
  search-e1 compare evaluations/e1 --published 3B,7B
  search-e1 compare evaluations/e1 --json | jq .warnings
`;

const SIZES = publishedModels.map((model) => model.replace('Qwen2.5-', ''));

/** Models of sizes such as "3B,7B". */
function modelsOf(sizes: string): PublishedModel[] {
  return sizes.split(',').map((size) => {
    const model = publishedModels[SIZES.findIndex((known) => known.toLowerCase() === size.trim().toLowerCase())];
    if (model === undefined) throw new InvalidArgumentError(`Expected sizes out of ${SIZES.join(', ')}.`);
    return model;
  });
}

export function compareCommand(io: Io): Command {
  return new Command('compare')
    .argument('<dir...>', 'directories that `search-e1 evaluate` wrote to')
    .option('--out <file>', 'write the table to FILE.md, FILE.html or FILE.json as well')
    .addOption(
      new Option('--published <sizes>', `published rows of Qwen2.5 of these sizes: ${SIZES.join(', ')}`)
        .default(['Qwen2.5-3B'], '3B')
        .argParser(modelsOf),
    )
    .option('--no-published', 'leave the published rows out')
    .option('--json', 'print one JSON document')
    .addHelpText('after', examples)
    .action((folders: readonly string[], options: Options) => compare(folders, options, io));
}

async function compare(folders: readonly string[], { out, published, json }: Options, io: Io): Promise<void> {
  const render = out === undefined ? undefined : rendererOf(out);
  const evaluations: NamedEvaluation[] = [];
  for (const [i, folder] of folders.entries())
    evaluations.push({ name: nameOf(folders, i), ...(await readEvaluation(folder)) });
  const comparison = compareEvaluations(evaluations, published || []);
  if (out !== undefined && render !== undefined) await writeFileAtomic(out, render(comparison));
  const width = Math.min(160, Math.max(60, io.out.columns ?? 100));
  io.out.write(json ? asJson(comparison) : fitting(printable(comparisonText(comparison, width)), io.out));
  if (out !== undefined) io.err.write(message(`written to ${out}`, io.err));
}

/** The last part of the path; more of it when two directories would be called the same. */
function nameOf(folders: readonly string[], i: number): string {
  const parts = folders.map((folder) => path.resolve(folder).split(path.sep));
  const ending = (all: readonly string[], count: number) => all.slice(-count).join('/');
  for (let count = 1; count < parts[i]!.length; count++) {
    const name = ending(parts[i]!, count);
    if (parts.every((other, j) => j === i || ending(other, count) !== name)) return name;
  }
  throw new UserError(`${folders[i]}: given twice`);
}

function rendererOf(file: string): (comparison: Comparison) => string {
  switch (path.extname(file).toLowerCase()) {
    case '.md':
      return comparisonMarkdown;
    case '.html':
      return comparisonHtml;
    case '.json':
      return asJson;
    default:
      throw new UserError(`--out ${file}: expected a name that ends in .md, .html or .json`);
  }
}

function asJson(comparison: Comparison): string {
  return `${JSON.stringify(comparison, null, 2)}\n`;
}
