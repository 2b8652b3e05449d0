/** Claims and looks that are fixed before a run: their form, and verdicts by the look that is reached. */
import { describe, expect, it } from 'vitest';
import { checkDefinition, type Definition, experimentSettings, seedsOf } from './definition.ts';
import { claimsOf, lookAt, type OwnClaim, ownClaimsSchema, registeredSchema } from './registered.ts';
import type { Difference } from './schema.ts';
import { decideClaims } from './verdicts.ts';

const greedy = { decoding: 'greedy', searches: 4 } as const;
const sampled = { decoding: 'sampled', searches: 4 } as const;
const claim = (change: Partial<OwnClaim> = {}): OwnClaim => ({
  ...{ kind: 'higher', arm: 'mine', reference: 'e1', measure: 'exactMatch', mode: greedy, margin: 0.01 },
  ...change,
});
const registered = {
  seeds: 6,
  looks: [
    { seeds: 4, p: 0.005 },
    { seeds: 6, p: 0.048 },
  ],
};

describe('the form', () => {
  it.each([
    [[claim({ primary: true }), claim({ primary: true, mode: sampled })], '1.primary', 'at most'],
    [[claim(), claim({ margin: 0.02 })], '1', 'is claimed twice'],
    [[{ ...claim(), mode: 'greedy-4' }], '0.mode', 'expected object'],
    [[{ ...claim(), p: 0.1 }], '0', 'Unrecognized key'],
    [[claim({ margin: 0 })], '0.margin', '>0'],
    [[claim({ kind: 'equal' as 'higher' })], '0.kind', 'Invalid option'],
  ])('claims %j are refused at %s', (claims, where, why) => {
    const { error } = ownClaimsSchema.safeParse(claims);
    expect(error!.issues[0]!.path.join('.')).toBe(where);
    expect(error!.issues[0]!.message).toContain(why);
  });

  it.each([
    [{ seeds: 6, looks: [{ seeds: 3, p: 0.01 }] }, 'looks.0.seeds', 'expected 6, found 3'],
    [
      {
        seeds: 6,
        looks: [
          { seeds: 6, p: 0.01 },
          { seeds: 6, p: 0.04 },
        ],
      },
      'looks.1.seeds',
      'each later',
    ],
    [{ seeds: 6, looks: [{ seeds: 6, p: 0.1 }] }, 'looks.0.p', '0.05'],
    [{ seeds: 6, looks: [] }, 'looks', '>=1'],
    [{ seeds: 6, looks: [{ seeds: 6, p: 0.04 }], extended: true }, '', 'Unrecognized key'],
  ])('a size of %j is refused at %s', (size, where, why) => {
    const { error } = registeredSchema.safeParse(size);
    expect(error!.issues[0]!.path.join('.')).toBe(where);
    expect(error!.issues[0]!.message).toContain(why);
  });

  it('looks are at exactly so many seeds', () => {
    expect([3, 4, 5, 6, 7].map((seeds) => lookAt(registered, seeds)?.p)).toEqual([
      undefined,
      0.005,
      undefined,
      0.048,
      undefined,
    ]);
  });

  it('an experiment is neither longer than its size nor about arms that it has not', () => {
    const definition = (seeds: number, claims: OwnClaim[]): Definition => ({
      ...{ name: 'own', preset: 'smoke', settings: experimentSettings('smoke'), data: null },
      ...{ arms: ['e1', 'sharpen'], seeds: seedsOf(seeds), claims, registered },
    });
    const about = claim({ arm: 'sharpen' });
    expect(() => checkDefinition(definition(6, [about]))).not.toThrow();
    expect(() => checkDefinition(definition(7, [about]))).toThrow('the experiment ends with 6 seeds, 7 were asked for');
    expect(() => checkDefinition(definition(2, [claim()]))).toThrow('claims.0: mine is not among the arms');
    expect(() => checkDefinition(definition(2, [claim({ arm: 'e1' })]))).toThrow(
      'claims.0: e1 is compared with itself',
    );
    const elsewhere = claim({ arm: 'sharpen', mode: { decoding: 'greedy', searches: 6 } });
    expect(() => checkDefinition(definition(2, [elsewhere]))).toThrow(
      'claims.0: mode: no stage is evaluated greedy at 6',
    );
  });
});

/** p of Student's t for 3 and 5 degrees of freedom, by the closed forms of its distribution. */
function plainP(values: readonly number[]): number {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const t = mean / Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1) / n);
  const angle = Math.atan(Math.abs(t) / Math.sqrt(n - 1));
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const terms = n === 4 ? cos : cos + (2 / 3) * cos ** 3;
  return 1 - (2 / Math.PI) * (angle + sin * terms);
}

/** Three quarters of the way between values of spread 1: a mean of so many standard errors. */
const values = (n: number, t: number): number[] => {
  const spread = Array.from({ length: n }, (_, i) => (i - (n - 1) / 2) / 100);
  const error = Math.sqrt(spread.reduce((sum, x) => sum + x * x, 0) / (n - 1) / n);
  return spread.map((x) => x + t * error);
};
const difference = (of: readonly number[], change: Partial<Difference> = {}): Difference => ({
  ...{ arm: 'mine', reference: 'e1', mode: greedy, measure: 'exactMatch', low: -1, high: 1 },
  estimate: of.reduce((a, b) => a + b, 0) / of.length,
  bySeed: of.map((value, i) => ({ seed: `seed-${i}`, value })),
  ...change,
});
const decided = (differences: readonly Difference[], claims: readonly OwnClaim[] = [claim({ primary: true })]) =>
  decideClaims(['mine', 'e1'], [], differences, { claims: claimsOf(claims), registered });

describe('a verdict', () => {
  it.each([
    // p .0077 and .0048: on both sides of the first bound, .005.
    [4, 6.3, 'undecided'],
    [4, 7.5, 'supported'],
    // p .0494 and .0464: on both sides of the last, .048; without a registration both would be supported.
    [6, 2.58, 'undecided'],
    [6, 2.63, 'supported'],
    [6, -2.63, 'contrary'],
  ] as const)('of %d seeds with t %d is %s by the bound of its look', (n, t, verdict) => {
    const of = values(n, t);
    const bound = n === 4 ? 0.005 : 0.048;
    expect(plainP(of) < bound).toBe(verdict !== 'undecided');
    expect(plainP(of)).toBeLessThan(0.05);
    const [found] = decided([difference(of)]);
    expect(found!.verdict).toBe(verdict);
    expect(found!.sentence).toContain(`The bound of this look is p below ${n === 4 ? '.005' : '.048'}.`);
    const [free] = decideClaims(['mine', 'e1'], [], [difference(of)], { claims: claimsOf([claim()]) });
    expect(free!.verdict).toBe(t > 0 ? 'supported' : 'contrary');
  });

  it.each([1, 2, 3, 5])('is not given at %d seeds, where figures stand alone', (n) => {
    const [found] = decided([difference(values(n, 50))]);
    expect(found).toEqual({
      claim: 'mine is higher than e1 (exact match, greedy, at most 4 searches)',
      verdict: 'no look',
      sentence: expect.stringMatching(
        new RegExp(`^mine − e1 is .*\\)\\. No look is registered at ${n} seeds?, only at 4 and 6\\.$`),
      ),
    });
    expect(found!.sentence).not.toContain('; p ');
  });

  it('counts every registered claim in the correction, those that are not there yet too', () => {
    // p .0464 alone; times two by Holm, though the other claim has not run.
    const of = values(6, 2.63);
    const claims = [claim(), claim({ mode: sampled })];
    const [first, second] = decided([difference(of)], claims);
    expect(first).toMatchObject({ verdict: 'undecided', sentence: expect.stringContaining('among 2 claims') });
    expect(second!.verdict).toBe('not run');
    // One that stands at another number of seeds takes its share as well.
    const [third] = decided([difference(of), difference(values(5, 50), { mode: sampled })], claims);
    expect(third!.sentence).toBe(first!.sentence);
  });
});
