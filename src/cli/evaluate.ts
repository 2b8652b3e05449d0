/** `search-e1 evaluate`: asks a policy the questions of benchmarks, by any of the baselines, and keeps every answer. */
import path from 'node:path';
import { Command } from 'commander';
import { UserError } from '../base/errors.ts';
import { heard } from '../base/heard.ts';
import { shellCommand } from '../base/shell-command.ts';
import { type BaselineName, baselineNames, baselineTitle } from '../baselines/all.ts';
import { emptyAnswersNote } from '../benchmarks/empty-answers.ts';
import { benchmarkNames } from '../benchmarks/suites/all.ts';
import { answerKey } from '../evaluation/answer.ts';
import { evaluationTasks, openTasks, workOff } from '../evaluation/evaluate.ts';
import { EvaluationDirectory } from '../evaluation/evaluation-directory.ts';
import { wrongAnswers } from '../evaluation/examples.ts';
import { resultsOf } from '../evaluation/measure.ts';
import { type OpenedEvaluation, openEvaluation } from '../evaluation/open-evaluation.ts';
import type { EvaluationResults } from '../evaluation/results.ts';
import { resultsTable } from '../evaluation/results-table.ts';
import { MOST_FAILED_OF_MEASURED } from '../rollout/complete-rollouts.ts';
import { blockAsText } from '../runs/table.ts';
import { type AgentCliOptions, addAgentOptions } from './agent-options.ts';
import { repeatable, wholeNumber } from './arguments.ts';
import { fetchModel } from './fetch-model.ts';
import { interruptible } from './interrupt.ts';
import { announceOpening } from './opening.ts';
import { EvaluateStatus } from './status/evaluate-status.ts';
import type { Io } from './widgets/io.ts';
import { LiveArea } from './widgets/live-area.ts';
import { nearestPath } from './widgets/nearest.ts';
import { fitting } from './widgets/terminal.ts';

interface Options extends AgentCliOptions {
  readonly baseline: string;
  readonly suites?: string;
  readonly questions: readonly string[];
  readonly data: string;
  readonly limit?: number;
  readonly concurrency: number;
  readonly out?: string;
  readonly json?: boolean;
}

const examples = `
A question whose server or search failed was not measured: it is recorded as failed, left out of every figure, and asked again when
the same command is given again, as is everything that an interruption left open. Exit code 2 when more than 1 in 100 failed.

Examples:
  search-e1 evaluate                                               the embedded base on the embedded world
  search-e1 evaluate --policy runs/NAME --out evaluations/e1       the last stage of a run
  search-e1 evaluate --policy runs/NAME#grpo-1 --out evaluations/search-r1
  search-e1 evaluate --policy http://127.0.0.1:8000/v1#qwen2.5-3b --retriever wiki.jsonl.gz \\
      --suites nq,hotpotqa --baseline direct,rag,agent --limit 200 --out evaluations/qwen
  search-e1 compare evaluations/e1 evaluations/search-r1           side by side, with the published rows
`;

export function evaluateCommand(io: Io): Command {
  return addAgentOptions(new Command('evaluate'))
    .option('--baseline <names>', `some of ${baselineNames.join(', ')}; or all`, 'agent')
    .option('--suites <names>', `some of ${benchmarkNames.join(', ')}; or world`)
    .addOption(repeatable('--questions <name=file>', 'questions from a file'))
    .option('--data <dir>', 'where benchmarks lie', 'data')
    .option(
      '--limit <number>',
      'questions of each suite, a choice by --seed (default: all; 100 of the embedded world)',
      wholeNumber(1),
    )
    .option('--concurrency <number>', 'questions under way at a time', wholeNumber(1), 16)
    .option('--out <dir>', 'where answers and results go (default: evaluations/<policy>)')
    .option('--json', 'print one JSON document at the end, progress as plain lines on stderr')
    .addHelpText('after', examples)
    .action((options: Options) => evaluate(options, io));
}

async function evaluate(options: Options, io: Io): Promise<void> {
  const baselines = baselinesOf(options.baseline);
  // Shows the download; what opens the model then finds it in the cache.
  if (options.policy?.startsWith('hf:')) await fetchModel(options.policy, options, io);
  announceOpening(io, options.retriever);
  const opened = await openEvaluation({
    ...options,
    policy: options.policy,
    retriever: options.retriever,
    trust: options.trustServer,
    template: options.template,
    limit: options.limit,
    searches: options.searches,
    passages: options.passages,
    turnTokens: options.turnTokens,
    observationTokens: options.observationTokens,
    contextTokens: options.contextTokens,
    threads: options.threads,
    device: options.device,
    apiKeyEnv: options.apiKeyEnv,
    offline: options.offline,
    onNote: (text) => io.err.write(`note: ${text}\n`),
    baselines,
    suites: options.suites === undefined ? [] : options.suites.split(',').map((name) => name.trim()),
    files: options.questions.map(questionFile),
  });
  try {
    const folder = options.out ?? path.join('evaluations', folderName(opened.conditions.model.name));
    const directory = await EvaluationDirectory.open(folder, opened.conditions);
    try {
      const results = await run(directory, opened, baselines, options, io);
      const notes = opened.suites.flatMap((suite) => emptyAnswersNote(suite.name, suite.questions) ?? []);
      io.out.write(
        options.json
          ? jsonText(folder, results, notes)
          : fitting(finalText(directory, results, opened.suites, notes, io), io.out),
      );
      refuseManyFailures(folder, results, directory);
    } finally {
      await directory.close();
    }
  } finally {
    await opened.close();
  }
}

async function run(
  directory: EvaluationDirectory,
  { conditions, suites, solve }: OpenedEvaluation,
  baselines: readonly BaselineName[],
  { concurrency, json }: Options,
  io: Io,
): Promise<EvaluationResults> {
  const tasks = evaluationTasks(baselines, suites);
  const open = openTasks(tasks, directory.answers);
  const area = new LiveArea(io.err, json !== true);
  const status = new EvaluateStatus(area, tasks, directory.answers);
  area.print(
    `${directory.folder}: ${tasks.length.toLocaleString('en')} questions, ${open.length.toLocaleString('en')} to ask`,
  );
  for (const note of versionNotes(directory.conditions.versions, conditions.versions)) area.print(`note: ${note}`);
  const ticking = setInterval(() => status.draw(), 1000);
  try {
    await interruptible('Give the same command again to continue.', (signal) =>
      workOff(open, solve, {
        concurrency,
        signal,
        record: async (answer) => {
          await directory.record(answer);
          status.see(answer);
        },
      }),
    );
    const results = resultsOf(directory.conditions, baselines, suites, directory.answers);
    await directory.writeResults(results);
    return results;
  } finally {
    clearInterval(ticking);
    area.finish();
  }
}

/** A name of others as one folder's: never the folder above, hidden, empty, or longer than file systems allow. */
export function folderName(name: string): string {
  const plain = name.replace(/[^\w.#-]+/g, '-').replace(/^[.-]+/, '');
  return plain.slice(0, 100) || 'policy';
}

function baselinesOf(text: string): BaselineName[] {
  const names = text === 'all' ? baselineNames : text.split(',').map((name) => name.trim());
  const chosen = [...new Set(names)].map((name) => {
    const found = baselineNames.find((each) => each === name);
    if (found !== undefined) return found;
    const close = nearestPath(name, baselineNames);
    throw new UserError(`--baseline: there is no ${name}${close === undefined ? '' : `, did you mean ${close}?`}`, {
      hint: `There are ${baselineNames.join(', ')}; or all.`,
    });
  });
  return chosen;
}

function questionFile(text: string): { name: string; file: string } {
  const [, name, file] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || file === undefined)
    throw new UserError(`--questions ${text}: expected NAME=FILE`, {
      hint: 'For example: --questions nq=nq.test.jsonl.gz',
    });
  return { name, file };
}

function versionNotes(recorded: Readonly<Record<string, string>>, present: Readonly<Record<string, string>>): string[] {
  return Object.keys(present)
    .filter((name) => recorded[name] !== present[name])
    .map((name) => `begun with ${name} ${recorded[name]}, this is ${present[name]}: answers may differ`);
}

function finalText(
  { folder, answers }: EvaluationDirectory,
  results: EvaluationResults,
  suites: OpenedEvaluation['suites'],
  notes: readonly string[],
  io: Io,
): string {
  const width = Math.min(160, Math.max(60, io.out.columns ?? 100));
  const table = resultsTable(results, answers);
  return (
    `${blockAsText({ ...table, notes: [...table.notes, ...notes.map((note) => `Note: ${note}.`)] }, width)}\n` +
    examplesText(results, suites, answers) +
    `Every question with its gold answers and what was said: ${path.join(folder, 'answers.jsonl')}\n` +
    `Beside the published rows: ${shellCommand('search-e1', 'compare', folder)}\n`
  );
}

/** Wrong answers of the last row, whose baseline is the one most looked at. */
function examplesText(
  { rows }: EvaluationResults,
  suites: OpenedEvaluation['suites'],
  answers: EvaluationDirectory['answers'],
): string {
  const { baseline } = rows.at(-1)!;
  const wrong = wrongAnswers(baseline, suites, answers);
  if (wrong.length === 0) return '';
  const lines = wrong.map(
    ({ suite, question, gold, prediction }) =>
      `  ${suite}: ${heard(question)}\n    gold: ${heard(gold.join(' | '))} · answered: ${prediction === null ? 'nothing' : heard(prediction)}\n`,
  );
  return `Wrong answers of ${baselineTitle(baseline)}, for example (all are in answers.jsonl):\n${lines.join('')}\n`;
}

function jsonText(folder: string, results: EvaluationResults, notes: readonly string[]): string {
  const at = (name: string) => path.resolve(folder, name);
  const files = { directory: path.resolve(folder), answers: at('answers.jsonl'), results: at('results.json') };
  return `${JSON.stringify({ files, notes, results }, null, 2)}\n`;
}

function refuseManyFailures(folder: string, results: EvaluationResults, directory: EvaluationDirectory): void {
  const suites = results.rows.flatMap((row) => row.suites);
  const asked = suites.reduce((sum, { questions }) => sum + questions, 0);
  const failed = suites.reduce((sum, { failures }) => sum + failures, 0);
  if (failed <= MOST_FAILED_OF_MEASURED * asked) return;
  const first = [...directory.answers.values()].find(({ failure }) => failure !== undefined);
  const words = first?.failure?.replaceAll('\n', ' ');
  const example = first === undefined ? '' : `, such as ${answerKey(first)}: ${words}`;
  throw new UserError(`${folder}: ${failed} of ${asked} questions failed${example}`, {
    hint:
      first?.stop === 'prompt-too-long'
        ? 'Allow a longer context with --context-tokens and another --out, or leave these questions out.'
        : 'Give the same command again: only those are asked again.',
  });
}
