/** Rolled-out steps for tests: groups of made-up trajectories, prompts that say in their ids what they show, scores by a rule. */
import type { Gold } from '../rollout/gold.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import type { RolledOutStep } from './grpo.ts';
import { makeTrajectory } from './trajectory.testing.ts';

/** Ids of a prompt that shows something: a mark, the question's place (0: none), what is shown. */
export const SHOWS = 900;

export interface StepOptions {
  readonly groups: readonly (readonly Trajectory[])[];
  /** log π of token `n` of a sequence. Default: nobody may ask. */
  readonly logprob?: (sequence: readonly number[], n: number) => number;
  readonly gold?: Gold;
  readonly contextLength?: number;
}

/** Questions are named by their groups: q1, q2, … Their gold answers' words are 700 and on. */
export function makeStep({ groups, logprob, gold, contextLength = 1000 }: StepOptions) {
  const asked: (readonly number[])[] = [];
  const questions = groups.map((group, i) => ({
    id: group[0]?.questionId ?? `q${i + 1}`,
    dataset: 'test',
    question: 'who ?',
    answers: ['x'],
  }));
  const step: RolledOutStep = {
    questions,
    groups,
    score: async (sequences) => {
      if (logprob === undefined) throw new Error('was asked');
      asked.push(...sequences);
      return sequences.map((sequence) => Float32Array.from(sequence, (_, n) => logprob(sequence, n)));
    },
    own: async (trajectories) => trajectories.map(({ logprobs }) => logprobs),
    prompts: {
      showing: (question, shown) => [
        SHOWS,
        question === null ? 0 : questions.findIndex(({ id }) => id === question.id) + 1,
        ...shown,
      ],
      // The first token tells trajectories apart.
      viewOf: ({ ids }) => ids.slice(0, 1),
      answerTurn: () => ({ opening: [700], words: [701, 702], closing: [703] }),
    },
    contextLength,
    gold: () => gold,
  };
  return { step, asked };
}

/** A rollout of turns, each a stretch of policy tokens, with an observation between two. */
export function turnsTrajectory(
  turns: readonly (readonly number[])[],
  observations: readonly (readonly number[])[],
  part: Parameters<typeof makeTrajectory>[0] = {},
): Trajectory {
  const ids: number[] = [];
  const mask: (0 | 1)[] = [];
  for (const [i, turn] of turns.entries()) {
    for (const [author, tokens] of [
      [1, turn],
      [0, observations[i] ?? []],
    ] as const)
      for (const id of tokens) {
        ids.push(id);
        mask.push(author);
      }
  }
  return makeTrajectory({ ids, mask, ...part });
}
