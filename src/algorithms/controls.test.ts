import { describe, expect, it } from 'vitest';
import { streamKey } from '../base/random.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { type GroupedPair, shownToTeacher, type TeacherSees } from './controls.ts';
import { makeTrajectory } from './trajectory.testing.ts';

/** A group of five: the expert, the student (wrong), a second right one, a second wrong one, a failure. */
function groupedPair(questionId: string): GroupedPair {
  const make = (rollout: number, correct: 0 | 1, stop: 'answered' | 'search-failed' = 'answered') =>
    makeTrajectory({ questionId, rollout, correct, stop });
  const group = [make(0, 1), make(1, 0), make(2, 1), make(3, 0), make(4, 1, 'search-failed')];
  return { expert: group[0]!, student: group[1]!, group };
}

const pairs = Array.from({ length: 40 }, (_, i) => groupedPair(`q${i}`));
const shown = (sees: Exclude<TeacherSees, 'demonstration'>, seed = 1) =>
  shownToTeacher(pairs, sees, (id) => streamKey(seed, 'controls', id)) as (Trajectory | null | undefined)[];

describe('the teacher is shown', () => {
  it('the expert of the pair, or nothing', () => {
    expect(shown('expert')).toEqual(pairs.map(({ expert }) => expert));
    expect(shown('nothing')).toEqual(pairs.map(() => null));
  });

  it('the expert of another question, each once', () => {
    const others = shown('other-question');
    expect(others.every((other, i) => other!.questionId !== pairs[i]!.student.questionId)).toBe(true);
    expect(new Set(others.map((other) => other!.questionId)).size).toBe(pairs.length);
    expect(shownToTeacher(pairs.slice(0, 1), 'other-question', () => streamKey(1))).toEqual([undefined]);
  });

  it('any correct sibling, the expert among them', () => {
    const rollouts = shown('random-correct').map((t) => t!.rollout);
    expect(new Set(rollouts)).toEqual(new Set([0, 2]));
    expect(shown('random-correct')).toEqual(shown('random-correct'));
    expect(shown('random-correct', 2)).not.toEqual(shown('random-correct'));
  });

  it('any sibling but the student, right or wrong, never a failure', () => {
    expect(new Set(shown('any-sibling').map((t) => t!.rollout))).toEqual(new Set([0, 2, 3]));
  });

  it('the most efficient wrong sibling but the student', () => {
    expect(shown('wrong-sibling').map((t) => t!.rollout)).toEqual(pairs.map(() => 3));
  });

  it('a demonstration, which is made elsewhere', () => {
    const demonstrated = shownToTeacher(pairs, 'demonstration', () => streamKey(1));
    expect(new Set(demonstrated)).toEqual(new Set(['demonstration']));
  });

  it('nothing when there is no such sibling: the pair is left out', () => {
    const { expert, student } = pairs[0]!;
    const alone = [{ expert, student: expert, group: [expert, student] }];
    expect(shownToTeacher(alone, 'random-correct', () => streamKey(1))).toEqual([undefined]);
  });
});
