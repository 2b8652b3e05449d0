/** What a measurement of a new policy says, and that a broken-off one says nothing. */
import { expect, it } from 'vitest';
import { tokenizerFromJson } from '../checkpoint/tokenizer.ts';
import { fakePolicy } from '../rollout/testing/fake-policy.ts';
import { worldTokenizerJson } from '../world/vocabulary.ts';
import { measureInWorld } from './measure.ts';

const tokenizer = tokenizerFromJson(worldTokenizerJson());

it('counts what a policy does that always says the same', async () => {
  const { mean, suites, training } = await measureInWorld(
    fakePolicy(tokenizer, () => '<think> done </think> <answer> yes </answer>'),
    tokenizer,
  );
  expect(mean).toMatchObject({ searches: 0, greedySearches: 0, wellFormed: 1, mixedGroups: 0 });
  // Yes and no are never looked for in passages: nothing can be said of any answer.
  expect(mean.grounded).toBeNull();
  expect(Object.keys(suites)).toHaveLength(7);
  for (const suite of [...Object.values(suites), training]) {
    expect(suite.failures).toBe(0);
    expect(suite.sampledExactMatch).toBe(suite.greedyExactMatch);
    expect(suite.policyTokens).toBe(6);
  }
  // Some questions of a world are answered by yes.
  expect(mean.sampledExactMatch).toBeGreaterThan(0);
  expect(mean.sampledExactMatch).toBeLessThan(0.5);
});

it('is no measurement when it is called off in the middle', async () => {
  const controller = new AbortController();
  let asked = 0;
  const policy = fakePolicy(tokenizer, () => {
    asked += 1;
    if (asked === 100) controller.abort(new Error('stopped by SIGINT'));
    return '<answer> yes </answer>';
  });
  await expect(measureInWorld(policy, tokenizer, { signal: controller.signal })).rejects.toThrow('stopped by SIGINT');
});

it('is no measurement when the engine fails', async () => {
  let asked = 0;
  const policy = fakePolicy(tokenizer, () => {
    asked += 1;
    if (asked === 50) throw new Error('EMFILE: too many open files');
    return '<answer> yes </answer>';
  });
  await expect(measureInWorld(policy, tokenizer)).rejects.toThrow(/measuring: the engine failed .*EMFILE/);
});
