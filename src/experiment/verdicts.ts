/**
 * Claims decided by one rule from the 95 % interval of a paired difference (docs/evidence.md, "Rules"):
 *
 *   higher, lower   supported: the whole interval is on the claimed side of 0
 *                   not supported: it is wholly on the other side, or within ± margin
 *   not-lower       supported: the whole interval is above −margin; not supported: it is wholly below
 *   else            undecided, and always with a single seed
 *
 * teaches-nothing: supported when every distillation loss is exactly 0 and no step moved a weight, else not supported.
 */
import { isStage } from '../evolve/stages.ts';
import { type Claim, claims } from './claims.ts';
import { modeKey } from './collect.ts';
import type { Difference, Interval, RunSummary, Verdict } from './schema.ts';
import { signed } from './text.ts';

/** The claims about arms that are in the experiment. */
export function decideClaims(
  arms: readonly string[],
  runs: readonly RunSummary[],
  differences: readonly Difference[],
): Verdict[] {
  return claims
    .filter((claim) => arms.includes(claim.arm) && (!('reference' in claim) || arms.includes(claim.reference)))
    .map((claim) => {
      if (claim.kind === 'teaches-nothing') return decideNothing(claim, runs);
      const found = findDifference(differences, claim);
      if (found === undefined) return { claim: claim.says, verdict: 'not run', sentence: notRun(claim) };
      const verdict = found.bySeed.length < 2 ? 'undecided' : decide(claim.kind, found, claim.margin);
      return { claim: claim.says, verdict, sentence: sentenceOf(claim, found, verdict) };
    });
}

type Comparison = Exclude<Claim, { kind: 'teaches-nothing' }>;

/** The rule. */
export function decide(
  kind: Comparison['kind'],
  { low, high }: Pick<Interval, 'low' | 'high'>,
  margin: number,
): 'supported' | 'not supported' | 'undecided' {
  if (kind === 'lower') return decide('higher', { low: -high, high: -low }, margin);
  if (kind === 'not-lower') return low > -margin ? 'supported' : high < -margin ? 'not supported' : 'undecided';
  if (low > 0) return 'supported';
  if (high < 0 || (low > -margin && high < margin)) return 'not supported';
  return 'undecided';
}

/** arm − reference; measured the other way round, its signs are turned. */
function findDifference(differences: readonly Difference[], { arm, reference, measure, mode }: Comparison) {
  const of = (a: string, b: string) =>
    differences.find(
      (one) => one.arm === a && one.reference === b && one.measure === measure && modeKey(one.mode) === modeKey(mode),
    );
  const turned = of(reference, arm);
  return of(arm, reference) ?? (turned && negate(turned));
}

function negate({ estimate, low, high, bySeed }: Interval): Interval {
  const values = bySeed.map(({ seed, value }) => ({ seed, value: 0 - value }));
  return { estimate: 0 - estimate, low: 0 - high, high: 0 - low, bySeed: values };
}

function sentenceOf({ kind, arm, reference, measure, margin }: Comparison, found: Interval, verdict: string): string {
  const decimals = measure === 'exactMatch' ? 3 : 2;
  const text = (value: number) => signed(value, decimals);
  const seeds = found.bySeed.length;
  const figures = `${arm} − ${reference} is ${text(found.estimate)} (95 % interval ${text(found.low)} to ${text(found.high)}; ${seedsText(kind, found)}).`;
  const small =
    verdict === 'supported' && kind !== 'not-lower' && Math.max(Math.abs(found.low), Math.abs(found.high)) < margin;
  return [
    figures,
    ...(small ? [`The whole interval is smaller than ${margin}.`] : []),
    ...(verdict === 'not supported' && withinMargin(kind, found, margin) ? [`It lies within ±${margin}.`] : []),
    ...(kind === 'not-lower' ? [`A loss of up to ${margin} is allowed.`] : []),
    ...(seeds === 1 ? ['With one seed the interval is over questions alone, and nothing is decided.'] : []),
  ].join(' ');
}

function withinMargin(kind: Comparison['kind'], { low, high }: Interval, margin: number): boolean {
  return kind !== 'not-lower' && low > -margin && high < margin;
}

function seedsText(kind: Comparison['kind'], { bySeed }: Interval): string {
  if (bySeed.length === 1) return '1 seed';
  const below = bySeed.filter(({ value }) => value < 0).length;
  const above = bySeed.filter(({ value }) => value > 0).length;
  return kind === 'lower'
    ? `below 0 in ${below} of ${bySeed.length} seeds`
    : `above 0 in ${above} of ${bySeed.length} seeds`;
}

function notRun({ arm, reference, mode }: Comparison): string {
  return `No seed has both ${arm} and ${reference} evaluated with at most ${mode.searches} searches.`;
}

function decideNothing(
  { says, arm }: Extract<Claim, { kind: 'teaches-nothing' }>,
  runs: readonly RunSummary[],
): Verdict {
  const stages = runs
    .filter((run) => run.arm === arm)
    .flatMap(({ training }) => training.filter(({ stage, steps }) => isStage(stage, 'distill') && steps > 0));
  if (stages.length === 0)
    return { claim: says, verdict: 'not run', sentence: `No finished run of ${arm} has distilled.` };
  const steps = stages.reduce((sum, stage) => sum + stage.steps, 0);
  const moved = stages.reduce((sum, stage) => sum + stage.steps - stage.skippedSteps, 0);
  const largest = Math.max(...stages.map(({ largestLoss }) => largestLoss ?? Number.POSITIVE_INFINITY));
  const sentence = `${steps} steps of ${stages.length} ${stages.length === 1 ? 'round' : 'rounds'}: the largest loss is ${largest === 0 ? 'exactly 0' : largest.toExponential(1)}, ${moved === 0 ? 'no step' : moved === 1 ? '1 step' : `${moved} steps`} moved a weight.`;
  return { claim: says, verdict: largest === 0 && moved === 0 ? 'supported' : 'not supported', sentence };
}
