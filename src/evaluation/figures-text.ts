/** Figures as table cells, and which of them describe behaviour. */
import type { Estimate } from '../benchmarks/statistics.ts';
import { estimateText } from '../runs/table.ts';
import type { Figures, ResultRow, SuiteResult } from './results.ts';

/** A share as papers print it, ".384 ±.012": nine of them side by side still fit a terminal. */
export function score(figure: Estimate | number | null | undefined): string {
  return typeof figure === 'number' ? withoutZero(figure.toFixed(3)) : withoutZero(estimateText(figure, 3));
}

/** "+.030": a difference of shares. */
export function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${withoutZero(Math.abs(value).toFixed(3))}`;
}

function withoutZero(text: string): string {
  return text.replace(/(?<!\d)0\./g, '.');
}

export const behaviour: readonly { label: string; figure: keyof Figures; decimals: number }[] = [
  { label: 'F1', figure: 'f1', decimals: 3 },
  { label: 'substring', figure: 'substring', decimals: 3 },
  { label: 'recall', figure: 'recall', decimals: 3 },
  { label: 'searches', figure: 'searches', decimals: 2 },
  { label: 'new tokens', figure: 'newTokens', decimals: 1 },
  { label: 'well formed', figure: 'wellFormed', decimals: 3 },
];

export const behaviourNotes: readonly string[] = [
  'Recall: a gold answer occurs in a retrieved passage, of questions that searched.',
  'Seconds: how long a question was under way, others beside it.',
  'Questions that failed (server, search, deadline) were not measured: they are in no figure.',
];

/** One suite of a row. */
export function suiteOf(row: ResultRow, suite: string): SuiteResult | undefined {
  return row.suites.find((one) => one.suite === suite);
}

/** Over all suites of a row. */
export function total(row: ResultRow, of: 'questions' | 'failures' | 'unanswered'): number {
  return row.suites.reduce((sum, suite) => sum + suite[of], 0);
}
