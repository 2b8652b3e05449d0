/**
 * What a benchmark is: where its questions come from, which split is asked and why, and how its own published file is read.
 * One file a benchmark stands in `suites/`. All seven are scored alike, by exact match after SQuAD's normalisation
 * (exact-match.ts), as Search-R1 and the papers after it do.
 */

/** A row of a benchmark's own file, before it is validated as a question. */
export interface OriginalRow {
  readonly id: string;
  readonly question: unknown;
  /** Gold answers, first the main one; repeated ones are dropped when read. */
  readonly answers: readonly unknown[];
}

/** How the authors publish it. */
export interface OriginalFile {
  /** What people call the file. */
  readonly name: string;
  /** The page to get it from; nothing is downloaded from there by this program. */
  readonly page: string;
  readonly form: 'json' | 'jsonl' | 'tsv' | 'csv';
  /** One parsed row to a question; fields are checked by the caller. `index` counts rows from 0. */
  readonly row: (row: Readonly<Record<string, unknown>>, index: number) => OriginalRow;
  /** For 'json': the field that holds the list of rows; the file itself is the list when absent. */
  readonly list?: string;
}

export interface Benchmark {
  readonly name: BenchmarkName;
  readonly title: string;
  /** Authors, year, arXiv or ACL id. */
  readonly source: string;
  readonly licence: string;
  readonly split: string;
  readonly why: string;
  /** Questions of that split. */
  readonly questions: number;
  /** Whether most questions need several searches. */
  readonly hops: 'single' | 'multi';
  /** Path in the Hugging Face dataset RUC-NLPIR/FlashRAG_datasets, JSONL of {id, question, golden_answers, metadata}. */
  readonly flashRag: string;
  readonly original: OriginalFile;
  /** One question as published. */
  readonly sample: { readonly question: string; readonly answer: string };
}

export type BenchmarkName = 'nq' | 'triviaqa' | 'popqa' | 'hotpotqa' | '2wikimultihopqa' | 'musique' | 'bamboogle';
