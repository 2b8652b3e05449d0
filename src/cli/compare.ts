/** `search-e1 compare`: evaluations side by side, with the published rows, as text, Markdown, HTML or JSON. */
import path from 'node:path';
import { Command } from 'commander';
import { UserError } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import { type Comparison, compareEvaluations } from '../evaluation/compare.ts';
import { comparisonHtml, comparisonMarkdown, comparisonText } from '../evaluation/comparison-tables.ts';
import { readEvaluation } from '../evaluation/evaluation-directory.ts';
import type { NamedEvaluation } from '../evaluation/results.ts';
import type { Io } from './widgets/io.ts';

interface Options {
  readonly out?: string;
  readonly published: boolean;
  readonly json?: boolean;
}

const examples = `
The first directory's first row is what the others are compared with, question by question, where the questions are the same.
Published rows are the papers' own numbers; what differs from their conditions is said below the tables.

Examples:
  search-e1 compare evaluations/e1 evaluations/search-r1
  search-e1 compare evaluations/* --out table.html
  search-e1 compare evaluations/e1 --json | jq .warnings
`;

export function compareCommand(io: Io): Command {
  return new Command('compare')
    .description('Put finished evaluations side by side, and beside the published figures.')
    .argument('<dir...>', 'directories that `search-e1 evaluate` wrote to')
    .option('--out <file>', 'write the table to FILE.md, FILE.html or FILE.json as well')
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
  const comparison = compareEvaluations(evaluations, published);
  if (out !== undefined && render !== undefined) await writeFileAtomic(out, render(comparison));
  const width = Math.min(160, Math.max(60, io.out.columns ?? 100));
  io.out.write(json ? asJson(comparison) : comparisonText(comparison, width));
  if (out !== undefined) io.err.write(`written to ${out}\n`);
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
