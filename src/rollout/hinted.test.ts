/** Hints where a question failed: who gets one, what is kept, and what all others are. */
import { describe, expect, it } from 'vitest';
import { streamKey } from '../base/random.ts';
import { hintedGroups } from './hinted.ts';
import type { RolloutTask } from './rollout.ts';
import { groupTasks, rollOut } from './rollouts.ts';
import { around, limits, question, tokenizer } from './testing/environment.ts';
import type { Script } from './testing/fake-policy.ts';

const stream = { seed: 3, stage: 'grpo-1', step: 2 };
const MARK = 'egg lamp';
const promptsOf = ({ id }: { id: string }) => ({
  plain: tokenizer.encode(`what is ${id} ?`),
  hint: tokenizer.encode(`what is ${id} ? ${MARK}`),
});
const questions = ['easy', 'hard'].map((id) => question(id));
const search = '<search> x </search>';
const right = '<answer> gold </answer>';
const wrong = '<answer> tin </answer>';

/** easy: right; hard: wrong, but under a hint it searches and answers, answers at once, or goes on wrongly, in turns. */
function world(...hinted: readonly (readonly string[])[]) {
  const sessions = new Map<string, readonly string[]>();
  const script: Script = (context, { session }) => {
    if (!context.includes('hard')) return right;
    if (!context.includes(MARK)) return wrong;
    if (!sessions.has(session!)) sessions.set(session!, [...hinted[sessions.size]!]);
    const [turn, ...rest] = sessions.get(session!)!;
    sessions.set(session!, rest);
    return turn!;
  };
  return around(script, { limits: limits({ searches: 2 }) });
}

async function grouped(environment: ReturnType<typeof world>, hinted = 3) {
  const sets: RolloutTask[][] = [];
  const shape = { groupSize: 5, hinted, limits: environment.limits, stream };
  const found = await hintedGroups(questions, shape, promptsOf, (tasks) => {
    sets.push([...tasks]);
    return rollOut(tasks, environment, { concurrency: 1 });
  });
  return { ...found, sets };
}

describe('hints', () => {
  it('are for questions without a right rollout; right and grounded ones are kept, with the prompt to train under', async () => {
    const { groups, hinted, kept } = await grouped(world([search, right], [right], [search, wrong]));
    expect([hinted, kept]).toEqual([3, 1]);
    const [easy, hard] = groups as [(typeof groups)[0], (typeof groups)[0]];
    expect(easy).toHaveLength(5);
    expect(easy.every(({ plainPrompt }) => plainPrompt === undefined)).toBe(true);
    // Copied and wrong ones are gone.
    expect(hard.map(({ correct, rollout }) => [correct, rollout])).toEqual([
      [0, 0],
      [0, 1],
      [1, 2],
    ]);
    const { plain, hint } = promptsOf(questions[1]!);
    expect(hard[2]).toMatchObject({ prompt: hint, plainPrompt: plain, grounded: true });
  });

  it('leave all other rollouts what they are without hints: same prompts, same streams', async () => {
    const environment = world([right], [right], [right]);
    const { groups, sets } = await grouped(environment);
    const plain = await rollOut(groupTasks(questions, 5, stream), environment);
    expect(groups[0]).toEqual(plain.slice(0, 5));
    expect(groups[1]).toEqual(plain.slice(5, 7));
    expect(sets.map((tasks) => tasks.length)).toEqual([4, 6]);
    for (const { question: of, rollout, key, prompt } of sets.flat()) {
      expect(key).toEqual(streamKey(stream.seed, stream.stage, stream.step, of.id, rollout));
      expect(prompt !== undefined).toBe(of.id === 'hard' && rollout >= 2);
    }
  });

  it('take no room from what may be said', async () => {
    const { sets } = await grouped(world([right], [right], [right]));
    const { plain, hint } = promptsOf(questions[1]!);
    const [task] = sets[1]!.filter(({ prompt }) => prompt !== undefined);
    expect(task!.limits!.contextTokens - hint.length).toBe(limits({}).contextTokens - plain.length);
  });
});
