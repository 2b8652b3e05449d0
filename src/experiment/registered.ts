/**
 * What an experiment's file may say beforehand: claims of its own, how many seeds it has, and when they may be looked at. A rule that
 * is chosen after the figures are known decides nothing, so verdicts are given at these looks alone, each with its own bound of p.
 */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import type { Claim } from './claims.ts';
import { type Measure, measures } from './schema.ts';
import { counted } from './text.ts';

const margin = z.number().positive();

const claimSchema = z.strictObject({
  kind: z.enum(['higher', 'lower', 'not-lower']),
  arm: z.string(),
  reference: z.string(),
  measure: z.enum(measures),
  mode: z.strictObject({ decoding: z.enum(['sampled', 'greedy']), searches: z.int().min(0).max(1000) }),
  margin,
  /** Decided without a correction for the number of claims. */
  primary: z.literal(true).exactOptional(),
});
export type OwnClaim = z.infer<typeof claimSchema>;

export const ownClaimsSchema = z
  .array(claimSchema)
  .min(1)
  .max(100)
  .superRefine((claims, context) => {
    const second = claims.findIndex(({ primary }, i) => primary && claims.findIndex((one) => one.primary) < i);
    if (second >= 0)
      context.addIssue({ code: 'custom', path: [second, 'primary'], message: 'one claim at most is the primary one' });
    const keys = claims.map((claim) => saysOf(claim));
    for (const [i, key] of keys.entries())
      if (keys.indexOf(key) < i) context.addIssue({ code: 'custom', path: [i], message: `is claimed twice: ${key}` });
  });

const lookSchema = z.strictObject({
  /** After so many seeds. */
  seeds: z.int().min(2).max(1000),
  /** A claim is decided there when its p, corrected as ever, is below this. */
  p: z.number().gt(0).max(0.05),
});

export const registeredSchema = z
  .strictObject({
    /** The experiment ends with so many and is never extended. */
    seeds: z.int().min(2).max(1000),
    looks: z.array(lookSchema).min(1).max(20),
  })
  .superRefine(({ seeds, looks }, context) => {
    for (const [i, look] of looks.entries())
      if (i > 0 && look.seeds <= looks[i - 1]!.seeds)
        context.addIssue({ code: 'custom', path: ['looks', i, 'seeds'], message: 'looks come in order, each later' });
    const last = looks.length - 1;
    if (last >= 0 && looks[last]!.seeds !== seeds)
      context.addIssue({
        code: 'custom',
        path: ['looks', last, 'seeds'],
        message: `the last look is at the end: expected ${seeds}, found ${looks[last]!.seeds}`,
      });
  });
export type Registered = z.infer<typeof registeredSchema>;
export type Look = Registered['looks'][number];

/** The claims of a file in the form of the built-in ones. */
export function claimsOf(own: readonly OwnClaim[]): Claim[] {
  return own.map(({ primary, ...claim }) => ({ ...claim, says: saysOf(claim), ...(primary && { isPrimary: true }) }));
}

const names: Readonly<Record<Measure, string>> = {
  exactMatch: 'exact match',
  searches: 'searches',
  policyTokens: 'policy tokens',
  wellFormed: 'well formed',
  grounded: 'grounded',
};

/** "price-.02 is not lower than e1 (exact match, greedy, at most 4 searches)". */
function saysOf({ kind, arm, reference, measure, mode }: Omit<OwnClaim, 'primary'>): string {
  const is = kind === 'not-lower' ? 'not lower' : kind;
  return `${arm} is ${is} than ${reference} (${names[measure]}, ${mode.decoding}, at most ${mode.searches} searches)`;
}

/** @throws UserError when a claim is about what the experiment has not */
export function checkClaims(
  claims: readonly OwnClaim[],
  arms: readonly string[],
  { searches, decoding }: { readonly searches: readonly number[]; readonly decoding: readonly string[] },
): void {
  for (const [i, { arm, reference, mode }] of claims.entries()) {
    const unknown = [arm, reference].find((name) => !arms.includes(name));
    if (unknown !== undefined)
      throw new UserError(`claims.${i}: ${unknown} is not among the arms`, { hint: `They are ${arms.join(', ')}.` });
    if (arm === reference) throw new UserError(`claims.${i}: ${arm} is compared with itself`);
    if (!searches.includes(mode.searches) || !decoding.includes(mode.decoding))
      throw new UserError(`claims.${i}: mode: no stage is evaluated ${mode.decoding} at ${mode.searches} searches`, {
        hint: `evaluation.searches is ${searches.join(', ')}, evaluation.decoding ${decoding.join(', ')}.`,
      });
  }
}

/** @throws UserError when more seeds are asked for than were registered */
export function checkSize({ seeds }: Registered, asked: number): void {
  if (asked > seeds)
    throw new UserError(`registered: the experiment ends with ${counted(seeds, 'seed')}, ${asked} were asked for`, {
      hint: 'A registered experiment is not extended. Register another one, with worlds that none has used.',
    });
}

/** The look at exactly so many seeds. */
export function lookAt({ looks }: Registered, seeds: number): Look | undefined {
  return looks.find((look) => look.seeds === seeds);
}
