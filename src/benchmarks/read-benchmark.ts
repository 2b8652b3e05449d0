/** Reads a benchmark's questions from any of the files people have: FlashRAG's copy, this project's JSONL, or the authors' own. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError, readJson, readJsonLines, readText } from '../base/files.ts';
import type { Question } from '../base/question.ts';
import { shown } from '../base/text.ts';
import type { Benchmark } from './benchmark.ts';
import { readQuestions } from './questions.ts';

type Row = Readonly<Record<string, unknown>>;

/**
 * All questions of a file, in order; `dataset` is the benchmark's name. JSONL (plain or .gz) whose rows have `answers` or
 * `golden_answers` is read as it stands, anything else as the benchmark's own published file.
 * @throws UserError naming file, row and field
 */
export async function readBenchmark(benchmark: Benchmark, file: string): Promise<Question[]> {
  if (/\.jsonl(\.gz)?$/.test(file) && (await hasOurFields(file))) {
    const questions = await readQuestions(file);
    return questions.map((question) => ({ ...question, dataset: benchmark.name }));
  }
  const rows = await originalRows(benchmark, file);
  if (rows.length === 0) throw new UserError(`${file}: no questions`, { hint: expected(benchmark) });
  const ids = new Set<string>();
  return rows.map((row, index) => {
    const question = toQuestion(benchmark, row, index, file);
    if (ids.has(question.id))
      throw new UserError(`${file}: row ${index + 1}: the id ${question.id} occurs a second time`);
    ids.add(question.id);
    return question;
  });
}

/**
 * The file of a benchmark below a folder: where `search-e1 data pull` puts it (FlashRAG's layout), `<name>.<split>….jsonl[.gz]`,
 * or the authors' file name; looked for in that order. Undefined when there is none.
 */
export async function locateBenchmark(benchmark: Benchmark, folder: string): Promise<string | undefined> {
  const [subfolder, pulled] = benchmark.flashRag.split('/') as [string, string];
  const inside = await entriesOf(path.join(folder, subfolder));
  if (inside.includes(pulled)) return path.join(folder, subfolder, pulled);
  const entries = await entriesOf(folder);
  const ours = entries
    .filter((name) => name.startsWith(`${benchmark.name}.${benchmark.split}`) && /\.jsonl(\.gz)?$/.test(name))
    .sort();
  const found = ours[0] ?? entries.find((name) => name === benchmark.original.name);
  return found === undefined ? undefined : path.join(folder, found);
}

async function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function hasOurFields(file: string): Promise<boolean> {
  for await (const { value } of readJsonLines(file))
    return typeof value === 'object' && value !== null && ('answers' in value || 'golden_answers' in value);
  // An empty file: readQuestions says so.
  return true;
}

async function originalRows(benchmark: Benchmark, file: string): Promise<readonly unknown[]> {
  const { form, list } = benchmark.original;
  if (form === 'jsonl') {
    const rows: unknown[] = [];
    for await (const { value } of readJsonLines(file)) rows.push(value);
    return rows;
  }
  if (form === 'json') {
    const value = await readJson(file);
    const rows = list === undefined ? value : (value as Row | null)?.[list];
    if (Array.isArray(rows)) return rows;
    throw new UserError(`${file}: expected a list of questions${list === undefined ? '' : ` in "${list}"`}`, {
      hint: expected(benchmark),
    });
  }
  try {
    return parse(await readText(file), {
      columns: true,
      skip_empty_lines: true,
      delimiter: form === 'tsv' ? '\t' : ',',
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('CSV_'))
      throw new UserError(`${file}: not valid ${form.toUpperCase()} (${messageOf(error)})`, {
        hint: expected(benchmark),
      });
    throw fileError(error, file, 'read');
  }
}

function toQuestion(benchmark: Benchmark, row: unknown, index: number, file: string): Question {
  const place = `${file}: row ${index + 1}`;
  if (typeof row !== 'object' || row === null)
    throw new UserError(`${place}: expected an object, found ${shown(row)}`, {
      hint: expected(benchmark),
    });
  const { id, question, answers } = benchmark.original.row(row as Row, index);
  if (typeof question !== 'string' || question.trim() === '')
    throw new UserError(`${place}: question: expected a text, found ${shown(question)}`, {
      hint: expected(benchmark),
    });
  const texts = answers.filter((answer): answer is string => typeof answer === 'string' && answer.trim() !== '');
  if (texts.length === 0) throw new UserError(`${place}: no gold answer`, { hint: expected(benchmark) });
  return { id, dataset: benchmark.name, question, answers: [...new Set(texts)] };
}

function expected({ title, original, flashRag }: Benchmark): string {
  return `${title} is read from ${original.name} (${original.page}), from FlashRAG's ${flashRag}, or from JSONL of {"id", "question", "answers"}.`;
}
