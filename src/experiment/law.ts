/**
 * The predicted law (arXiv 2605.30070): what distillation gains in the end is linear in the first gap between teacher and
 * student. Points are runs; runs of one seed share much, so it is seeds that are resampled.
 */

import { Random, streamKey } from '../base/random.ts';
import { type Interval, mean } from '../benchmarks/statistics.ts';
import { criticalT } from '../benchmarks/student-t.ts';
import type { EvaluationMode } from '../evolve/results.ts';
import { isStage } from '../evolve/stages.ts';
import { type CollectedRun, modeKey, round } from './collect.ts';
import { RESAMPLES } from './intervals.ts';
import type { Law } from './schema.ts';

type Point = Law['points'][number];

/**
 * Gap: exact match that the privileged prompt adds at the first gate. Gain: exact match of the last stage over that of the
 * first round. Only runs whose teacher is the one that the gate asked: shown the expert, read by its distribution (whichever
 * the divergence).
 */
export function predictedLaw(runs: readonly CollectedRun[], mode: EvaluationMode): Law {
  const points = runs.flatMap(({ summary, settings: { distill } }): Point[] => {
    const { seed, arm, stages, gates } = summary;
    const here = stages.filter((stage) => modeKey(stage.mode) === modeKey(mode));
    const first = here.find(({ stage }) => isStage(stage, 'grpo', 1));
    const gate = gates[0];
    const asked = distill.teacherSees === 'expert' && distill.objective !== 'cross-entropy';
    const [before, after, gap] = [first?.mean.exactMatch, here.at(-1)?.mean.exactMatch, gate?.exactMatchGap];
    if (!asked || before == null || after == null || gap == null) return [];
    return [{ seed, arm, gap, gain: round(after - before) }];
  });
  return { mode, points, fit: fitLaw(points) };
}

/** Null with fewer than three points, or when all gaps or all gains are the same. */
export function fitLaw(points: readonly Point[]): Law['fit'] {
  const line = leastSquares(points);
  if (points.length < 3 || line === undefined) return null;
  const interval = correlationInterval(points, line.correlation);
  return {
    slope: round(line.slope),
    intercept: round(line.intercept),
    correlation: round(line.correlation),
    correlationInterval: interval && { low: round(interval.low), high: round(interval.high) },
  };
}

/**
 *   slope = Σ (x − x̄)(y − ȳ) / Σ (x − x̄)²     correlation = Σ (x − x̄)(y − ȳ) / √(Σ (x − x̄)² Σ (y − ȳ)²)
 */
function leastSquares(points: readonly Point[]) {
  const [x, y] = [mean(points.map(({ gap }) => gap)), mean(points.map(({ gain }) => gain))];
  let [xx, xy, yy] = [0, 0, 0];
  for (const { gap, gain } of points) {
    xx += (gap - x) ** 2;
    xy += (gap - x) * (gain - y);
    yy += (gain - y) ** 2;
  }
  // Equal numbers may differ from their mean in the last bit.
  if (xx < 1e-18 || yy < 1e-18) return undefined;
  const slope = xy / xx;
  return { slope, intercept: y - slope * x, correlation: xy / Math.sqrt(xx * yy) };
}

/** Fewer seeds have too few resamples that differ: with three, every resample lies on two or three gaps. */
const LEAST_SEEDS = 5;
/** Two-sided 95 % of the standard normal distribution. */
const Z_95 = 1.96;
/** Beyond it Fisher's z is of no use. */
const CERTAIN = 1 - 1e-6;

/**
 * 95 %: percentiles over resampled seeds, which are too narrow with few seeds and therefore stretched about the estimate as Student's t
 * stretches the normal (Hesterberg, 2015, §3.2), on the scale of Fisher's z = artanh r, where the spread of a correlation hardly depends
 * on the correlation. Null with fewer than five seeds.
 */
function correlationInterval(points: readonly Point[], correlation: number): Interval | null {
  const bySeed = [...Map.groupBy(points, ({ seed }) => seed).values()];
  if (bySeed.length < LEAST_SEEDS) return null;
  const random = new Random(streamKey('experiment', 'law', bySeed.length));
  const correlations: number[] = [];
  for (let r = 0; r < RESAMPLES; r++) {
    const line = leastSquares(bySeed.flatMap(() => random.choice(bySeed)));
    // A resample of one seed alone may have no spread, and then no correlation.
    if (line !== undefined) correlations.push(line.correlation);
  }
  correlations.sort((a, b) => a - b);
  const z = (r: number) => Math.atanh(Math.max(-CERTAIN, Math.min(CERTAIN, r)));
  const at = (share: number) => z(correlations[Math.round(share * (correlations.length - 1))]!);
  const stretch = criticalT(0.95, bySeed.length - 1) / Z_95;
  const end = (share: number) => Math.tanh(z(correlation) + stretch * (at(share) - z(correlation)));
  return correlations.length === 0 ? null : { low: end(0.025), high: end(0.975) };
}
