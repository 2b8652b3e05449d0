/**
 * Controls: what else than the expert trajectory the teacher may be shown. Each can prove a part of the method's
 * explanation wrong (docs/method.md): if another question's expert helps as much, what is transferred is style; if any
 * correct sibling does, efficiency is not the point; if an ordinary rollout does, privilege is not.
 */
import { Random, type StreamKey } from '../base/random.ts';
import { type Trajectory, valid } from '../rollout/trajectory.ts';
import { byEfficiency, type Pair } from './pairs.ts';

/**
 * expert: the method · nothing: the student's own prompt, so that the loss must be 0 · other-question: the expert of the next pair
 * · random-correct: any correct sibling of the student · any-sibling: any sibling, right or wrong · wrong-sibling: the most efficient
 * wrong one · demonstration: a perfect agent's work on the question (SDFT, arXiv 2601.19897), which is supervision from outside and
 * the upper bound of what may be shown.
 */
export type TeacherSees =
  | 'expert'
  | 'nothing'
  | 'other-question'
  | 'random-correct'
  | 'any-sibling'
  | 'wrong-sibling'
  | 'demonstration';

/** A pair with the group that it was mined from. */
export interface GroupedPair extends Pair {
  readonly group: readonly Trajectory[];
}

/** What a teacher is shown: a trajectory, a demonstration, which is made elsewhere, or nothing. */
export type Shown = Trajectory | 'demonstration' | null;

/**
 * For each pair what its teacher is shown; null shows nothing. Undefined when there is no such trajectory (a single pair has
 * no other question): then the pair is left out.
 * @param key - stream of the random choices, one draw a pair, by its question
 */
export function shownToTeacher(
  pairs: readonly GroupedPair[],
  sees: TeacherSees,
  key: (questionId: string) => StreamKey,
): (Shown | undefined)[] {
  return pairs.map((pair, i) => shownFor(pair, pairs[(i + 1) % pairs.length]!, sees, key));
}

function shownFor(
  pair: GroupedPair,
  next: GroupedPair,
  sees: TeacherSees,
  key: (questionId: string) => StreamKey,
): Shown | undefined {
  const { expert, student, group } = pair;
  const siblings = valid(group).filter((t) => t !== student);
  const anyOf = (choices: readonly Trajectory[]) =>
    choices.length === 0 ? undefined : choices[new Random(key(student.questionId)).below(choices.length)];
  switch (sees) {
    case 'expert':
      return expert;
    case 'nothing':
      return null;
    case 'other-question':
      return next === pair ? undefined : next.expert;
    case 'random-correct':
      return anyOf(siblings.filter((t) => t.correct === 1));
    case 'any-sibling':
      return anyOf(siblings);
    case 'wrong-sibling':
      return siblings.filter((t) => t.correct === 0).sort(byEfficiency)[0];
    case 'demonstration':
      return 'demonstration';
  }
}
