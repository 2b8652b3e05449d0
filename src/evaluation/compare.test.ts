import { describe, expect, it } from 'vitest';
import type { BaselineName } from '../baselines/all.ts';
import { benchmarkNames } from '../benchmarks/suites/all.ts';
import { compareEvaluations } from './compare.ts';
import { comparisonHtml, comparisonMarkdown, comparisonText } from './comparison-tables.ts';
import type { Conditions } from './conditions.ts';
import { resultsOf } from './measure.ts';
import { publishedRows } from './published.ts';
import type { EvaluationSuite, NamedEvaluation } from './results.ts';
import { resultsTable } from './results-table.ts';
import { answersOf, makeAnswer, makeConditions, makeSuites } from './testing/fixtures.ts';

/** An evaluation of which the first `correct` questions of every suite are right. */
function made(
  name: string,
  suites: readonly EvaluationSuite[],
  correct: number,
  changes: Partial<Conditions> = {},
  baselines: readonly BaselineName[] = ['agent'],
): NamedEvaluation {
  const answers = answersOf(
    baselines.flatMap((baseline) =>
      suites.flatMap(({ questions }) =>
        questions.map((question, i) => makeAnswer(question, { answer: i < correct ? 'gold' : 'tin' }, baseline)),
      ),
    ),
  );
  return { name, answers, results: resultsOf(makeConditions(suites, changes), baselines, suites, answers) };
}

describe('published rows', () => {
  it('have the means that the papers give', () => {
    const means = publishedRows.map(({ title, exactMatch }) => {
      const values = Object.values(exactMatch).filter((value) => value !== null);
      return [title, values.length < 7 ? null : Number((values.reduce((a, b) => a + b, 0) / 7).toFixed(3))];
    });
    expect(Object.fromEntries(means)).toEqual({
      Direct: 0.134,
      CoT: 0.015,
      IRCoT: 0.181,
      'Search-o1': 0.255,
      RAG: 0.27,
      SFT: 0.176,
      'R1-instruct (no search)': 0.224,
      'Rejection sampling': 0.265,
      'Search-R1-Instruct, PPO': 0.325,
      'Search-R1-Instruct, GRPO': 0.336,
      'ReSearch-Instruct': 0.331,
      'ZeroSearch-Instruct': 0.317,
      'StepSearch-Instruct': null,
      'AutoRefine-Base': 0.405,
      'GiGPO-Instruct': 0.421,
      'SD-Search-Base': 0.428,
      'Search-E1': 0.44,
    });
  });

  it('stand beside suites of their names only, in the papers’ order', () => {
    const suites = makeSuites({ mine: 2, bamboogle: 2, nq: 2 });
    const comparison = compareEvaluations([made('x', suites, 1)]);
    expect(comparison.suites).toEqual(['nq', 'bamboogle', 'mine']);
    const e1 = comparison.published.at(-1)!;
    expect(e1).toMatchObject({
      label: 'Search-E1',
      exactMatch: { nq: 0.474, bamboogle: 0.464, mine: null },
      macro: null,
    });
    const both = compareEvaluations([made('x', makeSuites({ nq: 2, bamboogle: 2 }), 1)]);
    expect(both.published.at(-1)!.macro).toBeCloseTo((0.474 + 0.464) / 2, 12);
    expect(compareEvaluations([made('x', makeSuites({ 'world-nq': 2 }), 1)]).published).toEqual([]);
    expect(compareEvaluations([made('x', suites, 1)], false).published).toEqual([]);
  });
});

describe('warnings', () => {
  it('name every condition that differs from the published ones', () => {
    const suites = makeSuites({ nq: 5, mine: 2 });
    const { limits } = makeConditions(suites);
    const evaluation = made('x', suites, 1, {
      limits: { ...limits, searches: 2, passages: 5 },
      decoding: { temperature: 1, seed: 1 },
    });
    const text = compareEvaluations([evaluation]).warnings.join('\n');
    for (const words of [
      'model fake; published: Qwen2.5-3B',
      '700 passages (corpus ',
      'retriever bm25; published: E5-base-v2',
      '5 passages a search; published: 3',
      'at most 2 searches; published: 4',
      'temperature 1; published: greedy',
      '5 of 3,610 questions of nq; published: all',
      'mine: nothing published',
    ])
      expect(text).toContain(words);
  });

  it('are silent where the conditions are the published ones', () => {
    const suites = makeSuites({ bamboogle: 125 });
    const evaluation = made('x', suites, 1, {
      model: {
        engine: 'openai',
        name: 'Qwen/Qwen2.5-3B-Instruct',
        weights: null,
        tokenizer: null,
        mode: 'chat',
        deterministic: false,
      },
      retriever: { kind: 'dense', passages: 21_015_324, corpusHash: 'c', settings: { model: 'e5-base-v2' } },
    });
    expect(compareEvaluations([evaluation]).warnings).toEqual([]);
  });

  it('name what differs among ours, but for the model and the prompts', () => {
    const suites = makeSuites({ mine: 2 });
    const retriever = { ...makeConditions(suites).retriever, settings: { k1: 1.2 } };
    const [a, b] = [made('a', suites, 1), made('b', suites, 1, { retriever, prompts: {} })];
    expect(compareEvaluations([a, b]).warnings).toEqual(['a and b differ in retriever.settings.k1 (0.9 and 1.2).']);

    const wider = made('c', makeSuites({ mine: 2, yours: 1, theirs: 1 }), 1);
    expect(compareEvaluations([a, wider]).warnings).toEqual(['Only c asks yours, theirs.']);
  });

  it('say what Bamboogle weighs', () => {
    const comparison = compareEvaluations([made('x', makeSuites({ nq: 375, bamboogle: 125 }), 1)]);
    expect(comparison.warnings.at(-1)).toBe(
      "Bamboogle's 125 questions are 50.0 % of the mean of suites and 25.0 % of the mean of questions; one of them moves the former by 0.0040.",
    );
    // Both means are the same then.
    expect(compareEvaluations([made('x', makeSuites({ nq: 40, bamboogle: 40 }), 1)]).warnings.join()).not.toContain(
      'Bamboogle',
    );
  });
});

describe('paired differences', () => {
  const suites = makeSuites({ one: 10, two: 6 });

  it('are taken over the same questions, whatever order they ended in', () => {
    const [a, b] = [made('a', suites, 2), made('b', suites, 5)];
    const turned = { ...b, answers: new Map([...b.answers].reverse()) };
    const [difference] = compareEvaluations([a, b]).differences;
    expect(compareEvaluations([a, turned]).differences).toEqual([difference]);
    expect(difference!.suites.one!.difference).toBeCloseTo(0.3, 12);
    expect(difference!.suites.two!.difference).toBeCloseTo(0.5, 12);
    expect(difference!.all).toMatchObject({ questions: 16 });
    expect(difference!.all!.difference).toBeCloseTo(6 / 16, 12);
    expect(difference!.all!.low).toBeGreaterThan(0);
  });

  it('leave out suites of other questions, and questions that failed', () => {
    const other = made('b', [makeSuites({ one: 10 })[0]!, makeSuites({ two: 5 })[0]!], 5);
    const failed = makeAnswer(suites[0]!.questions[0]!, { stop: 'deadline', answer: null, failure: 'late' });
    const broken = { ...other, answers: new Map([...other.answers, ...answersOf([failed])]) };
    const [difference] = compareEvaluations([made('a', suites, 5), broken]).differences;
    expect(difference!.suites).toMatchObject({ one: { difference: 0, questions: 9 }, two: null });
    expect(difference!.all!.questions).toBe(9);
  });

  it('are taken between baselines of one evaluation too', () => {
    const { differences, rows } = compareEvaluations([made('a', suites, 2, {}, ['rag', 'agent'])]);
    expect(rows.map(({ label }) => label)).toEqual(['RAG', 'Agent']);
    expect(differences).toMatchObject([{ label: 'Agent', against: 'RAG', all: { difference: 0 } }]);
  });
});

describe('tables', () => {
  const all = makeSuites(Object.fromEntries(benchmarkNames.map((name) => [name, 4])));
  const comparison = compareEvaluations([made('mine <b>', all, 1), made('other', all, 3)]);

  it('mark the published rows and show no mean over other suites', () => {
    const text = comparisonText(comparison, 200);
    expect(text).toMatch(/mine <b> +\.250 ±\.250/);
    expect(text).toMatch(/Search-E1 \(published\) +\.474 +\.626 +\.461 +\.427 +\.436 +\.193 +\.464 +\.440 +–/);
    expect(text).toContain('! mine <b>: model fake');
    const part = compareEvaluations([made('a', all, 1), made('b', all.slice(0, 2), 1)]);
    expect(comparisonText(part, 200)).toMatch(/\n {2}b +\.250 ±\.250 +\.250 ±\.250 +(– +){6}\.250/);
  });

  it('are Markdown, and HTML without script or network', () => {
    expect(comparisonMarkdown(comparison)).toContain('| Direct (published) | .106 |');
    const page = comparisonHtml(comparison);
    expect(page).toContain('mine &lt;b&gt;');
    expect(page).not.toMatch(/<script|:\/\/|<b>/);
  });

  it('of one evaluation have suites down and baselines across', () => {
    const { results, answers } = made('a', makeSuites({ one: 4 }), 1, {}, ['rag', 'agent']);
    const block = resultsTable(results, answers);
    expect(block.header).toEqual(['RAG', 'Agent']);
    expect(block.rows[0]).toMatchObject({ label: 'one', cells: ['0.250 ±0.250', '0.250 ±0.250'] });
    expect(block.rows.find(({ label }) => label === 'seconds')!.cells).toEqual(['1.00 ±0.00', '1.00 ±0.00']);
  });
});
