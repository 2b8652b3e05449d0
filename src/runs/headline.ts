/** What came out of a run, in a sentence. */
import type { Estimate } from '../benchmarks/statistics.ts';
import type { Results, StageMeasurement } from '../evolve/results.ts';
import { estimateText, NOTHING, stageLabel } from './table.ts';

/** Each stage in the mode that stands first: the main budget, the first way of decoding. Stages without suites say nothing. */
export function mainMeasurements({ measurements }: Results): StageMeasurement[] {
  const mode = measurements[0]?.mode;
  return measurements.filter(
    (one) => one.suites.length > 0 && one.mode.decoding === mode?.decoding && one.mode.searches === mode.searches,
  );
}

/**
 * A difference of two standard errors, the samples taken as independent, is called one; the report has what is behind it.
 */
export function headline(base: StageMeasurement, last: StageMeasurement): string {
  const [before, after] = [base.mean, last.mean];
  const searches = `Searches a question: ${estimateMean(before.searches, 2)} before, ${estimateMean(after.searches, 2)} after.`;
  if (base === last) return `Exact match ${estimateText(before.exactMatch, 3)} (${stageLabel(base.stage)}).`;
  const [from, to] = [before, after].map(({ exactMatch }) => estimateText(exactMatch, 3));
  const words = isBeyondChance(before.exactMatch, after.exactMatch)
    ? `Exact match ${after.exactMatch!.mean > before.exactMatch!.mean ? 'rose' : 'fell'} from ${from} (base) to ${to} (${stageLabel(last.stage)}).`
    : `Exact match ${from} (base) and ${to} (${stageLabel(last.stage)}): no difference that these questions can tell.`;
  return `${words} ${searches}`;
}

function isBeyondChance(a: Estimate | null, b: Estimate | null): boolean {
  if (a?.standardError == null || b?.standardError == null) return false;
  return Math.abs(a.mean - b.mean) > 2 * Math.hypot(a.standardError, b.standardError);
}

/** The mean alone; a dash where nothing was measured. */
export function estimateMean(estimate: Estimate | null, decimals: number): string {
  return estimate?.mean.toFixed(decimals) ?? NOTHING;
}
