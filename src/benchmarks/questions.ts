/** Question files: JSONL, plain or gzip, one question a line. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJsonLines } from '../base/files.ts';
import type { Question } from '../base/question.ts';

const text = z.string().refine((value) => value.trim() !== '', 'expected a text that is not blank');
const answerList = z.array(text).min(1, 'expected at least one answer');

/** A line of a question file; further fields are passed over, and null counts as absent. */
const questionLine = z.object({
  id: z.union([text, z.int().transform(String)], 'expected a non-empty string'),
  dataset: text.nullish(),
  question: text,
  answers: answerList.nullish(),
  /** FlashRAG's name for the answers. */
  golden_answers: answerList.nullish(),
  answer: text.nullish(),
  hops: z.int().positive().nullish(),
  gold_ids: z.array(text).nullish(),
});

/**
 * The questions of a file, in order. A line has `id`, `question`, and the gold answers as `answers`, `golden_answers`
 * (FlashRAG) or a single `answer`; optional are `dataset` (default: the file's name without .jsonl and .gz), `gold_ids`
 * (passages of the corpus) and `hops`.
 *
 * @throws UserError naming file, line and field: missing or blank question, no answer, repeated id, no question at all.
 */
export async function readQuestions(file: string): Promise<Question[]> {
  const fileName = path.basename(file).replace(/(\.jsonl?)?(\.gz)?$/, '');
  const questions: Question[] = [];
  const ids = new Set<string>();
  for await (const { line, value } of readJsonLines(file)) {
    const question = parseQuestion(value, fileName, `${file}:${line}`);
    if (ids.has(question.id))
      throw new UserError(`${file}:${line}: id: ${JSON.stringify(question.id)} occurs a second time`, {
        hint: 'Every question of a file needs an id of its own: groups of rollouts are keyed by it.',
      });
    ids.add(question.id);
    questions.push(question);
  }
  if (questions.length === 0)
    throw new UserError(`${file}: no questions`, {
      hint: 'Expected one JSON object a line, such as {"id": "q1", "question": "...", "answers": ["..."]}.',
    });
  return questions;
}

function parseQuestion(value: unknown, fileName: string, place: string): Question {
  const parsed = questionLine.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const field = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
    throw new UserError(`${place}: ${field}${issue.message}`);
  }
  const { id, question, hops, gold_ids: goldIds } = parsed.data;
  const dataset = parsed.data.dataset ?? fileName;
  const single = parsed.data.answer == null ? undefined : [parsed.data.answer];
  const answers = parsed.data.answers ?? parsed.data.golden_answers ?? single;
  if (answers === undefined)
    throw new UserError(`${place}: answers: expected a list of at least one answer, found nothing`, {
      hint: 'The gold answers stand in "answers", "golden_answers" or "answer".',
    });
  return { id, dataset, question, answers, ...(hops != null && { hops }), ...(goldIds != null && { goldIds }) };
}

/** SHA-256, in hex, over one line of JSON `[id,dataset,question,answers]` for each question in order. */
export function questionsHash(questions: readonly Question[]): string {
  const hash = createHash('sha256');
  for (const { id, dataset, question, answers } of questions)
    hash.update(`${JSON.stringify([id, dataset, question, answers])}\n`);
  return hash.digest('hex');
}
