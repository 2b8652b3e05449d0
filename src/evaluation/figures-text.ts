/** Figures as table cells, and which of them describe behaviour. */
import type { Figures, MeanFigure, ResultRow, SuiteResult } from './results.ts';

export const NOTHING = '–';

/** "0.384 ±0.012" with the given number of decimals. */
export function cell(figure: MeanFigure | null | undefined, decimals: number): string {
  if (!figure) return NOTHING;
  const error = figure.standardError === null ? '' : ` ±${figure.standardError.toFixed(decimals)}`;
  return `${figure.mean.toFixed(decimals)}${error}`;
}

/** A share as papers print it, ".384 ±.012": nine of them side by side still fit a terminal. */
export function score(figure: MeanFigure | number | null | undefined): string {
  return typeof figure === 'number' ? withoutZero(figure.toFixed(3)) : withoutZero(cell(figure, 3));
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
  'Recall, searches, tokens, form and seconds leave failed questions out; in scores these count as 0.',
];

/** One suite of a row. */
export function suiteOf(row: ResultRow, suite: string): SuiteResult | undefined {
  return row.suites.find((one) => one.suite === suite);
}

/** Over all suites of a row. */
export function total(row: ResultRow, of: 'questions' | 'failures' | 'unanswered'): number {
  return row.suites.reduce((sum, suite) => sum + suite[of], 0);
}
