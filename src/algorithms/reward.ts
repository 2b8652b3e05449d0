/**
 * What a rollout is worth to a GRPO round: the sum of parts, each a pure function of the finished rollout and of its own numbers.
 * Right and wrong are `Trajectory.correct` alone, whatever the reward.
 *
 *   r = Σ_parts worth(part, rollout)
 */
import { f1 } from '../benchmarks/exact-match.ts';
import type { FinishedRollout, Reward } from '../rollout/reward.ts';

/**
 * answer: the score s in [0, 1] of the answer, best over the gold ones: `right` · s, and `wrong` where s = 0 or there is no answer.
 */
export type RewardPart = {
  readonly part: 'answer';
  readonly by: 'exact-match' | 'f1';
  readonly right: number;
  readonly wrong: number;
};

/** The reward that these parts make; 0 for none. */
export function rewardOf(parts: readonly RewardPart[]): Reward {
  return (rollout) => parts.reduce((sum, part) => sum + worth(part, rollout), 0);
}

function worth(part: RewardPart, rollout: FinishedRollout): number {
  switch (part.part) {
    case 'answer': {
      const score = answerScore(part.by, rollout);
      return score > 0 ? part.right * score : part.wrong;
    }
  }
}

function answerScore(by: 'exact-match' | 'f1', { question, trajectory }: FinishedRollout): number {
  if (by === 'exact-match') return trajectory.correct;
  return trajectory.answer === null ? 0 : f1(trajectory.answer, question.answers);
}
