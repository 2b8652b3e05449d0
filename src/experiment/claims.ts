/** What the experiment puts to the test. The rule that decides is in verdicts.ts; margins were set before any run. */
import type { EvaluationMode } from '../evolve/results.ts';
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
    }
  | { readonly kind: 'teaches-nothing'; readonly says: string; readonly arm: string };

/** A fiftieth of exact match: about the spread of repeated small runs (docs/evidence.md). */
const EXACT_MATCH_MARGIN = 0.02;
/** A tenth of a search. */
const SEARCHES_MARGIN = 0.1;

const sampled = (searches: number): EvaluationMode => ({ decoding: 'sampled', searches });

function exactMatch(
  kind: 'higher' | 'not-lower',
  says: string,
  arm: string,
  reference: string,
  searches: number,
): Claim {
  const full = `${says} (exact match, at most ${searches} searches)`;
  const mode = sampled(searches);
  return { kind, says: full, arm, reference, measure: 'exactMatch', mode, margin: EXACT_MATCH_MARGIN };
}

function fewerSearches(says: string, arm: string, reference: string): Claim {
  const mode = sampled(4);
  return {
    kind: 'lower',
    says: `${says} (fewer searches, of at most 4)`,
    arm,
    reference,
    measure: 'searches',
    mode,
    margin: SEARCHES_MARGIN,
  };
}

/** At the full budget, and at one that binds. */
const atBothBudgets = (kind: 'higher' | 'not-lower', says: string, arm: string, reference: string): Claim[] =>
  [4, 2].map((searches) => exactMatch(kind, says, arm, reference, searches));

const better = (says: string, arm: string, reference: string): Claim[] => [
  ...atBothBudgets('higher', says, arm, reference),
  fewerSearches(says, arm, reference),
];

export const claims: readonly Claim[] = [
  ...better('Self-distillation beats GRPO of equal tokens', 'e1', 'grpo-tokens'),
  ...better('Self-distillation beats GRPO of equal seconds', 'e1', 'grpo-seconds'),
  ...atBothBudgets('higher', 'It needs the expert of the same question', 'e1', 'other-question'),
  ...better('It needs an efficient expert, not any correct one', 'e1', 'random-correct'),
  ...atBothBudgets('higher', 'It needs a privileged context, not any rollout', 'e1', 'unprivileged'),
  ...better("It needs the teacher's distribution, not only the expert's words", 'e1', 'sft-expert'),
  ...better('It is more than sharpening', 'e1', 'sharpen'),
  ...atBothBudgets('not-lower', "The expert's searches and answer are enough, without its thoughts", 'skeleton', 'e1'),
  ...atBothBudgets('not-lower', 'The tokens of queries are enough, without those of answers', 'queries-only', 'e1'),
  ...atBothBudgets('higher', 'Forward KL beats reverse KL', 'e1', 'reverse-kl'),
  ...atBothBudgets('higher', 'Forward KL beats the Jensen-Shannon divergence', 'e1', 'jsd'),
  ...atBothBudgets('higher', 'The clip matters', 'e1', 'no-clip'),
  ...atBothBudgets(
    'higher',
    "A low clip and a sharp teacher beat the paper's clip and temperature",
    'e1',
    'paper-loss',
  ),
  ...atBothBudgets('not-lower', 'An adapter does as well as all weights', 'e1', 'full-weights'),
  ...atBothBudgets('higher', 'A second cycle adds to the first', 'e1', 'one-cycle'),
  ...atBothBudgets('higher', 'A third cycle adds to the second', 'three-cycles', 'e1'),
  { kind: 'teaches-nothing', says: 'The same prompt on both sides teaches nothing', arm: 'same-prompt' },
];
