/** What the page is told, as JSON: the answers of `api.ts`. Nothing of Node may be imported here. */

import type { Mark, Row } from '../runs/rows/row.ts';
import type { Choice, Histogram } from './filter.ts';

export interface SourceLine {
  /** In addresses. */
  readonly id: string;
  readonly kind: 'run' | 'evaluation' | 'experiment';
  /** Path under the folder that is viewed. */
  readonly name: string;
}

export interface Indexing {
  readonly rows: number;
  readonly shards: number;
  readonly ofShards: number;
  /** Of `shards` those whose texts are searched, or never will be. */
  readonly textShards: number;
  readonly faults: readonly string[];
  readonly unsearched: number;
}

export type RunState = 'running' | 'finished' | 'stopped';

/** A table of texts, whose cells may lead to the rollouts behind them. */
export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly {
    readonly label: string;
    readonly rule: boolean;
    readonly cells: readonly { readonly text: string; readonly query?: string }[];
  }[];
  readonly notes: readonly string[];
}

export interface StageLine {
  readonly name: string;
  readonly label: string;
  readonly kind: string;
  /** What it is for, in a sentence. */
  readonly means: string;
  readonly status: 'done' | 'under way' | 'to come' | 'left out';
  readonly note: string;
  /** Leads to its rollouts or pairs. */
  readonly query: string | null;
}

/** One figure over the steps of the stages; each stage is a line of its own, nothing is joined across. */
export interface Curve {
  readonly title: string;
  readonly means: string;
  readonly lines: readonly {
    readonly stage: string;
    readonly label: string;
    /** Held-out questions are drawn apart. */
    readonly heldOut: boolean;
    readonly points: readonly { readonly step: number; readonly at: number; readonly value: number }[];
  }[];
}

export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly means?: string;
}

export interface Overview {
  readonly source: SourceLine;
  readonly state: RunState;
  /** What happened, in a sentence or two. */
  readonly sentence: string;
  readonly facts: readonly Fact[];
  /** Commands to go on with, and what each is for. */
  readonly next: readonly { readonly command: string; readonly means: string }[];
  readonly stages: readonly StageLine[];
  readonly tables: readonly Table[];
  readonly curves: readonly Curve[];
  readonly notes: readonly string[];
  readonly settings: string;
  readonly pairStages: readonly string[];
}

export interface Experiment {
  readonly source: SourceLine;
  readonly sentence: string;
  readonly verdicts: readonly { readonly claim: string; readonly verdict: string; readonly sentence: string }[];
  readonly tables: readonly Table[];
  /** arm − reference with its 95 % interval. */
  readonly differences: readonly {
    readonly arm: string;
    readonly label: string;
    readonly means: string;
    readonly measure: string;
    readonly mode: string;
    readonly estimate: number;
    readonly low: number;
    readonly high: number;
  }[];
  readonly reference: string;
  readonly arms: readonly { readonly name: string; readonly means: string }[];
  readonly runs: readonly SourceLine[];
}

export interface Rollouts {
  readonly total: number;
  readonly of: number;
  /** Files that have been read: until it is all of them, numbers grow. */
  readonly read: { readonly shards: number; readonly ofShards: number };
  readonly from: number;
  readonly rows: readonly Row[];
  readonly counts: Readonly<Record<Mark, number>>;
  readonly choices: Readonly<Record<'stages' | 'parts' | 'modes' | 'suites' | 'stops', readonly Choice[]>>;
  readonly histograms: readonly Histogram[];
}

export interface Passage {
  readonly id: string;
  readonly title: string;
  readonly score: number;
  /** As it was shown; null where it cannot be told apart from the others. */
  readonly text: string | null;
}

export interface Turn {
  readonly author: 'policy' | 'environment';
  readonly text: string;
  /** Tokens [start, end) of the response; null where there are none (a served model). */
  readonly tokens: readonly [start: number, end: number] | null;
  /** Of an environment's turn: what it is the answer to. */
  readonly search: { readonly query: string; readonly passages: readonly Passage[] } | null;
}

/** Streams over the response's tokens. */
export interface Tokens {
  readonly ids: readonly number[];
  /** The text of each, '' where a character goes on; null where the tokenizer is not at hand. */
  readonly texts: readonly string[] | null;
  readonly mask: readonly (0 | 1)[];
  readonly streams: readonly Stream[];
}

export interface Stream {
  readonly name: 'logprob' | 'advantage' | 'kl' | 'mask';
  readonly label: string;
  readonly means: string;
  /** Null on tokens that have none. */
  readonly values: readonly (number | null)[];
}

export interface TrajectoryDetail {
  readonly row: Row;
  readonly prompt: string | null;
  readonly promptIds: readonly number[] | null;
  readonly turns: readonly Turn[];
  readonly tokens: Tokens | null;
  readonly failure: string | null;
  /** Why something is missing, in sentences. */
  readonly notes: readonly string[];
  /** The line of the shard, for who wants to see it. */
  readonly raw: string;
  /** Within the filter. */
  readonly place: {
    readonly at: number;
    readonly of: number;
    readonly previous: string | null;
    readonly next: string | null;
  } | null;
}

export interface PairLine {
  /** shard:line, as rollouts have it. */
  readonly key: string;
  readonly stage: string;
  readonly step: number | null;
  readonly questionId: string;
  readonly question: string | null;
  readonly gold: readonly string[] | null;
  readonly studentCorrect: boolean;
  readonly studentSearches: number | null;
  readonly expertSearches: number | null;
  readonly tokens: number;
  readonly meanKl: number | null;
  readonly maxKl: number | null;
}

export interface PairDetail {
  readonly line: PairLine;
  /** Why these two, in a sentence. */
  readonly why: string;
  readonly expert: TrajectoryDetail | null;
  readonly student: TrajectoryDetail | null;
  readonly teacherPrompt: string | null;
  readonly studentPrompt: string | null;
  /** The student's tokens with the KL of each. */
  readonly tokens: Tokens;
  readonly notes: readonly string[];
  readonly place: {
    readonly at: number;
    readonly of: number;
    readonly previous: string | null;
    readonly next: string | null;
  } | null;
}

/** The same question on two sides. */
export interface ComparedQuestion {
  readonly suite: string;
  readonly id: string;
  readonly question: string | null;
  readonly gold: readonly string[] | null;
  readonly a: Row;
  readonly b: Row;
}

export interface Comparison {
  readonly a: string;
  readonly b: string;
  readonly sentence: string;
  readonly counts: { readonly gained: number; readonly lost: number; readonly right: number; readonly wrong: number };
  readonly suites: readonly {
    readonly suite: string;
    readonly questions: number;
    readonly a: number;
    readonly b: number;
    readonly gained: number;
    readonly lost: number;
  }[];
  readonly questions: readonly ComparedQuestion[];
  readonly total: number;
}

/** What can stand on a side of a comparison. */
export interface SideChoice {
  readonly source: string;
  readonly stage: string;
  readonly mode: string | null;
  readonly label: string;
}
