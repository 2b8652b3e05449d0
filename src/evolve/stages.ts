/**
 * The stages of a run: all kinds in one table, the plan of each method, and what can be asked of a stage or of its name.
 *
 *   search-e1           per cycle GRPO, pool, gate, distillation: the paper
 *   grpo                per cycle GRPO alone: Search-R1
 *   rejection-sampling  per cycle pool, then cross-entropy on its correct trajectories
 *   sft                 cross-entropy on gold answers, once
 *
 * The base and every trained stage are evaluated.
 */
import { type DistillStage, distillKind } from './distill-round.ts';
import { type EvaluateStage, evaluateKind } from './evaluate.ts';
import { type GateStage, gateKind, gateName } from './gate.ts';
import { type GrpoStage, grpoKind } from './grpo-round.ts';
import type { EvolveState } from './journal.ts';
import { type PoolStage, poolKind, poolName } from './pool.ts';
import type { Run } from './run.ts';
import type { Settings } from './settings.ts';
import { type SftStage, sftKind } from './sft-round.ts';
import {
  BASE,
  type QuestionCounts,
  type StageKind,
  type TrainingLoad,
  type TrainingStage,
  type Work,
} from './stage.ts';

interface Stages {
  readonly evaluate: EvaluateStage;
  readonly grpo: GrpoStage;
  readonly pool: PoolStage;
  readonly gate: GateStage;
  readonly distill: DistillStage;
  readonly sft: SftStage;
}

export type Stage = Stages[keyof Stages];

/** In the order in which they come within a cycle. */
const kinds: { readonly [K in keyof Stages]: StageKind<Stages[K]> } = {
  evaluate: evaluateKind,
  grpo: grpoKind,
  pool: poolKind,
  gate: gateKind,
  distill: distillKind,
  sft: sftKind,
};

export const stageKinds = Object.keys(kinds) as (keyof Stages)[];

function kindOf<K extends keyof Stages>(stage: { readonly kind: K }): StageKind<Stages[K]> {
  return kinds[stage.kind];
}

// -------------------------------------------------------------------------------------------------------------- plans

export function planStages({ method, cycles }: Pick<Settings, 'method' | 'cycles'>): Stage[] {
  const stages: Stage[] = [evaluationOf(BASE, 0)];
  let from = BASE;
  const train = (stage: Extract<Stage, TrainingStage>) => {
    stages.push(stage, evaluationOf(stage.name, stage.cycle));
    from = stage.name;
  };
  if (method === 'sft' && cycles > 0) train({ kind: 'sft', name: 'sft-1', cycle: 1, from, on: 'answers' });
  for (let cycle = 1; cycle <= cycles; cycle++) {
    const pool: Stage = { kind: 'pool', name: poolName(cycle), cycle };
    switch (method) {
      case 'search-e1':
        train({ kind: 'grpo', name: `grpo-${cycle}`, cycle, from });
        stages.push(pool, { kind: 'gate', name: gateName(cycle), cycle });
        train({ kind: 'distill', name: `e1-${cycle}`, cycle, from });
        break;
      case 'grpo':
        train({ kind: 'grpo', name: `grpo-${cycle}`, cycle, from });
        break;
      case 'rejection-sampling':
        stages.push(pool);
        train({ kind: 'sft', name: `rejection-${cycle}`, cycle, from, on: 'correct-trajectories' });
        break;
    }
  }
  return stages;
}

const EVALUATE = 'evaluate-';

function evaluationOf(of: string, cycle: number): EvaluateStage {
  return { kind: 'evaluate', name: EVALUATE + of, cycle, of };
}

// -------------------------------------------------------------------------------------------------- what a stage knows

export function runStage(run: Run, stage: Stage, state: EvolveState): Promise<EvolveState> {
  return kindOf(stage).run(run, stage, state);
}

export function workOf(stage: Stage, counts: QuestionCounts, settings: Settings): Work {
  return kindOf(stage).work(stage, counts, settings);
}

/** Names under which it leaves checkpoints, its end last; none for stages that train nothing. */
export function keptBy(stage: Stage, settings: Settings): readonly string[] {
  return kindOf(stage).kept(stage, settings);
}

export function stepsAreRollouts(stage: Stage): boolean {
  return kindOf(stage).stepsAreRollouts;
}

/** What the training stages of a run hold in memory, each title once; `frozen`: a copy of the weights is kept in the run. */
export function trainingLoads(settings: Settings): (TrainingLoad & { readonly frozen: boolean })[] {
  const plan = planStages({ method: settings.method, cycles: Math.max(1, settings.cycles) });
  const loads = plan.flatMap((stage) => kindOf(stage).load(settings) ?? []);
  const frozen = loads.some(({ freezes }) => freezes);
  return [...new Map(loads.map((load) => [load.title, { ...load, frozen }])).values()];
}

/** The settings, by name, that decide what a run does in these first stages of its plan. */
export function decisive(settings: Settings, stages: readonly Stage[]): Record<string, unknown> {
  const { seed, world, trainingQuestions, gate, guards } = settings;
  // Which questions there are, and how they are cut into slices (setup.ts).
  const slices = {
    seed,
    world,
    trainingQuestions,
    'gate.questions': gate.questions,
    'guards.heldOutQuestions': guards.heldOutQuestions,
  };
  return Object.assign(slices, ...stages.map((stage) => kindOf(stage).decides(settings, stage)));
}

// --------------------------------------------------------------------------------------------------------------- names

/** A stage as far as its name tells it. */
export interface NamedStage {
  readonly kind: Stage['kind'];
  readonly cycle: number;
  /** How people call it: "GRPO 1". */
  readonly label: string;
}

/** The stage of that name, as it stands in every file of a run; undefined for the base and for what is no stage's name. */
export function stageNamed(name: string): NamedStage | undefined {
  if (name.startsWith(EVALUATE)) {
    const of = name.slice(EVALUATE.length);
    const measured = stageNamed(of);
    if (measured === undefined && of !== BASE) return undefined;
    return { kind: 'evaluate', cycle: measured?.cycle ?? 0, label: `evaluate ${measured?.label ?? of}` };
  }
  const [, called, cycle] = /^(.+)-([1-9]\d*)$/.exec(name) ?? [];
  const kind = stageKinds.find((one) => called !== undefined && Object.hasOwn(kinds[one].names, called));
  if (kind === undefined) return undefined;
  return { kind, cycle: Number(cycle), label: `${kinds[kind].names[called!]} ${cycle}` };
}

/** Whether a name is that of a stage of this kind (and cycle). */
export function isStage(name: string, kind: Stage['kind'], cycle?: number): boolean {
  const stage = stageNamed(name);
  return stage?.kind === kind && (cycle === undefined || stage.cycle === cycle);
}

/** Names of stages, and of the base, in the order of a run. */
export function compareStages(a: string, b: string): number {
  const rank = (name: string) => {
    const stage = stageNamed(name);
    return stage === undefined ? 0 : stage.cycle * stageKinds.length + stageKinds.indexOf(stage.kind);
  };
  return rank(a) - rank(b);
}
