/**
 * Where a rollout went wrong, by what is known from outside (rollout/gold.ts): the first turn that searches badly (turn-values.ts,
 * critic), that states something false about the question's steps, or that answers wrongly.
 */
import type { Gold } from '../rollout/gold.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { searchValues } from './turn-values.ts';

/** Index of the turn, from 0; undefined where none is wrong. @param words of each turn, as text */
export function firstWrongTurn(trajectory: Trajectory, words: readonly string[], gold: Gold): number | undefined {
  const judged = searchValues('critic', trajectory.searches, gold);
  const bad = new Set(trajectory.searches.flatMap(({ turn }, i) => (judged[i] === -1 ? [turn!] : [])));
  const wrong = words.findIndex(
    (said, t) =>
      bad.has(t) ||
      gold.misstates?.(said) === true ||
      (t === words.length - 1 && trajectory.answer !== null && trajectory.correct === 0),
  );
  return wrong < 0 ? undefined : wrong;
}
