/** What a run reports: measurements of every stage on every suite. Computed in evaluate.ts, stored and drawn by runs/. */

import type { Estimate } from '../benchmarks/statistics.ts';

/** How an evaluation decodes. */
export interface EvaluationMode {
  readonly decoding: 'sampled' | 'greedy';
  /** Searches allowed per question. */
  readonly searches: number;
}

/** One suite at one stage in one mode: means over questions, of which samples are averaged first; null where nothing was measured. */
export interface SuiteMeasurement {
  readonly suite: string;
  readonly questions: number;
  readonly samplesPerQuestion: number;
  readonly exactMatch: Estimate | null;
  readonly f1: Estimate | null;
  /** Searches executed per question. */
  readonly searches: Estimate | null;
  readonly policyTokens: Estimate | null;
  /** Share of well-formed responses. */
  readonly wellFormed: Estimate | null;
  /** Share of answers that occur in a retrieved passage, among answers for which that can be asked; null when there is none. */
  readonly grounded: Estimate | null;
  /** Rollouts that failed for outside reasons (search or engine), excluded from every mean. */
  readonly failures: number;
}

/** The macro mean over suites (each suite weighs the same), standard errors combined as √Σ se² / suites. */
export interface MeanMeasurement
  extends Omit<SuiteMeasurement, 'suite' | 'questions' | 'samplesPerQuestion' | 'failures'> {}

export interface StageMeasurement {
  /** "base", "grpo-1", "e1-1", … */
  readonly stage: string;
  readonly mode: EvaluationMode;
  readonly suites: readonly SuiteMeasurement[];
  readonly mean: MeanMeasurement;
}

/** What one of the gate's two prompts gave. */
export type GateSide = Readonly<Record<'exactMatch' | 'searches' | 'wellFormed', Estimate | null>>;

/** The gate before a distillation round: held-out training questions under both prompts. */
export interface GateMeasurement {
  readonly stage: string;
  /** Questions that gave an expert trajectory and so were asked under both prompts. */
  readonly questions: number;
  readonly plain: GateSide;
  readonly privileged: GateSide;
  /** Privileged minus plain exact match, and plain minus privileged searches, paired by question: what there is to distil. */
  readonly exactMatchGap: Estimate | null;
  readonly searchesSaved: Estimate | null;
  readonly open: boolean;
}

/** What the pool of one round gave. */
export interface PoolMeasurement {
  readonly stage: string;
  readonly questions: number;
  readonly rollouts: number;
  readonly exactMatch: number;
  readonly pairs: number;
  /** Pairs whose student trajectory was wrong. */
  readonly wrongStudents: number;
  readonly expertSearches: number;
  readonly studentSearches: number;
  /** Experts that answered without any search. */
  readonly expertsWithoutSearch: number;
}

/** How a training stage ended. */
export interface StageOutcome {
  readonly stage: string;
  readonly steps: number;
  readonly stoppedBy: 'steps' | 'guard' | 'gate' | 'no-pairs' | 'no-data';
  readonly reason?: string;
  /** Step whose weights were kept (GRPO: best on held-out training questions). */
  readonly keptStep: number;
}

export interface Results {
  readonly schema: 1;
  readonly measurements: readonly StageMeasurement[];
  readonly pools: readonly PoolMeasurement[];
  readonly gates: readonly GateMeasurement[];
  readonly outcomes: readonly StageOutcome[];
}

/** Seconds and counts by kind of work; the only part of a run that is not reproducible to the bit, so it is kept apart. */
export interface Timing {
  readonly totalSeconds: number;
  readonly samplingSeconds: number;
  readonly retrievalSeconds: number;
  readonly trainingSeconds: number;
  readonly otherSeconds: number;
  readonly trajectories: number;
  readonly searches: number;
  /** Those that the retriever answered from its cache; divided by `searches`, its hit rate. */
  readonly cachedSearches: number;
  readonly sampledTokens: number;
  readonly trainedTokens: number;
  readonly byStage: readonly {
    readonly stage: string;
    readonly seconds: number;
    readonly sampledTokens: number;
    readonly trainedTokens: number;
  }[];
}
