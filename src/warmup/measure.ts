/** What a warmed-up policy can do in a world of its own: the figures in the shipped policy's manifest. */

import { meanOf } from '../benchmarks/statistics.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { worldTemplate } from '../protocol/templates.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import { MOST_FAILED_OF_MEASURED, rollOutCompletely } from '../rollout/complete-rollouts.ts';
import type { Environment } from '../rollout/rollout.ts';
import { groupTasks } from '../rollout/rollouts.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';
import { defaultDeadlines } from '../rollout/turns.ts';
import { generateWorld } from '../world/generate.ts';
import { evaluationQuestions, SUITES, trainingQuestions } from '../world/suites.ts';
import { MAX_SEARCHES, PASSAGES_PER_SEARCH } from '../world/turns.ts';
import type { MeasuringOptions } from './examples.ts';

/** A world that neither warm-ups nor runs with small seeds use. */
const measuredWorld = 900_001;
const questionsPerSuite = 40;
const groupSize = 5;

/** Means over trajectories; null where nothing was measured. */
export interface SuiteFigures {
  readonly questions: number;
  /** Rollouts that failed, in no mean. */
  readonly failures: number;
  readonly sampledExactMatch: number | null;
  readonly greedyExactMatch: number | null;
  readonly searches: number | null;
  readonly greedySearches: number | null;
  readonly policyTokens: number | null;
  readonly wellFormed: number | null;
  readonly grounded: number | null;
  /** Share of groups of five samples in which some are right and some are wrong. */
  readonly mixedGroups: number | null;
}

type Means = Omit<SuiteFigures, 'questions' | 'failures'>;

export interface WorldFigures {
  readonly world: number;
  readonly groupSize: number;
  /** Means over the seven suites. */
  readonly mean: Means;
  readonly suites: Readonly<Record<string, SuiteFigures>>;
  /** The mix that GRPO trains on. */
  readonly training: SuiteFigures;
}

/**
 * Rolls out every suite of the measured world, at temperature 1 and greedily.
 * @throws the signal's reason when that is aborted, and a UserError when too much failed: then nothing was measured
 */
export async function measureInWorld(
  policy: Environment['policy'],
  tokenizer: Tokenizer,
  { signal, onProgress }: Pick<MeasuringOptions, 'signal' | 'onProgress'> = {},
): Promise<WorldFigures> {
  const world = generateWorld(measuredWorld);
  const environment = {
    policy,
    tokenizer,
    retriever: new Bm25Index(world.passages, { analyzer: 'words' }),
    template: worldTemplate,
    limits: {
      searches: MAX_SEARCHES,
      invalidTurns: 2,
      turnTokens: 40,
      responseTokens: 110,
      observationTokens: 120,
      contextTokens: policy.info.contextLength,
      passages: PASSAGES_PER_SEARCH,
    },
    deadlines: defaultDeadlines,
  };
  const sets = new Map(SUITES.map((suite) => [suite as string, evaluationQuestions(world, suite, questionsPerSuite)]));
  sets.set('training', trainingQuestions(world, 3 * questionsPerSuite));
  const questions = [...sets.values()].flat();
  let done = 0;
  const options = {
    name: 'measuring',
    mostFailed: () => MOST_FAILED_OF_MEASURED,
    onDone: () => onProgress?.(++done, questions.length * (groupSize + 1)),
    ...(signal && { signal }),
  };
  const stream = { seed: measuredWorld, stage: 'measure', step: 0 };
  const sampled = await rollOutCompletely(
    groupTasks(questions, groupSize, stream),
    { ...environment, temperature: 1 },
    options,
  );
  const greedy = await rollOutCompletely(groupTasks(questions, 1, stream), { ...environment, temperature: 0 }, options);

  const suites: Record<string, SuiteFigures> = {};
  for (const [suite, { length }] of sets) {
    const ids = new Set(sets.get(suite)!.map(({ id }) => id));
    const own = ({ questionId }: Trajectory) => ids.has(questionId);
    const [samples, answers] = [sampled.filter(own), greedy.filter(own)];
    const failures = [...samples, ...answers].length - valid(samples).length - valid(answers).length;
    suites[suite] = { questions: length, failures, ...figures(valid(samples), valid(answers)) };
  }
  const { training, ...evaluation } = suites;
  return {
    world: measuredWorld,
    groupSize,
    mean: meansOfSuites(Object.values(evaluation)),
    suites: evaluation,
    training: training!,
  };
}

function figures(sampled: readonly Trajectory[], greedy: readonly Trajectory[]): Means {
  const groups = Map.groupBy(sampled, ({ questionId }) => questionId);
  const isMixed = (group: readonly Trajectory[]) => new Set(group.map(({ correct }) => correct)).size > 1;
  return {
    sampledExactMatch: mean(sampled, ({ correct }) => correct),
    greedyExactMatch: mean(greedy, ({ correct }) => correct),
    searches: mean(sampled, ({ searches }) => searches.length),
    greedySearches: mean(greedy, ({ searches }) => searches.length),
    policyTokens: mean(sampled, policyTokenCount),
    wellFormed: mean(sampled, ({ wellFormed }) => Number(wellFormed)),
    grounded: mean(
      sampled.filter(({ grounded }) => grounded !== null),
      ({ grounded }) => Number(grounded),
    ),
    mixedGroups: mean([...groups.values()], (group) => Number(isMixed(group))),
  };
}

function meansOfSuites(suites: readonly SuiteFigures[]): Means {
  const over = (name: keyof Means) =>
    mean(
      suites.flatMap((suite) => suite[name] ?? []),
      (value) => value,
    );
  return {
    sampledExactMatch: over('sampledExactMatch'),
    greedyExactMatch: over('greedyExactMatch'),
    searches: over('searches'),
    greedySearches: over('greedySearches'),
    policyTokens: over('policyTokens'),
    wellFormed: over('wellFormed'),
    grounded: over('grounded'),
    mixedGroups: over('mixedGroups'),
  };
}

/** Rounded to three decimals, which is more than the questions can tell apart. */
function mean<T>(items: readonly T[], value: (item: T) => number): number | null {
  const exact = meanOf(items, value);
  return exact === null ? null : Number(exact.toFixed(3));
}
