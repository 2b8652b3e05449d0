/** The record of one question: what was answered, how it was found, what it scores. A line of answers.jsonl. */
import { z } from 'zod';
import { sha256 } from '../base/files.ts';
import type { Question } from '../base/question.ts';
import { baselineNames } from '../baselines/all.ts';
import type { Attempt } from '../baselines/attempt.ts';
import { substringMatch } from '../benchmarks/exact-match.ts';
import { scorePrediction } from '../benchmarks/score.ts';
import { isFailure } from '../rollout/trajectory.ts';
import { stopReasons } from '../rollout/trajectory-file.ts';

const natural = z.int().min(0);

export const answerSchema = z.strictObject({
  schema: z.literal(1),
  baseline: z.enum(baselineNames),
  suite: z.string(),
  id: z.string(),
  /** Absent in logs of before 0.5. */
  question: z.string().optional(),
  gold: z.array(z.string()).optional(),
  prediction: z.string().nullable(),
  stop: z.enum(stopReasons),
  failure: z.string().optional(),
  exactMatch: z.literal([0, 1]),
  f1: z.number(),
  /** A gold answer occurs in the prediction. */
  substring: z.literal([0, 1]),
  /** A gold answer occurs in a retrieved passage, title included; null when nothing was searched. */
  recall: z.literal([0, 1]).nullable(),
  searches: z.array(
    z.strictObject({
      query: z.string(),
      passages: z.array(z.strictObject({ id: z.string(), title: z.string(), score: z.number() })),
    }),
  ),
  calls: natural,
  promptTokens: natural.nullable(),
  newTokens: natural.nullable(),
  /** Replies in which the server gave the model's thinking alone. */
  reasoningOnly: natural.optional(),
  /** Fields of requests that the server refuses and was asked without. */
  leftOut: z.array(z.string()).optional(),
  wellFormed: z.boolean().nullable(),
  seconds: z.number().min(0),
  transcript: z.array(z.strictObject({ author: z.enum(['policy', 'environment']), text: z.string() })),
});

export type Answer = z.infer<typeof answerSchema>;

/** What is kept in memory of an answer. */
export interface ScoredAnswer extends Omit<Answer, 'schema' | 'transcript' | 'question' | 'gold'> {
  /** Stands for question and gold answers: the same only where these are. Absent of old logs, which do not hold them. */
  readonly asked?: string;
}

export function scoredOf({ schema: _, transcript: __, question, gold, ...scored }: Answer): ScoredAnswer {
  return question === undefined || gold === undefined
    ? scored
    : { ...scored, asked: sha256(JSON.stringify([question, gold])).slice(0, 16) };
}

/** Names one question of one baseline. */
export function answerKey({ baseline, suite, id }: Pick<Answer, 'baseline' | 'suite' | 'id'>): string {
  return JSON.stringify([baseline, suite, id]);
}

/**
 * Scores an attempt. No answer scores 0. A failed attempt has no score (0 stands in its place): it is in no figure, and is asked
 * again when the evaluation is continued.
 */
export function scoreAttempt(
  attempt: Attempt,
  question: Question,
  place: Pick<Answer, 'baseline' | 'suite' | 'seconds'>,
): Answer {
  const { answer, stop, failure, searches, calls, promptTokens, newTokens, wellFormed, transcript } = attempt;
  const { reasoningOnly, leftOut } = attempt;
  const gold = question.answers;
  const score = scorePrediction(isFailure(stop) ? null : answer, gold);
  const found = searches.flatMap(({ hits }) => hits.map(({ passage }) => `${passage.title}\n${passage.text}`));
  return {
    schema: 1,
    ...place,
    id: question.id,
    question: question.question,
    gold: [...gold],
    prediction: answer,
    stop,
    ...(failure !== undefined && { failure }),
    exactMatch: score.em,
    f1: score.f1,
    substring: score.sub_em,
    recall: searches.length === 0 ? null : found.some((text) => substringMatch(text, gold) === 1) ? 1 : 0,
    searches: searches.map(({ query, hits }) => ({
      query,
      passages: hits.map(({ passage, score }) => ({ id: passage.id, title: passage.title, score })),
    })),
    calls,
    promptTokens,
    newTokens,
    ...(reasoningOnly !== undefined && { reasoningOnly }),
    ...(leftOut !== undefined && { leftOut: [...leftOut] }),
    wellFormed,
    transcript: transcript.map(({ author, text }) => ({ author, text })),
  };
}
