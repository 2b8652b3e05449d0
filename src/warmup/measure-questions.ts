/** What a warmed-up agent has learned, by asking it questions that it was not taught: the figures in its manifest. */
import type { Question } from '../base/question.ts';
import { f1 } from '../benchmarks/exact-match.ts';
import { type Interval, mean, meanOf, wilsonInterval } from '../benchmarks/statistics.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Policy } from '../policy/policy.ts';
import type { Template } from '../protocol/template.ts';
import type { Retriever } from '../retrieval/retriever.ts';
import { MOST_FAILED_OF_MEASURED, rollOutCompletely } from '../rollout/complete-rollouts.ts';
import { groupTasks } from '../rollout/rollouts.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';
import { defaultDeadlines, type RolloutLimits } from '../rollout/turns.ts';
import type { MeasuringOptions } from './examples.ts';
import { UNKNOWN } from './real-demonstrations.ts';
import type { AnyRecipe } from './recipe.ts';
import { MEASURED_AT_A_TIME } from './requirements.ts';

export interface MeasuringConditions {
  readonly tokenizer: Tokenizer;
  readonly template: Template;
  readonly retriever: Pick<Retriever, 'search'>;
  readonly lookup: AnyRecipe['lookup'];
  readonly contextTokens: number;
  /** Of each question at temperature 1, at least 1. */
  readonly samples: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: MeasuringOptions['onProgress'] | undefined;
}

/** Means over rollouts in [0, 1] but for searches and tokens; null where nothing was measured. */
interface RolloutFigures {
  readonly exactMatch: number | null;
  readonly f1: number | null;
  readonly wellFormed: number | null;
  readonly searches: number | null;
  readonly policyTokens: number | null;
  /** Answers that are "unknown". */
  readonly unknown: number | null;
}

export interface QuestionFigures {
  readonly questions: number;
  readonly samples: number;
  /** Rollouts that failed, in no mean. */
  readonly failures: number;
  readonly greedy: RolloutFigures & { readonly exactMatchInterval: Interval };
  readonly sampled: RolloutFigures;
  /** Exact match of one sample, and of the best of all samples. */
  readonly passAt1: number | null;
  readonly passAtSamples: number | null;
  /** Share of the groups of samples in which some are right and some are wrong, by exact match and by F1. */
  readonly mixedGroups: number | null;
  readonly mixedGroupsByF1: number | null;
}

/** Turns of a trajectory are as long as those that were taught, and half as long again. */
const TURN_TOKENS = 96;

export function limitsOf(lookup: AnyRecipe['lookup'], contextTokens: number): RolloutLimits {
  return {
    searches: lookup.searches,
    invalidTurns: 1,
    turnTokens: TURN_TOKENS,
    responseTokens: TURN_TOKENS * (lookup.searches + 1),
    observationTokens: lookup.observationTokens,
    contextTokens,
    passages: lookup.passages,
  };
}

/**
 * Asks every question greedily, and `samples` times at temperature 1.
 * @throws the signal's reason when that is aborted, and a UserError when too much failed
 */
export async function measureQuestions(
  policy: Policy,
  questions: readonly Question[],
  { tokenizer, template, retriever, lookup, contextTokens, samples, seed, signal, onProgress }: MeasuringConditions,
): Promise<Readonly<Record<string, unknown>>> {
  const limits = limitsOf(lookup, Math.min(contextTokens, policy.info.contextLength));
  const environment = { policy, tokenizer, template, retriever, limits, deadlines: defaultDeadlines };
  let done = 0;
  const options = {
    name: 'measuring',
    onDone: () => onProgress?.(++done, questions.length * (1 + samples)),
    concurrency: MEASURED_AT_A_TIME,
    mostFailed: () => MOST_FAILED_OF_MEASURED,
    ...(signal && { signal }),
  };
  const ask = (rollouts: number, temperature: number) =>
    rollOutCompletely(
      groupTasks(questions, rollouts, { seed, stage: 'measure', step: 0 }),
      { ...environment, temperature },
      options,
    );
  const figures = questionFigures(questions, await ask(1, 0), await ask(samples, 1), samples);
  return { ...figures };
}

export function questionFigures(
  questions: readonly Question[],
  greedy: readonly Trajectory[],
  sampled: readonly Trajectory[],
  samples: number,
): QuestionFigures {
  const answers = new Map(questions.map((question) => [question.id, question.answers]));
  const f1Of = ({ answer, questionId }: Trajectory) => (answer === null ? 0 : f1(answer, answers.get(questionId)!));
  const figuresOf = (all: readonly Trajectory[]): RolloutFigures => ({
    exactMatch: meanOf(all, ({ correct }) => correct),
    f1: meanOf(all, f1Of),
    wellFormed: meanOf(all, ({ wellFormed }) => Number(wellFormed)),
    searches: meanOf(all, ({ searches }) => searches.length),
    policyTokens: meanOf(all, policyTokenCount),
    unknown: meanOf(all, ({ answer }) => Number(answer?.trim() === UNKNOWN)),
  });
  const [once, often] = [valid(greedy), valid(sampled)];
  const right = once.filter(({ correct }) => correct === 1).length;
  const groups = [...Map.groupBy(often, ({ questionId }) => questionId).values()];
  const mixedBy = (of: (t: Trajectory) => number) => meanOf(groups, (group) => Number(new Set(group.map(of)).size > 1));
  return {
    questions: questions.length,
    samples,
    failures: greedy.length + sampled.length - once.length - often.length,
    greedy: { ...figuresOf(once), exactMatchInterval: wilsonInterval(right, once.length) },
    sampled: figuresOf(often),
    passAt1: meanOf(groups, (group) => mean(group.map(({ correct }) => correct))),
    passAtSamples: meanOf(groups, (group) => Math.max(...group.map(({ correct }) => correct))),
    mixedGroups: mixedBy(({ correct }) => correct),
    mixedGroupsByF1: mixedBy(f1Of),
  };
}
