/**
 * The grid as tasks. Of each seed one run goes ahead to each point where arms leave it; it is forked there:
 *
 *     shared/pool-1: base, GRPO 1 ──► shared/gate-1: pool 1 ──► e1, same-prompt, …
 *                              └────► grpo-tokens, grpo-seconds   (after e1, whose budget they spend)
 *
 * Systems of the field leave before GRPO 1, at shared/grpo-1, after e1 too. An arm of one's own that differs from the start on
 * shares nothing.
 */
import path from 'node:path';
import type { Settings } from '../evolve/settings.ts';
import type { QuestionCounts } from '../evolve/stage.ts';
import { isStage, planStages, type Stage, workOf } from '../evolve/stages.ts';
import { SUITES } from '../world/suites.ts';
import { type Arm, E1, type ForkPoint, forkStage } from './arms.ts';
import { expectedWhole, withBudgetOf } from './budget.ts';
import type { Definition, OwnData, Seed } from './definition.ts';
import { armsOf } from './own-arms.ts';

export interface Task {
  readonly seed: Seed;
  /** Below the experiment's folder: "seed-001/e1", "seed-001/shared/pool-1". */
  readonly folder: string;
  /** Undefined: what arms share. */
  readonly arm?: Arm;
  readonly data: OwnData | null;
  /** Of an arm with a budget: at the steps to be expected, until `e1` has ended. */
  readonly settings: Settings;
  /** The task whose run is forked; undefined where a seed begins. */
  readonly from?: string;
  /** Tasks that end before this one begins. */
  readonly after: readonly string[];
  /** The stages that it runs: from this one of the plan to before that one. */
  readonly begin: number;
  readonly end: number;
}

/** Seed after seed, and of each seed in an order in which no task waits for a later one. */
export function tasksOf(definition: Pick<Definition, 'seeds' | 'arms' | 'own' | 'settings' | 'data'>): Task[] {
  const { seeds, settings, data } = definition;
  const arms = armsOf(definition);
  return seeds.flatMap((seed): Task[] => {
    const base = { ...settings, seed: seed.seed, world: { ...settings.world, seed: seed.world } };
    const [grpo, pool, gate] = (['grpo', 'pool', 'gate'] as const).map((point) => forkStage(point).index) as [
      number,
      number,
      number,
    ];
    const ofArms = arms.map((arm) => armTask(seed, data, arm, base));
    const starts = (point: ForkPoint) => ofArms.some(({ from }) => from === sharedFolder(seed, point));
    // Where arms leave before the first round, the base is evaluated once for all.
    const bare = { seed, data, folder: sharedFolder(seed, 'grpo'), settings: base, after: [], begin: 0, end: grpo };
    const whole = { seed, data, folder: sharedFolder(seed, 'pool'), settings: base, end: pool };
    const first = starts('grpo')
      ? { ...whole, begin: grpo, from: bare.folder, after: [bare.folder] }
      : { ...whole, begin: 0, after: [] };
    const second = {
      seed,
      data,
      folder: sharedFolder(seed, 'gate'),
      settings: base,
      begin: pool,
      end: gate,
      from: first.folder,
      after: [first.folder],
    };
    return [
      ...(starts('grpo') ? [bare] : []),
      ...(starts('pool') || starts('gate') ? [first] : []),
      ...(starts('gate') ? [second] : []),
      ...ofArms.sort((a, b) => Number(a.arm?.budget !== undefined) - Number(b.arm?.budget !== undefined)),
    ];
  });
}

/** Where the run of an arm stands, below the experiment's folder. */
export function armFolder(seed: Seed, arm: string): string {
  return path.posix.join(seed.name, arm);
}

function sharedFolder(seed: Seed, point: ForkPoint): string {
  return path.posix.join(seed.name, 'shared', forkStage(point).name);
}

function armTask(seed: Seed, data: OwnData | null, arm: Arm, base: Settings): Task {
  const from = arm.forksAt === 'start' ? [] : [sharedFolder(seed, arm.forksAt)];
  const changed = arm.change(base);
  const settings = expectedSettings(arm, changed, base, data);
  return {
    seed,
    data,
    arm,
    settings,
    ...(from[0] !== undefined && { from: from[0] }),
    folder: armFolder(seed, arm.name),
    after: arm.budget === undefined ? from : [...from, armFolder(seed, E1)],
    begin: forkStage(arm.forksAt).index,
    end: planStages(settings).length,
  };
}

function expectedSettings({ budget }: Arm, changed: Settings, base: Settings, data: OwnData | null): Settings {
  if (budget === undefined) return changed;
  const expected = expectedOf(base, data);
  if (budget !== 'whole') return withBudgetOf(expected, changed, 'seconds');
  const units = (kept: (stage: string) => boolean) =>
    expected.byStage.filter(({ stage }) => kept(stage)).reduce((sum, { seconds }) => sum + seconds, 0);
  const all = units((stage) => !isStage(stage, 'evaluate'));
  return expectedWhole(
    { first: units((stage) => isStage(stage, 'grpo', 1)), all },
    { ...changed, grpo: { ...changed.grpo, steps: base.grpo.steps } },
  );
}

/** What `e1` will spend, in units of work in place of seconds. */
function expectedOf(base: Settings, data: OwnData | null): Parameters<typeof withBudgetOf>[0] {
  const byStage = planStages(base).map((stage) => ({
    stage: stage.name,
    seconds: unitsOf(stage, base, data),
    sampledTokens: 0,
    trainedTokens: 0,
  }));
  return { byStage, firstSteps: base.grpo.steps[0]! };
}

/** Rollouts and trained trajectories of a stage, which take about the same time each. */
export function unitsOf(stage: Stage, settings: Settings, data: OwnData | null): number {
  const { rollouts, trained } = workOf(stage, expectedQuestions(settings, data), settings);
  return rollouts + trained;
}

/** As many as are asked for: a suite may have fewer. */
function expectedQuestions({ evaluation, world }: Settings, data: OwnData | null): QuestionCounts {
  const suites = data === null ? SUITES : data.evaluate.map(({ suite }) => suite);
  return {
    suites: suites.map((name) => ({ name, questions: evaluation.questions })),
    trainingQuestions: world.trainingQuestions,
  };
}
