/** What the evaluations of an experiment are shown by. */
import type { EvaluationMode } from '../../evolve/results.ts';
import { modeKey } from '../collect.ts';
import type { Summary } from '../schema.ts';

/** Sampled answers first, then by budget, the largest first. */
export function modesByWeight({ runs }: Summary): EvaluationMode[] {
  const all = runs.flatMap(({ stages }) => stages.map(({ mode }) => mode));
  return [...new Map(all.map((mode) => [modeKey(mode), mode])).values()].sort(
    (a, b) => (a.decoding === b.decoding ? 0 : a.decoding === 'sampled' ? -1 : 1) || b.searches - a.searches,
  );
}

/** The largest and the smallest budget, sampled where answers were: two colours tell them apart. */
export function outerModes(summary: Summary): EvaluationMode[] {
  const [first, ...others] = modesByWeight(summary);
  const alike = others.filter(({ decoding }) => decoding === first?.decoding);
  return first === undefined ? [] : [first, ...alike.slice(-1)];
}

/** What every arm is compared with. */
export function referenceOf({ arms, differences }: Summary): string {
  return differences[0]?.reference ?? arms[0]!;
}
