import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Score, scorePrediction, summarizeScores } from './score.ts';

const right: Score = { em: 1, f1: 1, sub_em: 1 };
const wrong: Score = { em: 0, f1: 0, sub_em: 0 };

describe('one prediction', () => {
  it.each([
    ['The Eiffel Tower!', ['eiffel tower'], { em: 1, f1: 1, sub_em: 1 }],
    ['the tower in Paris', ['Tower'], { em: 0, f1: 2 / 4, sub_em: 1 }],
    ['', ['x'], { em: 0, f1: 0, sub_em: 0 }],
    // Both normalise to nothing; Python calls them equal. No answer at all is another matter.
    ['the', ['A'], { em: 1, f1: 0, sub_em: 1 }],
    [null, ['A'], { em: 0, f1: 0, sub_em: 0 }],
  ])('%j against %j', (prediction, answers, score) => {
    expect(scorePrediction(prediction, answers)).toEqual(score);
  });
});

describe('means', () => {
  it('are macro over suites and micro over questions', () => {
    const summary = summarizeScores(
      new Map([
        ['a', [right, right, right, wrong]],
        ['b', [right, wrong]],
      ]),
    );
    expect(summary.suites.map(({ suite, questions, em }) => [suite, questions, em.mean])).toEqual([
      ['a', 4, 0.75],
      ['b', 2, 0.5],
    ]);
    expect(summary.micro.em.mean).toBeCloseTo(4 / 6, 12);
    expect(summary.macro.em.mean).toBe(0.625);
    // Standard errors by hand: √(0.75·0.25·4/3/4) = .25 and .5.
    expect(summary.suites[0]!.em.standardError).toBeCloseTo(0.25, 12);
    expect(summary.macro.em.standardError).toBeCloseTo(Math.sqrt(0.25 ** 2 + 0.5 ** 2) / 2, 12);
    expect(summary.note).toBeNull();
  });

  it('have no standard error of a single question', () => {
    const { suites, macro } = summarizeScores(new Map([['a', [right]]]));
    expect(suites[0]!.em.standardError).toBeNull();
    expect(macro.em.standardError).toBeNull();
  });

  it('say how much a small suite weighs', () => {
    const many = Array.from({ length: 3610 }, () => right);
    const { note } = summarizeScores(
      new Map([
        ['nq', many],
        ['bamboogle', many.slice(0, 125)],
      ]),
    );
    expect(note).toBe('bamboogle: 125 of 3,735 questions (3.3 %) but 50.0 % of the macro mean');
  });

  it('agree with each other when suites have the same size', () => {
    const score = fc.constantFrom(right, wrong);
    fc.assert(
      fc.property(fc.array(fc.tuple(score, score), { minLength: 1 }), (pairs) => {
        const suites = new Map([
          ['a', pairs.map(([first]) => first)],
          ['b', pairs.map(([, second]) => second)],
        ]);
        const { micro, macro } = summarizeScores(suites);
        expect(macro.em.mean).toBeCloseTo(micro.em.mean, 12);
        expect(micro.em.low).toBeLessThanOrEqual(micro.em.mean);
        expect(micro.em.high).toBeGreaterThanOrEqual(micro.em.mean);
      }),
    );
  });
});
