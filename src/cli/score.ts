/** `search-e1 score`: exact match, F1 and substring match of predictions made by anything. */
import { Command } from 'commander';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJsonLines } from '../base/files.ts';
import { streamKey } from '../base/random.ts';
import { emptyAnswersNote } from '../benchmarks/empty-answers.ts';
import { type Score, type ScoreSummary, scorePrediction, summarizeScores } from '../benchmarks/score.ts';
import { type Estimate, pairedBootstrap } from '../benchmarks/statistics.ts';
import { estimateText } from '../runs/table.ts';
import type { Io } from './widgets/io.ts';
import { fitting } from './widgets/terminal.ts';

interface Options {
  readonly predictions: string;
  readonly compare?: string;
  readonly json?: boolean;
}

const examples = `
A line of the file is {"prediction": "...", "answers": ["...", ...]}, with "id" and "suite" when there are any; a prediction
of null stands for no answer. Each line is answered by {"id", "em", "f1", "sub_em"} on standard output; means go to standard error.

Examples:
  search-e1 score --predictions predictions.jsonl > scores.jsonl
  zcat predictions.jsonl.gz | search-e1 score --predictions -
  search-e1 score --predictions predictions.jsonl --json | jq .summary.macro
  search-e1 score --predictions new.jsonl --compare old.jsonl
`;

export function scoreCommand(io: Io): Command {
  return new Command('score')
    .requiredOption('--predictions <file>', 'JSONL or JSONL.gz; - reads standard input')
    .option(
      '--compare <file>',
      'other predictions of the same questions (by id): the difference with a paired bootstrap',
    )
    .option('--json', 'print one JSON document instead of lines')
    .addHelpText('after', examples)
    .action((options: Options) => score(options, io));
}

interface Scored extends Score {
  readonly id?: string;
}

async function score({ predictions, compare, json }: Options, io: Io): Promise<void> {
  const lines: Scored[] = [];
  const suites = new Map<string, Score[]>();
  const byId = new Map<string, number>();
  const asked: { readonly answers: readonly string[] }[] = [];
  for await (const { place, id, suite, answers, score } of readPredictions(predictions)) {
    asked.push({ answers });
    const line = { ...(id === undefined ? {} : { id }), ...score };
    if (json === true) lines.push(line);
    else io.out.write(`${JSON.stringify(line)}\n`);
    const scores = suites.get(suite) ?? [];
    suites.set(suite, scores);
    scores.push(score);
    if (compare !== undefined) keepUnique(byId, id, score.em, place);
  }
  if (suites.size === 0) throw new UserError(`${predictions}: no predictions`, { hint: LINE });
  const summary = summarizeScores(suites);
  const comparison = compare === undefined ? undefined : await compareWith(compare, byId);
  const note = emptyAnswersNote(predictions, asked) ?? null;
  if (json === true)
    io.out.write(
      `${JSON.stringify({ summary, note, ...(comparison === undefined ? {} : { comparison }), scores: lines }, null, 2)}\n`,
    );
  else {
    const text = summaryText(summary) + (comparison === undefined ? '' : comparisonText(comparison));
    io.err.write(fitting(note === null ? text : `${text}note: ${note}\n`, io.err));
  }
}

const text = z.union([z.string(), z.int().transform(String)], 'expected a string');
const predictionLine = z.object({
  id: text.nullish(),
  suite: text.nullish(),
  dataset: text.nullish(),
  prediction: z.string('expected a string, or null for no answer').nullable(),
  answers: z.array(z.string('expected a string'), 'expected a list of strings').min(1, 'expected at least one answer'),
});
/** Of lines that name none; a suite of the user's may be called anything. */
const NO_SUITE = '(no suite)';
const LINE = 'Expected one JSON object a line: {"id"?, "suite"?, "prediction", "answers": ["..."]}.';

async function* readPredictions(file: string) {
  for await (const { line, value } of readJsonLines(file)) {
    const place = `${file === '-' ? 'standard input' : file}:${line}`;
    const parsed = predictionLine.safeParse(value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      const field = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
      throw new UserError(`${place}: ${field}${issue.message}`, { hint: LINE });
    }
    const { id, suite, dataset, prediction, answers } = parsed.data;
    yield {
      place,
      id: id ?? undefined,
      suite: suite ?? dataset ?? NO_SUITE,
      answers,
      score: scorePrediction(prediction, answers),
    };
  }
}

function keepUnique(byId: Map<string, number>, id: string | undefined, em: number, place: string): void {
  if (id === undefined) throw new UserError(`${place}: id: nothing found; --compare joins the two files by it`);
  if (byId.has(id)) throw new UserError(`${place}: id: ${JSON.stringify(id)} occurs a second time`);
  byId.set(id, em);
}

interface Comparison {
  /** Questions that both files have. */
  readonly questions: number;
  /** Estimate exact match of this file minus the other's, with the bootstrap's 95 % interval. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
}

async function compareWith(file: string, byId: ReadonlyMap<string, number>): Promise<Comparison> {
  const others = new Map<string, number>();
  for await (const { place, id, score } of readPredictions(file)) keepUnique(others, id, score.em, place);
  const shared = [...byId.keys()].filter((id) => others.has(id));
  if (shared.length === 0)
    throw new UserError(`${file}: no id of it occurs in the other file`, {
      hint: 'Both must hold the same questions.',
    });
  const { difference, low, high } = pairedBootstrap(
    shared.map((id) => others.get(id)!),
    shared.map((id) => byId.get(id)!),
    streamKey(0, 'score'),
  );
  return { questions: shared.length, difference, low, high };
}

function summaryText({ suites, micro, macro, note }: ScoreSummary): string {
  const isOnly = suites.length === 1;
  const lines = suites.map(({ suite, questions, em, f1, sub_em }) =>
    row(isOnly && suite === NO_SUITE ? 'all' : suite, questions, em, f1, sub_em),
  );
  if (suites.length > 1) {
    lines.push(row('macro mean', undefined, macro.em, macro.f1, macro.sub_em));
    lines.push(row('micro mean', micro.questions, micro.em, micro.f1, micro.sub_em));
  }
  return [...lines, ...(note === null ? [] : [note]), ''].join('\n');
}

function row(name: string, questions: number | undefined, em: Estimate, f1: Estimate, subEm: Estimate): string {
  const count = questions === undefined ? '' : `  n ${questions.toLocaleString('en')}`;
  return `${name}: exact match ${estimateText(em, 3)}  F1 ${estimateText(f1, 3)}  substring ${estimateText(subEm, 3)}${count}`;
}

function comparisonText({ questions, difference, low, high }: Comparison): string {
  const sign = difference > 0 ? '+' : '';
  return `exact match against the other file: ${sign}${difference.toFixed(3)}  95 % [${low.toFixed(3)}, ${high.toFixed(3)}]  ${questions.toLocaleString('en')} questions in both\n`;
}
