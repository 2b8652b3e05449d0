/** A question with its gold answers: the unit of training and evaluation. */
export interface Question {
  /** Unique in its file; groups of rollouts are keyed by it. */
  readonly id: string;
  /** The suite or benchmark that it belongs to. */
  readonly dataset: string;
  readonly question: string;
  /** At least one. */
  readonly answers: readonly string[];
  /** Number of searches that a perfect agent needs, when known (the embedded world knows). */
  readonly hops?: number;
  /** Ids of passages that hold the evidence, when known. */
  readonly goldIds?: readonly string[];
}
