/** The statistics of an evaluation against those of a run, and both against a plain computation. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeTrajectory } from '../algorithms/trajectory.testing.ts';
import { meanOfSuites as runMeanOfSuites, measureSuite as runMeasureSuite } from '../evolve/measure.ts';
import { isFailure, policyTokenCount, type StopReason, type Trajectory } from '../rollout/trajectory.ts';
import { stopReasons } from '../rollout/trajectory-file.ts';
import { meanOfQuestions, meanOfSuites, measureSuite, secondsOf } from './measure.ts';
import type { ResultRow } from './results.ts';
import { answersOf, makeAnswer, makeQuestions } from './testing/fixtures.ts';

interface Case {
  readonly answer: string | null;
  readonly stop: StopReason;
  readonly searches: number;
  readonly tokens: number;
  readonly wellFormed: boolean;
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  answer: fc.constantFrom('gold', 'The Gold.', 'gold coin', 'tin', null),
  stop: fc.constantFrom(...stopReasons),
  searches: fc.nat(4),
  tokens: fc.integer({ min: 1, max: 20 }),
  wellFormed: fc.boolean(),
});
const anySuite = fc.array(anyCase, { minLength: 1, maxLength: 12 });

/** The same answers as a run records them and as an evaluation does. */
function bothWays(suite: string, cases: readonly Case[]) {
  const questions = makeQuestions(suite, cases.length);
  const trajectories = cases.map(({ answer, stop, searches, tokens, wellFormed }, i): Trajectory => {
    const queries = Array.from({ length: searches }, (_, n) => `query ${n}`);
    const ids = Array.from({ length: tokens }, (_, n) => n);
    const correct = answer === 'gold' || answer === 'The Gold.' ? 1 : 0;
    const mask = ids.map(() => 1 as const);
    return makeTrajectory({ questionId: questions[i]!.id, answer, correct, stop, queries, ids, mask, wellFormed });
  });
  const answers = trajectories.map((t, i) =>
    makeAnswer(questions[i]!, {
      answer: t.answer,
      stop: t.stop,
      searches: t.searches.map(({ query }) => ({ query, hits: [] })),
      newTokens: policyTokenCount(t),
      wellFormed: t.wellFormed,
    }),
  );
  return {
    run: runMeasureSuite(suite, questions, trajectories),
    evaluation: measureSuite(suite, [...answersOf(answers).values()]),
    answers,
  };
}

describe('a run and an evaluation of the same answers', () => {
  it('agree to the bit, suite by suite and in the mean of suites', () => {
    fc.assert(
      fc.property(fc.array(anySuite, { minLength: 1, maxLength: 4 }), (suites) => {
        const measured = suites.map((cases, i) => bothWays(`s${i}`, cases));
        for (const { run, evaluation } of measured) {
          expect(evaluation.questions).toBe(run.questions);
          expect(evaluation.failures).toBe(run.failures);
          for (const name of ['exactMatch', 'f1', 'searches', 'wellFormed'] as const)
            expect(evaluation[name]).toEqual(run[name]);
          expect(evaluation.newTokens).toEqual(run.policyTokens);
        }
        const [run, evaluation] = [
          runMeanOfSuites(measured.map((each) => each.run)),
          meanOfSuites(measured.map((each) => each.evaluation)),
        ];
        for (const name of ['exactMatch', 'f1', 'searches', 'wellFormed'] as const)
          expect(evaluation[name]).toEqual(run[name]);
      }),
    );
  });

  it('are right: as counted by hand over the questions that did not fail', () => {
    fc.assert(
      fc.property(anySuite, (cases) => {
        const { evaluation, answers } = bothWays('s', cases);
        const answered = cases.filter(({ stop }) => !isFailure(stop));
        const right = answered.filter(({ answer }) => answer?.toLowerCase().includes('gold') && answer !== 'gold coin');
        if (answered.length === 0) expect(evaluation.exactMatch).toBeNull();
        else expect(evaluation.exactMatch!.mean).toBeCloseTo(right.length / answered.length, 12);
        expect(evaluation.failures).toBe(cases.length - answered.length);
        expect(evaluation.unanswered).toBe(answered.filter(({ answer }) => answer === null).length);
        expect(meanOfQuestions(answers).exactMatch).toEqual(evaluation.exactMatch);
        const { low, high } = evaluation.exactMatchInterval;
        expect(low).toBeLessThanOrEqual(evaluation.exactMatch?.mean ?? 0);
        expect(high).toBeGreaterThanOrEqual(evaluation.exactMatch?.mean ?? 1);
      }),
    );
  });
});

it('seconds are those of answered questions of one baseline, mean of suites', () => {
  const [a, b] = [makeQuestions('a', 3), makeQuestions('b', 1)];
  const answers = answersOf([
    { ...makeAnswer(a[0]!), seconds: 1 },
    { ...makeAnswer(a[1]!), seconds: 2 },
    { ...makeAnswer(a[2]!, { stop: 'deadline' }), seconds: 600 },
    { ...makeAnswer(b[0]!), seconds: 7.5 },
    { ...makeAnswer(b[0]!, {}, 'direct'), seconds: 40 },
  ]);
  const row = { baseline: 'agent', suites: [{ suite: 'a' }, { suite: 'b' }] } as ResultRow;
  expect(secondsOf(row, answers)).toEqual({ mean: 4.5, standardError: null });
  expect(secondsOf({ ...row, suites: [] }, answers)).toBeNull();
});
