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
 * Where looks are registered (registered.ts), the bound of the look that is reached stands in the place of .05 for supported and
 * contrary; between looks there are figures alone, and all registered claims count in Holm's correction, decided or not.
 *
 * teaches-nothing: supported when every distillation loss is exactly 0 and no step moved a weight, else contrary.
 */
import { isStage } from '../evolve/stages.ts';
import { claims as builtInClaims, type Claim } from './claims.ts';
import { modeKey } from './collect.ts';
import { holm, seedInterval, seedP } from './intervals.ts';
import { type Look, lookAt, type Registered } from './registered.ts';
import type { Difference, Interval, RunSummary, Verdict } from './schema.ts';
import { counted, signed } from './text.ts';

type Comparison = Exclude<Claim, { kind: 'teaches-nothing' }>;

/** What an experiment's file says beforehand; without it the claims are the built-in ones, and every number of seeds may be looked at. */
export interface Beforehand {
  readonly claims?: readonly Claim[];
  readonly registered?: Registered;
}

/** The claims about arms that are in the experiment. */
export function decideClaims(
  arms: readonly string[],
  runs: readonly RunSummary[],
  differences: readonly Difference[],
  { claims = builtInClaims, registered }: Beforehand = {},
): Verdict[] {
  const asked = claims.filter(
    (claim) => arms.includes(claim.arm) && (!('reference' in claim) || arms.includes(claim.reference)),
  );
  const tests = asked.flatMap((claim) => {
    const found = claim.kind === 'teaches-nothing' ? undefined : findDifference(differences, claim);
    if (found === undefined || claim.kind === 'teaches-nothing' || found.claimed.bySeed.length < 2) return [];
    const look = registered === undefined ? EVERY : lookAt(registered, found.claimed.bySeed.length);
    return look === undefined ? [] : [{ claim, look, p: pOf(claim, found.claimed) }];
  });
  const corrected = tests.filter(({ claim }) => !claim.isPrimary);
  // What was registered and is not there yet takes its share all the same.
  const absent = registered === undefined ? 0 : asked.filter(isCorrected).length - corrected.length;
  const among = corrected.length + absent;
  const adjusted = holm([...corrected.map(({ p }) => p), ...new Array<number>(absent).fill(1)]);
  const chanceOf = (claim: Comparison): Chance | undefined => {
    const test = tests.find((one) => one.claim === claim);
    if (test === undefined) return undefined;
    const { p, look } = test;
    if (claim.isPrimary) return { p, adjusted: p, among: 1, bound: look.p };
    return { p, adjusted: adjusted[corrected.indexOf(test)]!, among, bound: look.p };
  };
  return asked.map((claim): Verdict => {
    if (claim.kind === 'teaches-nothing') return decideNothing(claim, runs);
    const found = findDifference(differences, claim);
    if (found === undefined) return { claim: claim.says, verdict: 'not run', sentence: notRun(claim) };
    const chance = chanceOf(claim);
    const seeds = found.claimed.bySeed.length;
    if (registered !== undefined && lookAt(registered, seeds) === undefined)
      return { claim: claim.says, verdict: 'no look', sentence: betweenLooks(found, registered) };
    const verdict =
      chance === undefined ? 'undecided' : decide(claim, valuesOf(found.claimed), chance.adjusted, chance.bound);
    const sentence = sentenceOf(claim, found, verdict, chance);
    return { claim: claim.says, verdict, sentence };
  });
}

/** What is not registered may be looked at whenever one likes. */
const EVERY: Pick<Look, 'p'> = { p: 0.05 };

function isCorrected(claim: Claim): boolean {
  return claim.kind !== 'teaches-nothing' && !claim.isPrimary;
}

interface Chance {
  readonly p: number;
  /** By Holm, among so many claims. */
  readonly adjusted: number;
  readonly among: number;
  /** Below which it decides. */
  readonly bound: number;
}

/** The rule. `values` are the seeds' differences, arm − reference; `p` is corrected already, and decides below `bound`. */
export function decide(
  { kind, margin }: Pick<Comparison, 'kind' | 'margin'>,
  values: readonly number[],
  p: number,
  bound = EVERY.p,
): 'supported' | 'contrary' | 'equivalent' | 'undecided' {
  const { estimate, low, high } = seedInterval(values, 0.9);
  if (p < bound) {
    const onClaimedSide = kind === 'lower' ? estimate < 0 : estimate > (kind === 'not-lower' ? -margin : 0);
    return onClaimedSide ? 'supported' : 'contrary';
  }
  return kind !== 'not-lower' && low > -margin && high < margin ? 'equivalent' : 'undecided';
}

function pOf({ kind, margin }: Comparison, interval: Interval): number {
  return seedP(valuesOf(interval), kind === 'not-lower' ? -margin : 0);
}

const valuesOf = ({ bySeed }: Interval) => bySeed.map(({ value }) => value);

interface Found {
  readonly measured: Difference;
  readonly claimed: Interval;
}

/**
 * The difference as it was measured and is drawn, and as the claim means it: arm − reference, which are the same or each other's
 * opposite.
 */
function findDifference(
  differences: readonly Difference[],
  { arm, reference, measure, mode }: Comparison,
): Found | undefined {
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
  { kind, margin }: Comparison,
  { measured, claimed: found }: Found,
  verdict: Verdict['verdict'],
  chance: Chance | undefined,
): string {
  const decided = verdict === 'supported' || verdict === 'contrary';
  const small = decided && kind !== 'not-lower' && Math.max(Math.abs(found.low), Math.abs(found.high)) < margin;
  return [
    figuresOf(measured, chance),
    ...(small ? [`The whole interval is smaller than ${margin}.`] : []),
    ...(verdict === 'equivalent' ? [`The 90 % interval lies within ±${margin}.`] : []),
    ...(kind === 'not-lower' ? [`A loss of up to ${margin} is allowed.`] : []),
    ...(chance !== undefined && chance.bound !== EVERY.p
      ? [`The bound of this look is p below ${probability(chance.bound)}.`]
      : []),
  ].join(' ');
}

/** Figures without p: a reader is not to decide what the rule does not. */
function betweenLooks({ measured }: Found, { looks }: Registered): string {
  const at = looks.map(({ seeds }) => seeds).join(' and ');
  return `${figuresOf(measured, undefined)} No look is registered at ${counted(measured.bySeed.length, 'seed')}, only at ${at}.`;
}

function isCount(measure: Difference['measure']): boolean {
  return measure === 'searches' || measure === 'policyTokens';
}

function figuresOf(measured: Difference, chance: Chance | undefined): string {
  const text = (value: number) => signed(value, isCount(measured.measure) ? 2 : 3);
  const { arm, reference, estimate, low, high } = measured;
  return `${arm} − ${reference} is ${text(estimate)} (95 % interval ${text(low)} to ${text(high)}; ${seedsText(measured)}${chanceText(chance)}).`;
}

/** "; p .012, .31 among 25 claims". */
function chanceText(chance: Chance | undefined): string {
  if (chance === undefined) return '';
  const { p, adjusted, among } = chance;
  return `; p ${probability(p)}${among > 1 ? `, ${probability(adjusted)} among ${among} claims` : ', the primary claim'}`;
}

function probability(p: number): string {
  return p < 0.0005 ? '< .001' : p.toFixed(p < 0.1 ? 3 : 2).replace(/^0/, '');
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
