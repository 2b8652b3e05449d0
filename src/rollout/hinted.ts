/**
 * Hints where a question failed: successes that the policy does not come to by itself, after STaR (rationalisation).
 *
 *   1  G − n rollouts of each question under the ordinary prompt
 *   2  n more: under the ordinary prompt where one of them was right, else under one that shows the gold answer
 *   3  of those under a hint the right and grounded ones are kept. Any other has learned nothing new, or copied what it was shown:
 *      grounded, the answer stands in a passage that was read
 *
 * What is kept is trained under the ordinary prompt: `Trajectory.plainPrompt`.
 */
import type { Question } from '../base/question.ts';
import { streamKey } from '../base/random.ts';
import type { TokenIds } from '../policy/policy.ts';
import type { RolloutTask } from './rollout.ts';
import type { Trajectory } from './trajectory.ts';
import type { RolloutLimits } from './turns.ts';

export interface HintedShape {
  /** G. */
  readonly groupSize: number;
  /** n, of G; less than G. */
  readonly hinted: number;
  readonly limits: RolloutLimits;
  /** Draws are those of rollouts without hints. */
  readonly stream: { readonly seed: number; readonly stage: string; readonly step: number };
}

export interface HintedGroups {
  readonly groups: Trajectory[][];
  /** Rollouts under a hint, and how many of them are in the groups. */
  readonly hinted: number;
  readonly kept: number;
}

/** @param rollOut rolls out tasks to their ends, in their order */
export async function hintedGroups(
  questions: readonly Question[],
  { groupSize, hinted, limits, stream }: HintedShape,
  promptsOf: (question: Question) => { readonly plain: TokenIds; readonly hint: TokenIds },
  rollOut: (tasks: readonly RolloutTask[]) => Promise<readonly Trajectory[]>,
): Promise<HintedGroups> {
  const taskOf = (question: Question, rollout: number): RolloutTask => ({
    question,
    rollout,
    key: streamKey(stream.seed, stream.stage, stream.step, question.id, rollout),
  });
  const rolled = async (each: (question: Question, q: number) => RolloutTask[]): Promise<Trajectory[][]> => {
    const tasks = questions.map(each);
    const all = [...(await rollOut(tasks.flat()))];
    return tasks.map(({ length }) => all.splice(0, length));
  };
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  const first = await rolled((question) => range(0, groupSize - hinted).map((i) => taskOf(question, i)));
  const failed = first.map((group) => group.every(({ correct }) => correct === 0));
  const second = await rolled((question, q) => {
    const tasks = range(groupSize - hinted, groupSize).map((i) => taskOf(question, i));
    if (!failed[q]) return tasks;
    const { plain, hint } = promptsOf(question);
    // As much may be said as without a hint.
    const room = { ...limits, contextTokens: limits.contextTokens + hint.length - plain.length };
    return tasks.map((task) => ({ ...task, prompt: hint, limits: room }));
  });
  let kept = 0;
  const groups = questions.map((question, q) => {
    if (!failed[q]) return [...first[q]!, ...second[q]!];
    const { plain } = promptsOf(question);
    const good = second[q]!.filter(({ correct, grounded }) => correct === 1 && grounded === true);
    kept += good.length;
    return [...first[q]!, ...good.map((trajectory) => ({ ...trajectory, plainPrompt: plain }))];
  });
  return { groups, hinted: hinted * failed.filter(Boolean).length, kept };
}
