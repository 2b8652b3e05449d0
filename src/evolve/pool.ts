/** The pool: the frozen policy rolls out on its own training questions, and pairs are mined from its groups. Method §1.2-3. */

import type { GroupedPair } from '../algorithms/controls.ts';
import { findExpert, minePair } from '../algorithms/pairs.ts';
import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import { meanOf } from '../benchmarks/statistics.ts';
import { groupTasks } from '../rollout/rollouts.ts';
import { type Trajectory, valid } from '../rollout/trajectory.ts';
import type { EvolveState } from './journal.ts';
import type { PoolMeasurement } from './results.ts';
import type { Groups, Run } from './run.ts';
import { poolShard } from './shards.ts';
import { type AnyStage, rollsOut, type StageKind } from './stage.ts';

/** Questions per shard: what an interruption can cost. */
export const POOL_SHARD = 64;

export interface PoolStage extends AnyStage {
  readonly kind: 'pool';
}

export const poolKind: StageKind<PoolStage> = {
  ...rollsOut,
  names: { pool: 'pool' },
  decides: ({ rollout, pool }) => ({ rollout, pool }),
  work: (_, __, { pool }) => ({
    // At most: how many questions are retried is not known beforehand.
    rollouts: pool.questions * (pool.rollouts + (pool.retry?.rollouts ?? 0)),
    trained: 0,
    steps: Math.ceil(pool.questions / POOL_SHARD),
  }),
  stepsAreRollouts: true,
  run: rollOutPool,
};

export async function rollOutPool(
  run: Run,
  stage: Pick<PoolStage, 'name' | 'cycle'>,
  start: EvolveState,
): Promise<EvolveState> {
  const { pool } = run.settings;
  const questions = poolQuestions(run);
  const shards = Math.ceil(questions.length / POOL_SHARD);
  let state = start;
  while (state.step < shards) {
    run.throwIfCancelled();
    const part = questions.slice(state.step * POOL_SHARD, (state.step + 1) * POOL_SHARD);
    const groups = await rollOutPart(run, stage.name, part);
    await run.journal.writeTrajectories(poolShard(stage.name, state.step), groups.flat());
    state = { ...state, step: state.step + 1 };
    const exactMatch = exactMatchOf(run, groups);
    const record = { stage: stage.name, step: state.step, exactMatch };
    await run.journal.metric(record);
    await run.checkpoint(state);
    run.emit({ kind: 'step', stage: stage.name, step: state.step, steps: shards, metrics: record });
  }

  const groups = await readPool(run, stage.cycle);
  const pairs = groups.flatMap((group) => minePair(group, pool.minExpertSearches) ?? []);
  const measurement: PoolMeasurement = {
    stage: stage.name,
    questions: groups.length,
    rollouts: groups.flat().length,
    exactMatch: exactMatchOf(run, groups) ?? 0,
    pairs: pairs.length,
    wrongStudents: pairs.filter((p) => p.student.correct === 0).length,
    expertSearches: meanOf(pairs, (p) => p.expert.searches.length) ?? 0,
    studentSearches: meanOf(pairs, (p) => p.student.searches.length) ?? 0,
    expertsWithoutSearch: groups.filter((g) => findExpert(g, pool.minExpertSearches)?.searches.length === 0).length,
  };
  return { ...state, results: { ...state.results, pools: [...state.results.pools, measurement] } };
}

/** K rollouts of each question, and where no expert is among them `pool.retry` more. */
async function rollOutPart(run: Run, stage: string, questions: readonly Question[]): Promise<Groups> {
  const { pool, seed } = run.settings;
  const { rollouts, retry, minExpertSearches } = pool;
  if (retry === null) return run.rollOut(questions, { perQuestion: rollouts, stage, step: 0 });
  const most = rollouts + retry.rollouts;
  const rollOut = run.inSets({ stage, step: 0, total: questions.length * most });
  const tasksOf = (some: readonly Question[], from: number, to: number) =>
    groupTasks(some, to, { seed, stage, step: 0 }).filter(({ rollout }) => rollout >= from);
  const all = await rollOut(tasksOf(questions, 0, rollouts));
  const groups = questions.map((_, i) => all.slice(i * rollouts, (i + 1) * rollouts));
  const failed = questions.filter((_, i) => findExpert(groups[i]!, minExpertSearches) === undefined);
  const more = Map.groupBy(await rollOut(tasksOf(failed, rollouts, most)), ({ questionId }) => questionId);
  return groups.map((group, i) => [...group, ...(more.get(questions[i]!.id) ?? [])]);
}

/** Of the first K rollouts: those that are retried are chosen for having failed. */
function exactMatchOf({ settings: { pool } }: Run, groups: Groups): number | null {
  const first = valid(groups.flat()).filter(({ rollout }) => rollout < pool.rollouts);
  return meanOf(first, (t) => t.correct);
}

/** The pairs of a cycle's pool with their questions and groups, in pool order. */
export async function readPairs(run: Run, cycle: number): Promise<(GroupedPair & { question: Question })[]> {
  const byId = new Map(run.slices.training.map((q) => [q.id, q]));
  const groups = await readPool(run, cycle);
  return groups.flatMap((group) => {
    const pair = minePair(group, run.settings.pool.minExpertSearches, run.settings.distill.students);
    const question = byId.get(group[0]?.questionId ?? '');
    return pair && question ? [{ ...pair, group, question }] : [];
  });
}

function poolQuestions(run: Run): readonly Question[] {
  return run.slices.training.slice(0, run.settings.pool.questions);
}

/** The pool of a cycle. */
export const poolName = (cycle: number): string => `pool-${cycle}`;

/** All groups of a pool; a missing shard means that somebody removed files from the run directory. */
export async function readPool(run: Run, cycle: number): Promise<Trajectory[][]> {
  const groups = new Map<string, Trajectory[]>();
  for (let shard = 0; shard * POOL_SHARD < poolQuestions(run).length; shard++) {
    const name = poolShard(poolName(cycle), shard);
    const trajectories = await run.journal.readTrajectories(name);
    if (trajectories === undefined)
      throw new UserError(`trajectories/${name}.jsonl.gz is missing from the run directory`, {
        hint: 'The round of self-distillation is made from it: bring the file back, or start a new run.',
      });
    for (const trajectory of trajectories) {
      const group = groups.get(trajectory.questionId);
      if (group) group.push(trajectory);
      else groups.set(trajectory.questionId, [trajectory]);
    }
  }
  return [...groups.values()];
}
