/** What every stage of a run is, and what each kind of stage says of itself. The kinds are listed in stages.ts. */
import type { EvolveState } from './journal.ts';
import type { Run } from './run.ts';
import type { Settings } from './settings.ts';

/** The checkpoint kept before anything is trained. */
export const BASE = 'base';

export interface AnyStage {
  readonly kind: string;
  /** Its name in every file of the run, unique in the plan; what draws are keyed by, too. */
  readonly name: string;
  /** From 1; 0 before the first. */
  readonly cycle: number;
}

/** One that trains: it starts at the kept checkpoint `from` and keeps its end under its own name. */
export interface TrainingStage extends AnyStage {
  readonly from: string;
}

/** How many questions a run has. */
export interface QuestionCounts {
  readonly suites: readonly { readonly name: string; readonly questions: number }[];
  readonly trainingQuestions: number;
}

/** Expected work of a stage. A rollout and a trained trajectory take about the same time. */
export interface Work {
  readonly rollouts: number;
  /** Trajectories trained on, or what equals them. */
  readonly trained: number;
  readonly steps: number;
}

/** What a training stage holds in memory beside the weights and the sampler. */
export interface TrainingLoad {
  /** For people; stages of one title take the same. */
  readonly title: string;
  /** Rank of the adapter that is trained; null: all weights are. */
  readonly adapterRank: number | null;
  /** It freezes a copy of the weights, which is kept from then on: KL anchor or teacher. */
  readonly freezes: boolean;
  /** Tokens of its longest sequence beyond rollout.contextTokens. */
  readonly extraTokens: number;
}

/** A kind of stage. A new one is a file that exports this, an entry in stages.ts, and its place in a method's plan there. */
export interface StageKind<S extends AnyStage> {
  /** What its stages are called, before a dash and the cycle, and how people call them: { grpo: 'GRPO' } for grpo-1, “GRPO 1”. */
  readonly names: Readonly<Record<string, string>>;
  /**
   * The settings that decide what it does, by name, each with its value: two runs share the stage when these, those of the
   * stages before, and those that cut the questions (stages.ts) agree. All that `run` reads must be among them (stages.test.ts).
   */
  decides(settings: Settings, stage: S): Readonly<Record<string, unknown>>;
  work(stage: S, counts: QuestionCounts, settings: Settings): Work;
  /** Null for stages that only roll out. */
  load(settings: Settings): TrainingLoad | null;
  /** Names under which it leaves checkpoints, its end last. */
  kept(stage: S, settings: Settings): readonly string[];
  /** Its steps are batches of rollouts, each one call: how many have ended says how far it is within a step. */
  readonly stepsAreRollouts: boolean;
  /** Runs it from where `state` stands, to its end. */
  run(run: Run, stage: S, state: EvolveState): Promise<EvolveState>;
}

/** What stages that only roll out have in common. */
export const rollsOut = { load: () => null, kept: () => [] as readonly string[] } as const;
