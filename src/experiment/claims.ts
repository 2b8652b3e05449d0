/** What the experiment puts to the test. The rule that decides is in verdicts.ts. */
import type { EvaluationMode } from '../evolve/results.ts';
import { PLAIN_SYSTEM, systemArmNames } from './arms.ts';
import type { Measure } from './schema.ts';

export type Claim =
  | {
      /** higher, lower: `arm` against `reference`. not-lower: by no more than the margin. */
      readonly kind: 'higher' | 'lower' | 'not-lower';
      readonly says: string;
      readonly arm: string;
      readonly reference: string;
      readonly measure: Measure;
      readonly mode: EvaluationMode;
      /** Differences within ± margin count as none. */
      readonly margin: number;
      /** Decided without a correction for the number of claims: the one that the experiment is for. */
      readonly isPrimary?: true;
    }
  | { readonly kind: 'teaches-nothing'; readonly says: string; readonly arm: string };

/** The smallest effect of interest: published leads are .012 and .019 (arXiv 2605.22511 over SD-Search and GiGPO). */
const EXACT_MATCH_MARGIN = 0.01;
/** A tenth of a search. */
const SEARCHES_MARGIN = 0.1;

/** Greedily at the full budget, as Search-R1 evaluates; sampled, as the policy is trained; and sampled at a budget that binds. */
const GREEDY: EvaluationMode = { decoding: 'greedy', searches: 4 };
const SAMPLED: EvaluationMode = { decoding: 'sampled', searches: 4 };
const SHORT: EvaluationMode = { decoding: 'sampled', searches: 2 };

function exactMatch(kind: 'higher' | 'not-lower', says: string, arm: string, reference: string): Claim[] {
  return [GREEDY, SAMPLED, SHORT].map((mode) => ({
    ...{ kind, arm, reference, mode, measure: 'exactMatch', margin: EXACT_MATCH_MARGIN },
    says: `${says} (exact match, ${mode.decoding}, at most ${mode.searches} searches)`,
  }));
}

function fewerSearches(says: string, arm: string, reference: string): Claim {
  return {
    ...{ kind: 'lower', arm, reference, mode: SAMPLED, measure: 'searches', margin: SEARCHES_MARGIN },
    says: `${says} (fewer searches, sampled, of at most 4)`,
  };
}

/** One question a system, as the policy is trained: many are asked at once, and each takes from the others' power. */
const onePerSystem = (says: string, arm: string): Claim => ({
  ...{ kind: 'higher', arm, reference: PLAIN_SYSTEM, mode: SAMPLED, measure: 'exactMatch', margin: EXACT_MATCH_MARGIN },
  says: `${says} (exact match, sampled, at most 4 searches)`,
});

const better = (says: string, arm: string, reference: string): Claim[] => [
  ...exactMatch('higher', says, arm, reference),
  fewerSearches(says, arm, reference),
];

/** The first of these is what the experiment is for. */
const primary = ([first, ...rest]: readonly Claim[]): Claim[] => [
  { ...(first as Claim & { kind: 'higher' }), isPrimary: true },
  ...rest,
];

export const claims: readonly Claim[] = [
  ...primary(better('Self-distillation beats GRPO of equal tokens', 'e1', 'grpo-tokens')),
  ...better('Self-distillation beats GRPO of equal seconds', 'e1', 'grpo-seconds'),
  ...exactMatch('higher', 'It needs the expert of the same question', 'e1', 'other-question'),
  ...better('It needs an efficient expert, not any correct one', 'e1', 'random-correct'),
  ...exactMatch('higher', 'It needs a privileged context, not any rollout', 'e1', 'unprivileged'),
  ...better("It needs the teacher's distribution, not only the expert's words", 'e1', 'sft-expert'),
  ...better('It is more than sharpening', 'e1', 'sharpen'),
  ...exactMatch('not-lower', "The expert's searches and answer are enough, without its thoughts", 'skeleton', 'e1'),
  ...exactMatch('not-lower', 'The tokens of queries are enough, without those of answers', 'queries-only', 'e1'),
  ...exactMatch('higher', 'Forward KL beats reverse KL', 'e1', 'reverse-kl'),
  ...exactMatch('higher', 'Forward KL beats the Jensen-Shannon divergence', 'e1', 'jsd'),
  ...exactMatch('higher', 'The clip matters', 'e1', 'no-clip'),
  ...exactMatch('higher', "A low clip and a sharp teacher beat the paper's clip and temperature", 'e1', 'paper-loss'),
  ...exactMatch('not-lower', 'An adapter does as well as all weights', 'e1', 'full-weights'),
  ...exactMatch('higher', 'A second cycle adds to the first', 'e1', 'one-cycle'),
  ...exactMatch('higher', 'A third cycle adds to the second', 'three-cycles', 'e1'),
  ...systemArmNames
    .filter((arm) => arm !== PLAIN_SYSTEM)
    .map((arm) => onePerSystem(`${arm.replace('system-', '')} beats GRPO of equal tokens`, arm)),
  onePerSystem('Search-E1 beats GRPO of equal tokens from the base on', 'e1'),
  { kind: 'teaches-nothing', says: 'The same prompt on both sides teaches nothing', arm: 'same-prompt' },
];
