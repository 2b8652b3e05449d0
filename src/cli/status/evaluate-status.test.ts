import { expect, it } from 'vitest';
import { evaluationTasks } from '../../evaluation/evaluate.ts';
import { answersOf, makeAnswer, makeSuites } from '../../evaluation/testing/fixtures.ts';
import { keptOutput } from '../testing/output.ts';
import { LiveArea } from '../widgets/live-area.ts';
import { EvaluateStatus } from './evaluate-status.ts';

function setUp(inPlace: boolean, done: Parameters<typeof answersOf>[0] = []) {
  const { clock, now, output, take } = keptOutput(inPlace);
  const suites = makeSuites({ a: 10, b: 10 });
  const tasks = evaluationTasks(['rag', 'agent'], suites);
  const status = new EvaluateStatus(new LiveArea(output, inPlace, now), tasks, answersOf(done), now);
  return { clock, status, suites, take };
}

it('tells how far, time left, running scores and failures', () => {
  const { clock, status, suites, take } = setUp(false);
  status.draw();
  expect(take()).toBe('[0:00] 0 of 40, RAG\n');
  const [a, b] = suites;
  for (const [i, question] of a!.questions.entries())
    status.see(makeAnswer(question, { answer: i < 4 ? 'gold' : 'tin' }, 'rag'));
  take();
  clock.seconds = 20;
  status.see(makeAnswer(b!.questions[0]!, { stop: 'deadline', answer: null, failure: 'late' }, 'rag'));
  expect(take()).toBe('[0:20] 11 of 40, 0:53 left, 1 failed, RAG: a 0.400\n');
});

it('counts what is on record but not what will be asked again, and does not go back to an earlier baseline', () => {
  const [a] = makeSuites({ a: 10 });
  const failed = makeAnswer(a!.questions[1]!, { stop: 'deadline', answer: null, failure: 'late' }, 'rag');
  const { clock, status, suites, take } = setUp(true, [makeAnswer(a!.questions[0]!, {}, 'rag'), failed]);
  status.draw();
  expect(take()).toContain('1 of 40');
  clock.seconds = 1;
  status.see(makeAnswer(suites[0]!.questions[0]!));
  clock.seconds = 2;
  status.see(makeAnswer(suites[1]!.questions[9]!, {}, 'rag'));
  expect(take().split('\n').at(-2)).toContain('Agent  a 1.000 (1 of 10)');
});
