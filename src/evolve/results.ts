/** What a run reports: measurements of every stage on every suite. Computed in evaluate.ts, stored and drawn by runs/. */

/** How an evaluation decodes. */
export interface EvaluationMode {
  readonly decoding: 'sampled' | 'greedy';
  /** Searches allowed per question. */
  readonly searches: number;
}

/** A mean over questions with its standard error (sd over questions / √n; samples of one question are averaged first). */
export interface Estimate {
  readonly mean: number;
  readonly standardError: number;
}

/** One suite at one stage in one mode. */
export interface SuiteMeasurement {
  readonly suite: string;
  readonly questions: number;
  readonly samplesPerQuestion: number;
  readonly exactMatch: Estimate;
  readonly f1: Estimate;
  /** Searches executed per question. */
  readonly searches: Estimate;
  readonly policyTokens: Estimate;
  /** Share of well-formed responses. */
  readonly wellFormed: Estimate;
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

/** The gate before a distillation round: held-out training questions under both prompts. */
export interface GateMeasurement {
  readonly stage: string;
  /** Questions that gave an expert trajectory and so were asked under both prompts. */
  readonly questions: number;
  readonly plain: { readonly exactMatch: Estimate; readonly searches: Estimate; readonly wellFormed: Estimate };
  readonly privileged: { readonly exactMatch: Estimate; readonly searches: Estimate; readonly wellFormed: Estimate };
  /** Privileged minus plain exact match, and plain minus privileged searches, paired by question: what there is to distil. */
  readonly exactMatchGap: Estimate;
  readonly searchesSaved: Estimate;
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
