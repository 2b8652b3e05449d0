/**
 * What a run needs of persistence (implemented by runs/) and of the watcher (implemented by cli/).
 * evolve/ stands below both, so it states its wishes here.
 */
import type { Policy } from '../policy/policy.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import type { Health } from './guards.ts';
import type { Results, Timing } from './results.ts';

/** One line of metrics.jsonl: what a training step, an evaluation or a gate measured. Numbers only, besides the names. */
export interface MetricRecord {
  readonly stage: string;
  readonly step: number;
  readonly [name: string]: number | string | null;
}

/** What decides which sibling is the expert, and which differs most from it. */
export interface PairSide {
  readonly searches: number;
  readonly policyTokens: number;
}

/** One pair used for distillation, with the KL (or the divergence in its place) of each token at its first use. */
export interface PairRecord {
  readonly questionId: string;
  /** As it was asked. It, `gold`, `text` and the sizes of both are absent in files of before schema 2. */
  readonly question?: string;
  readonly gold?: readonly string[];
  /** What the teacher was shown; null = nothing. */
  readonly expert:
    | ({ readonly questionId: string; readonly rollout: number } & Partial<PairSide>)
    | 'demonstration'
    | null;
  readonly student: { readonly rollout: number; readonly correct: boolean } & Partial<PairSide>;
  readonly text?: {
    readonly teacherPrompt: string;
    readonly studentPrompt: string;
    /** An entry for each stretch of the student's response by one author. */
    readonly response: readonly string[];
  };
  readonly teacherPrompt: readonly number[];
  readonly studentPrompt: readonly number[];
  /** The student trajectory's response and who wrote it. */
  readonly ids: readonly number[];
  readonly mask: readonly (0 | 1)[];
  /** Without the clip, in nats; 0 where masked. Null where the engine did not report it. */
  readonly kl: readonly number[] | null;
}

/** Where a run stands. Everything else that a stage needs is recomputed from seeds and files. */
export interface EvolveState {
  /** Index into the plan of stages; equal to the plan's length when the run has ended. */
  readonly stage: number;
  /** Steps done in that stage. */
  readonly step: number;
  /** GRPO: the best step so far and its score on held-out training questions. */
  readonly best: { readonly step: number; readonly score: number } | null;
  /** GRPO: the health of the last steps, as the guards see it. */
  readonly recent: readonly Health[];
  readonly results: Results;
  readonly timing: Timing;
}

export interface Journal {
  /** Appends a line; it counts as written once the next checkpoint is (lines after the last checkpoint are dropped on resume). */
  metric(record: MetricRecord): Promise<void>;
  /** Writes a shard of trajectories whole, replacing one of the same name. */
  writeTrajectories(shard: string, trajectories: readonly Trajectory[]): Promise<void>;
  /** Reads a shard back; undefined when it was never written. */
  readTrajectories(shard: string): Promise<Trajectory[] | undefined>;
  writePairs(shard: string, pairs: readonly PairRecord[]): Promise<void>;
  readPairs(shard: string): Promise<PairRecord[] | undefined>;
  /**
   * Makes everything so far durable: policy (weights, adapter, optimiser) and state, together or not at all.
   * `keep` names a checkpoint that is kept for good (a stage's end); others may be removed once a newer one stands.
   */
  checkpoint(state: EvolveState, policy: Policy, keep?: string): Promise<void>;
  /** Brings the policy back to a kept checkpoint, with a fresh optimiser. */
  restoreKept(name: string, policy: Policy): Promise<void>;
  /** Brings the policy back to the newest checkpoint, optimiser included, and returns its state; undefined in a fresh run. */
  restoreLatest(policy: Policy): Promise<EvolveState | undefined>;
  writeResults(results: Results, timing: Timing): Promise<void>;
}

/** Progress, for a live status. */
export type EvolveEvent =
  | { readonly kind: 'stage'; readonly stage: string; readonly index: number; readonly stages: number }
  | {
      readonly kind: 'step';
      readonly stage: string;
      readonly step: number;
      readonly steps: number;
      readonly metrics: MetricRecord;
    }
  | { readonly kind: 'rollouts'; readonly stage: string; readonly done: number; readonly total: number }
  /** Parts of the batch that a training step is at: first of the reference's log-probabilities, then of the loss. */
  | { readonly kind: 'training'; readonly stage: string; readonly done: number; readonly total: number }
  | { readonly kind: 'progress'; readonly fraction: number; readonly secondsLeft: number | null }
  | { readonly kind: 'measured'; readonly stage: string; readonly results: Results }
  | { readonly kind: 'note'; readonly text: string };
