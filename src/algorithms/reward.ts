/**
 * What a rollout is worth to a GRPO round: the sum of parts, each a pure function of the finished rollout and of its own numbers.
 *
 *   r = Σ_parts worth(part, rollout),  or the `invalid` of a form part that decides, where the form is invalid
 *
 * Within a reward a rollout is wrong when its answer scores 0 in every answer part (by exact match where there is none).
 * Everywhere else right and wrong are `Trajectory.correct` alone, whatever the reward.
 */
import { f1, normalizeAnswer } from '../benchmarks/exact-match.ts';
import type { GoldOf } from '../rollout/gold.ts';
import { type FinishedRollout, grounded, type Reward } from '../rollout/reward.ts';
import { keysFound, pathCovered } from './reward-gold.ts';

/** Where a part counts: on every rollout, on right ones, on wrong ones. */
type When = 'always' | 'right' | 'wrong';

/**
 * answer: the score s in [0, 1] of the answer, best over the gold ones: `right` · s, and `wrong` where s = 0 or there is no answer.
 * contains: 1 when every word of a gold answer is among those of the answer (R1-Searcher).
 * form: `valid` or `invalid` by `Trajectory.wellFormed`; `decides`: an invalid form is the whole reward (ReSearch).
 * answered: there is an answer, right or wrong.
 * searched: at least one search was executed (R1-Searcher).
 * evidence: a gold answer stands in the passages that were shown, or in what was thought behind the first of them (AutoRefine's
 * refinement, without a tag of its own).
 * keys, path: what is known from outside (reward-gold.ts).
 * price: −perSearch for each search.
 */
export type RewardPart =
  | {
      readonly part: 'answer';
      readonly by: 'exact-match' | 'f1' | 'contains';
      readonly right: number;
      readonly wrong: number;
    }
  | {
      readonly part: 'form';
      readonly valid: number;
      readonly invalid: number;
      readonly when: 'always' | 'wrong';
      readonly decides: boolean;
    }
  | { readonly part: 'answered'; readonly worth: number }
  | { readonly part: 'searched'; readonly worth: number }
  | {
      readonly part: 'evidence';
      readonly worth: number;
      readonly in: 'passages' | 'thoughts';
      readonly when: 'always' | 'wrong';
    }
  | { readonly part: 'keys'; readonly worth: number }
  | { readonly part: 'path'; readonly worth: number }
  | { readonly part: 'price'; readonly perSearch: number; readonly when: 'always' | 'right' };

/** The reward that these parts make; 0 for none. @param gold what is known of questions, for the parts that ask for it */
export function rewardOf(parts: readonly RewardPart[], gold: GoldOf = () => undefined): Reward {
  const answers = parts.filter((part) => part.part === 'answer');
  return (rollout) => {
    const isWrong =
      answers.length === 0
        ? rollout.trajectory.correct === 0
        : answers.every(({ by }) => answerScore(by, rollout) === 0);
    const deciding = parts.find((part) => part.part === 'form' && part.decides);
    if (deciding?.part === 'form' && !rollout.trajectory.wellFormed) return deciding.invalid;
    return parts.reduce((sum, part) => sum + worth(part, rollout, isWrong, gold), 0);
  };
}

function worth(part: RewardPart, rollout: FinishedRollout, isWrong: boolean, gold: GoldOf): number {
  const { question, trajectory } = rollout;
  const counts = (when: When) => when === 'always' || (when === 'wrong') === isWrong;
  switch (part.part) {
    case 'answer': {
      const score = answerScore(part.by, rollout);
      return score > 0 ? part.right * score : part.wrong;
    }
    case 'form':
      if (!counts(part.when)) return 0;
      return trajectory.wellFormed ? part.valid : part.invalid;
    case 'answered':
      return trajectory.answer === null ? 0 : part.worth;
    case 'searched':
      return trajectory.searches.length > 0 ? part.worth : 0;
    case 'evidence':
      return counts(part.when) && isShown(part.in, rollout) ? part.worth : 0;
    case 'keys':
      return part.worth * keysFound(trajectory.searches, known(gold(question), question.id));
    case 'path':
      return part.worth * pathCovered(trajectory.searches, known(gold(question), question.id));
    case 'price':
      return counts(part.when) ? -part.perSearch * trajectory.searches.length : 0;
  }
}

function answerScore(by: 'exact-match' | 'f1' | 'contains', { question, trajectory }: FinishedRollout): number {
  if (by === 'exact-match') return trajectory.correct;
  if (trajectory.answer === null) return 0;
  if (by === 'f1') return f1(trajectory.answer, question.answers);
  const said = new Set(words(trajectory.answer));
  return question.answers.some((answer) => words(answer).length > 0 && words(answer).every((word) => said.has(word)))
    ? 1
    : 0;
}

function words(text: string): string[] {
  return normalizeAnswer(text)
    .split(' ')
    .filter((word) => word !== '');
}

const THOUGHT = /<think>([\s\S]*?)<\/think>/g;

/** Whether a gold answer occurs, as whole words after normalisation. Yes and no are evidence nowhere. */
function isShown(place: 'passages' | 'thoughts', { question, text }: FinishedRollout): boolean {
  const first = text.findIndex(({ author }) => author === 'environment');
  const shown = text.flatMap(({ author, text: said }, i) => {
    if (place === 'passages') return author === 'environment' ? [said] : [];
    return author === 'policy' && first >= 0 && i > first
      ? [...said.matchAll(THOUGHT)].map(([, inside]) => inside!)
      : [];
  });
  return question.answers.some((answer) => grounded(answer, shown) === true);
}

function known<T>(gold: T | undefined, id: string): T {
  if (gold === undefined) throw new RangeError(`nothing is known of question ${id} but its answers`);
  return gold;
}

/** Whether a part asks for more of a question than its answers: keys, or gold passages. */
export function asksFor({ part }: RewardPart): 'keys' | 'gold passages' | undefined {
  return part === 'keys' ? 'keys' : part === 'path' ? 'gold passages' : undefined;
}
