/** What a warmed-up policy can do in a world of its own: the figures in the shipped policy's manifest. */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Policy } from '../policy/policy.ts';
import { worldTemplate } from '../protocol/templates.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import { groupTasks, rollOut } from '../rollout/rollouts.ts';
import { policyTokenCount, type Trajectory } from '../rollout/trajectory.ts';
import { defaultDeadlines } from '../rollout/turns.ts';
import { generateWorld } from '../world/generate.ts';
import { evaluationQuestions, SUITES, trainingQuestions } from '../world/suites.ts';
import { MAX_SEARCHES, PASSAGES_PER_SEARCH } from '../world/turns.ts';

/** A world that neither warm-ups nor runs with small seeds use. */
const measuredWorld = 900_001;
const questionsPerSuite = 40;
const groupSize = 5;

/** Means over trajectories. */
export interface SuiteFigures {
  readonly questions: number;
  readonly sampledExactMatch: number;
  readonly greedyExactMatch: number;
  readonly searches: number;
  readonly greedySearches: number;
  readonly policyTokens: number;
  readonly wellFormed: number;
  readonly grounded: number;
  /** Share of groups of five samples in which some are right and some are wrong. */
  readonly mixedGroups: number;
}

export interface WorldFigures {
  readonly world: number;
  readonly groupSize: number;
  /** Means over the seven suites. */
  readonly mean: Omit<SuiteFigures, 'questions'>;
  readonly suites: Readonly<Record<string, SuiteFigures>>;
  /** The mix that GRPO trains on. */
  readonly training: SuiteFigures;
}

/** Rolls out every suite of the measured world, at temperature 1 and greedily. */
export async function measureInWorld(
  policy: Policy,
  tokenizer: Tokenizer,
  signal?: AbortSignal,
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
  const options = signal ? { signal } : {};
  const stream = { seed: measuredWorld, stage: 'measure', step: 0 };
  const sampled = await rollOut(groupTasks(questions, groupSize, stream), { ...environment, temperature: 1 }, options);
  const greedy = await rollOut(groupTasks(questions, 1, stream), { ...environment, temperature: 0 }, options);

  const suites: Record<string, SuiteFigures> = {};
  for (const [suite, { length }] of sets) {
    const ids = new Set(sets.get(suite)!.map(({ id }) => id));
    const own = ({ questionId }: Trajectory) => ids.has(questionId);
    suites[suite] = { questions: length, ...figures(sampled.filter(own), greedy.filter(own)) };
  }
  const { training, ...evaluation } = suites;
  return {
    world: measuredWorld,
    groupSize,
    mean: meanOf(Object.values(evaluation)),
    suites: evaluation,
    training: training!,
  };
}

function figures(sampled: readonly Trajectory[], greedy: readonly Trajectory[]): Omit<SuiteFigures, 'questions'> {
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

function meanOf(suites: readonly SuiteFigures[]): WorldFigures['mean'] {
  return {
    sampledExactMatch: mean(suites, (suite) => suite.sampledExactMatch),
    greedyExactMatch: mean(suites, (suite) => suite.greedyExactMatch),
    searches: mean(suites, (suite) => suite.searches),
    greedySearches: mean(suites, (suite) => suite.greedySearches),
    policyTokens: mean(suites, (suite) => suite.policyTokens),
    wellFormed: mean(suites, (suite) => suite.wellFormed),
    grounded: mean(suites, (suite) => suite.grounded),
    mixedGroups: mean(suites, (suite) => suite.mixedGroups),
  };
}

/** Rounded to three decimals, which is more than the questions can tell apart. */
function mean<T>(items: readonly T[], value: (item: T) => number): number {
  if (items.length === 0) return 0;
  return Number((items.reduce((sum, item) => sum + value(item), 0) / items.length).toFixed(3));
}
