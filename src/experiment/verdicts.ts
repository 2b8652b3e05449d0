/**
 * Claims decided by one rule from the paired differences of seeds (docs/experiments.md, "Rules"). With p the two-sided p-value of
 * their mean against 0 (higher, lower) or against −margin (not-lower), for all but the primary claim corrected by Holm for
 * the number of claims that are decided:
 *
 *   supported    p < .05, on the claimed side
 *   contrary     p < .05, on the other side
 *   equivalent   else, when the 90 % interval lies within ± margin: two one-sided tests at .05 (Schuirmann, 1987); not for not-lower
 *   undecided    else, and always with a single seed
 *
 * teaches-nothing: supported when every distillation loss is exactly 0 and no step moved a weight, else contrary.
 */
import { isStage } from '../evolve/stages.ts';
import { type Claim, claims } from './claims.ts';
import { modeKey } from './collect.ts';
import { holm, seedInterval, seedP } from './intervals.ts';
import type { Difference, Interval, RunSummary, Verdict } from './schema.ts';
import { signed } from './text.ts';

type Comparison = Exclude<Claim, { kind: 'teaches-nothing' }>;

/** The claims about arms that are in the experiment. */
export function decideClaims(
  arms: readonly string[],
  runs: readonly RunSummary[],
  differences: readonly Difference[],
): Verdict[] {
  const asked = claims.filter(
    (claim) => arms.includes(claim.arm) && (!('reference' in claim) || arms.includes(claim.reference)),
  );
  const tests = asked.flatMap((claim) => {
    const found = claim.kind === 'teaches-nothing' ? undefined : findDifference(differences, claim);
    if (found === undefined || claim.kind === 'teaches-nothing' || found.claimed.bySeed.length < 2) return [];
    return [{ claim, p: pOf(claim, found.claimed) }];
  });
  const corrected = tests.filter(({ claim }) => !claim.isPrimary);
  const adjusted = holm(corrected.map(({ p }) => p));
  const chanceOf = (claim: Comparison): Chance | undefined => {
    const p = tests.find((test) => test.claim === claim)?.p;
    if (p === undefined || claim.isPrimary) return p === undefined ? undefined : { p, adjusted: p, among: 1 };
    const place = corrected.findIndex((test) => test.claim === claim);
    return { p, adjusted: adjusted[place]!, among: corrected.length };
  };
  return asked.map((claim) => {
    if (claim.kind === 'teaches-nothing') return decideNothing(claim, runs);
    const found = findDifference(differences, claim);
    if (found === undefined) return { claim: claim.says, verdict: 'not run', sentence: notRun(claim) };
    const chance = chanceOf(claim);
    const verdict = chance === undefined ? 'undecided' : decide(claim, valuesOf(found.claimed), chance.adjusted);
    return { claim: claim.says, verdict, sentence: sentenceOf(claim, found, verdict, chance) };
  });
}

interface Chance {
  readonly p: number;
  /** By Holm, among so many claims. */
  readonly adjusted: number;
  readonly among: number;
}

/** The rule. `values` are the seeds' differences, arm − reference; `p` is corrected already. */
export function decide(
  { kind, margin }: Pick<Comparison, 'kind' | 'margin'>,
  values: readonly number[],
  p: number,
): 'supported' | 'contrary' | 'equivalent' | 'undecided' {
  const { estimate, low, high } = seedInterval(values, 0.9);
  if (p < 0.05) {
    const onClaimedSide = kind === 'lower' ? estimate < 0 : estimate > (kind === 'not-lower' ? -margin : 0);
    return onClaimedSide ? 'supported' : 'contrary';
  }
  return kind !== 'not-lower' && low > -margin && high < margin ? 'equivalent' : 'undecided';
}

function pOf({ kind, margin }: Comparison, interval: Interval): number {
  return seedP(valuesOf(interval), kind === 'not-lower' ? -margin : 0);
}

const valuesOf = ({ bySeed }: Interval) => bySeed.map(({ value }) => value);

/**
 * The difference as it was measured and is drawn, and as the claim means it: arm − reference, which are the same or each other's
 * opposite.
 */
function findDifference(differences: readonly Difference[], { arm, reference, measure, mode }: Comparison) {
  const of = (a: string, b: string) =>
    differences.find(
      (one) => one.arm === a && one.reference === b && one.measure === measure && modeKey(one.mode) === modeKey(mode),
    );
  const [measured, turned] = [of(arm, reference), of(reference, arm)];
  if (measured !== undefined) return { measured, claimed: measured as Interval };
  return turned && { measured: turned, claimed: negate(turned) };
}

function negate({ estimate, low, high, bySeed }: Interval): Interval {
  const values = bySeed.map(({ seed, value }) => ({ seed, value: 0 - value }));
  return { estimate: 0 - estimate, low: 0 - high, high: 0 - low, bySeed: values };
}

function sentenceOf(
  { kind, measure, margin }: Comparison,
  { measured, claimed: found }: { readonly measured: Difference; readonly claimed: Interval },
  verdict: Verdict['verdict'],
  chance: Chance | undefined,
): string {
  const decimals = measure === 'exactMatch' ? 3 : 2;
  const text = (value: number) => signed(value, decimals);
  const { arm, reference, estimate, low, high } = measured;
  const figures = `${arm} − ${reference} is ${text(estimate)} (95 % interval ${text(low)} to ${text(high)}; ${seedsText(measured)}${chanceText(chance)}).`;
  const decided = verdict === 'supported' || verdict === 'contrary';
  const small = decided && kind !== 'not-lower' && Math.max(Math.abs(found.low), Math.abs(found.high)) < margin;
  return [
    figures,
    ...(small ? [`The whole interval is smaller than ${margin}.`] : []),
    ...(verdict === 'equivalent' ? [`The 90 % interval lies within ±${margin}.`] : []),
    ...(kind === 'not-lower' ? [`A loss of up to ${margin} is allowed.`] : []),
  ].join(' ');
}

/** "; p .012, .31 among 25 claims". */
function chanceText(chance: Chance | undefined): string {
  if (chance === undefined) return '';
  const text = (p: number) => (p < 0.0005 ? '< .001' : p.toFixed(p < 0.1 ? 3 : 2).replace(/^0/, ''));
  const { p, adjusted, among } = chance;
  return `; p ${text(p)}${among > 1 ? `, ${text(adjusted)} among ${among} claims` : ', the primary claim'}`;
}

function seedsText({ estimate, bySeed }: Interval): string {
  if (bySeed.length === 1) return '1 seed';
  const below = bySeed.filter(({ value }) => value < 0).length;
  const above = bySeed.filter(({ value }) => value > 0).length;
  return estimate < 0
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
  return { claim: says, verdict: largest === 0 && moved === 0 ? 'supported' : 'contrary', sentence };
}
