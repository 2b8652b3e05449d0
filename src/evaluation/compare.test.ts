import { describe, expect, it } from 'vitest';
import type { BaselineName } from '../baselines/all.ts';
import { benchmarkNames } from '../benchmarks/suites/all.ts';
import { compareEvaluations } from './compare.ts';
import { comparisonHtml, comparisonMarkdown, comparisonText } from './comparison-tables.ts';
import type { Conditions } from './conditions.ts';
import { resultsOf } from './measure.ts';
import { type PublishedModel, publishedRows } from './published.ts';
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
  it('have the means that their sources print, to half of the last digit', () => {
    // As printed in the sources, or in the table that quotes them.
    const printed: Record<PublishedModel, Record<string, number | null>> = {
      'Qwen2.5-3B': {
        Direct: 0.134,
        CoT: 0.015,
        IRCoT: 0.181,
        'Search-o1': 0.255,
        RAG: 0.27,
        SFT: 0.176,
        'R1-instruct (no search)': 0.224,
        'Rejection sampling': 0.265,
        'Search-R1-Base, PPO': 0.303,
        'Search-R1-Base, GRPO': 0.312,
        'Search-R1-Instruct, PPO': 0.325,
        'Search-R1-Instruct, GRPO': 0.336,
        'ReSearch-Base': 0.319,
        'ReSearch-Instruct': 0.331,
        'ZeroSearch-Base': 0.345,
        'ZeroSearch-Instruct': 0.317,
        'StepSearch-Instruct': null,
        'StepSearch-Instruct, official weights': 0.311,
        'AutoRefine-Base': 0.405,
        'AutoRefine-Instruct': 0.396,
        CriticSearch: null,
        'GiGPO-Instruct': 0.421,
        'Tree-GRPO, its GRPO': 0.388,
        'Tree-GRPO-Base': 0.425,
        'SD-Search-Base': 0.428,
        'Thinker-Instruct': 0.43,
        'GRPO + LLDS-Instruct': 0.441,
        'GRPO + LLDS-MA-Base': 0.44,
        'GSPO + LLDS-Instruct': 0.45,
        'SDAR-Instruct': 0.434,
        OPID: 0.45,
        'IGRPO-Instruct': 0.447,
        'Search-P1': 0.415,
        'Search-E1': 0.44,
      },
      'Qwen2.5-7B': {
        'Search-R1-Base, PPO': 0.431,
        'Search-R1-Instruct, GRPO': 0.396,
        'AutoRefine-Base': 0.455,
        'GiGPO-Instruct': 0.472,
        'Tree-GRPO, its GRPO': 0.424,
        'Tree-GRPO-Base': 0.44,
        'KAG-Thinker-Instruct': 0.452,
        CriticSearch: null,
        'GRPO + LLDS-Base': 0.48,
        'GRPO + LLDS-Instruct': 0.483,
        SDAR: 0.49,
        OPID: 0.492,
        'Search-P1': 0.473,
        'Search-E1': 0.487,
      },
      'Qwen2.5-1.5B': { 'Tree-GRPO, its GRPO': 0.25, 'Tree-GRPO': 0.312 },
      'Qwen2.5-0.5B': { Untrained: 0.006, PPO: 0.238, GKD: 0.24, DGPO: 0.329 },
    };
    for (const [model, rows] of Object.entries(printed)) {
      const ours = publishedRows.filter((row) => row.model === model);
      expect(ours.map(({ title }) => title)).toEqual(Object.keys(rows));
      for (const { title, mean } of ours) {
        if (rows[title] === null) expect(mean).toBeNull();
        else expect(Math.abs(mean! - rows[title]!), `${title}, ${model}`).toBeLessThanOrEqual(0.00051);
      }
    }
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
    expect(compareEvaluations([made('x', suites, 1)], []).published).toEqual([]);
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
    const two = makeSuites({ two: 5 })[0]!;
    const others = { ...two, questions: two.questions.map((question) => ({ ...question, question: 'another ?' })) };
    const other = made('b', [makeSuites({ one: 10 })[0]!, others], 5);
    const failed = makeAnswer(suites[0]!.questions[0]!, { stop: 'deadline', answer: null, failure: 'late' });
    const broken = { ...other, answers: new Map([...other.answers, ...answersOf([failed])]) };
    const [difference] = compareEvaluations([made('a', suites, 5), broken]).differences;
    expect(difference!.suites).toMatchObject({ one: { difference: 0, questions: 9 }, two: null });
    expect(difference!.all!.questions).toBe(9);
    expect(difference!.notes).toEqual([expect.stringMatching(/^two: no question in common/)]);
  });

  it('are taken over what other choices of the same questions have in common, and say so', () => {
    const all = makeSuites({ one: 10 })[0]!;
    const part = (from: number, to: number) => [{ ...all, questions: all.questions.slice(from, to) }];
    // Questions 0-6, of which 0-4 are right, and 4-9, of which 4-5 are: 4, 5 and 6 are shared; 1 of 3 right, then 2 of 3.
    const comparison = compareEvaluations([made('a', part(0, 7), 5), made('b', part(4, 10), 2)]);
    const [difference] = comparison.differences;
    expect(difference!.suites.one).toMatchObject({ questions: 3 });
    expect(difference!.suites.one!.difference).toBeCloseTo(1 / 3, 12);
    expect(difference!.notes).toEqual(['one: 3 questions in common, of 7 and 6']);
    expect(comparison.warnings).toEqual(['a and b differ in the questions of one (7 and 6 asked).']);
    expect(comparisonText(comparison, 200)).toContain('b: one: 3 questions in common, of 7 and 6.');
    // Logs that do not hold the questions cannot say that they are the same.
    const strip = (one: NamedEvaluation) => ({
      ...one,
      answers: new Map([...one.answers].map(([key, { asked: _, ...answer }]) => [key, answer])),
    });
    const old = compareEvaluations([strip(made('a', part(0, 7), 5)), made('b', part(4, 10), 2)]).differences[0]!;
    expect(old.suites.one).toBeNull();
  });

  it('warn of other passages without a hash', () => {
    const retriever = { ...makeConditions(suites).retriever, corpusHash: 'f'.repeat(64) };
    const { warnings } = compareEvaluations([made('a', suites, 1), made('b', suites, 1, { retriever })]);
    expect(warnings).toEqual(['a and b differ in the passages that were searched.']);
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
    expect(text).toMatch(/Search-E1, 3B \(2605\.22511\) +\.474 +\.626 +\.461 +\.427 +\.436 +\.193 +\.464 +\.440 +–/);
    expect(text).toMatch(/GiGPO-Instruct \S, 3B \(2505\.10978\) +\.420/);
    expect(text).toContain('only the mean of the seven is known');
    expect(text).toMatch(/SDAR-Instruct [¹²³⁴⁵⁶⁷⁸⁹⁰ ]+, 3B \(2605\.15155\) +(– +){7}\.434/);
    expect(text).toContain('! mine <b>: model fake');
    const part = compareEvaluations([made('a', all, 1), made('b', all.slice(0, 2), 1)]);
    expect(comparisonText(part, 200)).toMatch(/\n {2}b +\.250 ±\.250 +\.250 ±\.250 +(– +){6}\.250/);
  });

  it('are Markdown, and HTML without script or network', () => {
    expect(comparisonMarkdown(comparison)).toContain('| Direct, 3B (2503.09516) | .106 |');
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
