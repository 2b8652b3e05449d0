/** Lines of pairs shards: as they are written now, and as earlier versions wrote them. */
import { expect, it } from 'vitest';
import { pairFromLine, pairToLine } from './schemas.ts';
import { fixturePair } from './testing/run-fixture.ts';

it('bring back exactly what was written, what a person reads first', () => {
  const pair = {
    ...fixturePair('q'),
    question: 'where is it ?',
    gold: ['a place'],
    expert: { questionId: 'q', rollout: 1, searches: 1, policyTokens: 20 },
    student: { rollout: 3, correct: false, searches: 3, policyTokens: 41 },
    text: { teacherPrompt: 'read this, then: where ?', studentPrompt: 'where ?', response: ['a', 'b', 'c'] },
  };
  const line = pairToLine(pair);
  expect(pairFromLine(JSON.parse(line), 'here')).toEqual(pair);
  const fields = Object.keys(JSON.parse(line));
  expect(fields.slice(0, 7)).toEqual(['schema', 'questionId', 'question', 'gold', 'expert', 'student', 'text']);
  expect(fields.at(-1)).toBe('kl');
  expect(pairFromLine(JSON.parse(pairToLine({ ...pair, kl: null })), 'here').kl).toBeNull();
});

it('of schema 1 are read as 0.4.0 wrote them', () => {
  const old = JSON.parse(
    `{"schema":1,"questionId":"q","expert":{"questionId":"q","rollout":3},"student":{"rollout":1,"correct":true},"teacherPrompt":[2,18],"studentPrompt":[2],"ids":[6,7],"mask":[1,0],"kl":[0.000123456789,0]}`,
  );
  expect(pairFromLine(old, 'here')).toEqual({
    questionId: 'q',
    expert: { questionId: 'q', rollout: 3 },
    student: { rollout: 1, correct: true },
    teacherPrompt: [2, 18],
    studentPrompt: [2],
    ids: [6, 7],
    mask: [1, 0],
    kl: [0.000123456789, 0],
  });
});
