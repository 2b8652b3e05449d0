/** results.json of an evaluation: its conditions, and for each baseline every suite. No clock in it: same answers, same bytes. */
import { z } from 'zod';
import type { Question } from '../base/question.ts';
import { baselineNames } from '../baselines/all.ts';
import type { Estimate } from '../benchmarks/statistics.ts';
import type { ScoredAnswer } from './answer.ts';
import { conditionsSchema } from './conditions.ts';

const natural = z.int().min(0);
const estimate = z.strictObject({ mean: z.number(), standardError: z.number().nullable() }).nullable();

const figures = {
  exactMatch: estimate,
  f1: estimate,
  substring: estimate,
  /** Share of questions that searched for which a retrieved passage holds a gold answer. */
  recall: estimate,
  searches: estimate,
  newTokens: estimate,
  promptTokens: estimate,
  wellFormed: estimate,
};

const suiteResult = z.strictObject({
  suite: z.string(),
  questions: natural,
  /** Asked, but no reply came (server, retriever, deadline): left out of every figure. */
  failures: natural,
  /** The model replied without giving an answer: these count as wrong. */
  unanswered: natural,
  /** Wilson's 95 % interval of exact match. */
  exactMatchInterval: z.strictObject({ low: z.number(), high: z.number() }),
  ...figures,
});

export const evaluationResultsSchema = z.strictObject({
  schema: z.literal(1),
  conditions: conditionsSchema,
  rows: z.array(
    z.strictObject({
      baseline: z.enum(baselineNames),
      suites: z.array(suiteResult),
      /** Over suites, and over questions. */
      macro: z.strictObject(figures),
      micro: z.strictObject(figures),
    }),
  ),
});

export type EvaluationResults = z.infer<typeof evaluationResultsSchema>;
export type ResultRow = EvaluationResults['rows'][number];
export type SuiteResult = z.infer<typeof suiteResult>;
export type Figures = { readonly [name in keyof typeof figures]: Estimate | null };

export interface EvaluationSuite {
  readonly name: string;
  readonly questions: readonly Question[];
}

/** A finished evaluation under the name that the tables give it. */
export interface NamedEvaluation {
  readonly name: string;
  readonly results: EvaluationResults;
  readonly answers: ReadonlyMap<string, ScoredAnswer>;
}
