/**
 * Nothing on the page of an evaluation or an experiment is a number that a command does not print: against `compare --json`,
 * `view --csv`, a plain loop over answers.jsonl, and findings.json and summary.json of an experiment.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BaselineName } from '../baselines/all.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { capture } from '../cli/testing/capture.ts';
import { EvaluationDirectory } from '../evaluation/evaluation-directory.ts';
import { resultsOf } from '../evaluation/measure.ts';
import { makeAnswer, makeConditions, makeSuites } from '../evaluation/testing/fixtures.ts';
import { writeExperimentReport } from '../experiment/report.ts';
import { fixtureArms, writeMadeUpExperiment } from '../experiment/testing/experiment-fixture.ts';
import { type Ask, apiOf } from './api.ts';
import { Library } from './library.ts';
import { expectExplained, holding } from './testing/explained.ts';
import type { Line } from './testing/plain-rollouts.ts';

let root: string;
let ask: Ask;
const inside = (name: string) => path.join(root, name);
const asked = (what: string, source: string, query: Readonly<Record<string, string>> = {}) =>
  ask(what, new URLSearchParams({ source, ...query }));

/** Answers of two baselines: right, wrong, none and failed ones, with more or less of everything that is counted. */
async function writeEvaluation(name: string, luck: number): Promise<void> {
  const suites = makeSuites({ nq: 7, own: 5 });
  const directory = await EvaluationDirectory.open(inside(name), makeConditions(suites));
  const baselines: BaselineName[] = ['agent', 'direct'];
  for (const [b, baseline] of baselines.entries())
    for (const { questions } of suites)
      for (const [i, question] of questions.entries()) {
        const fate = (i * 3 + b + luck) % 5;
        const passage = { id: 'p1', title: 'a title', text: fate === 1 ? 'it is gold' : 'it is lead' };
        const hits = [{ passage, score: 2.25 + i }];
        const searches =
          baseline === 'agent' ? Array.from({ length: i % 3 }, (_, n) => ({ query: `q ${n}`, hits })) : [];
        const transcript = [
          ...searches.flatMap(({ query }) => [
            { author: 'policy' as const, text: `<search> ${query} </search>` },
            { author: 'environment' as const, text: `<information> ${passage.text} </information>` },
          ]),
          { author: 'policy' as const, text: '<answer> gold </answer>' },
        ];
        const counted = { searches, transcript, newTokens: 5 + i + b, wellFormed: i % 4 !== 3 };
        const said = [
          {},
          { answer: 'lead' },
          { answer: null, stop: 'no-answer' as const },
          { answer: 'gold lead' },
          { answer: null, stop: 'sample-failed' as const, failure: 'no reply' },
        ][fate]!;
        await directory.record({ ...makeAnswer(question, { ...counted, ...said }, baseline), seconds: 1 + i / 4 });
      }
  await directory.writeResults(resultsOf(directory.conditions, baselines, suites, directory.answers));
  await directory.close();
}

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'figures-'));
  await writeEvaluation('before', 0);
  await writeEvaluation('after', 2);
  const tokenizer = await loadTokenizer(BASE_POLICY);
  await writeMadeUpExperiment(inside('trial'), { tokenizer, arms: fixtureArms.slice(0, 3), seeds: 2, questions: 6 });
  await writeExperimentReport(inside('trial'));
  ask = apiOf(await Library.open(root));
  for (const source of ['before', 'after'])
    for (let rows = 0; rows < 24; await setTimeout(20)) rows = ((await asked('index', source)) as Line).rows;
});
afterAll(() => rm(root, { recursive: true, force: true }));

const answersOf = (name: string): Line[] =>
  readFileSync(path.join(inside(name), 'answers.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const isCounted = ({ stop }: Line) => stop !== 'sample-failed';
const text = (estimate: Line, decimals: number) =>
  estimate === null
    ? '–'
    : `${estimate.mean.toFixed(decimals)}${estimate.standardError === null ? '' : ` ±${estimate.standardError.toFixed(decimals)}`}`;

it('an evaluation has the figures of `compare --json`, and they are those of its answers', async () => {
  const { out } = await capture('compare', inside('before'), '--json', '--no-published');
  const { rows } = JSON.parse(out) as Line;
  const conditions = JSON.parse(readFileSync(path.join(inside('before'), 'conditions.json'), 'utf8'));
  const answers = answersOf('before');
  const suites = ['nq', 'own'];
  const row = (label: string, suite: string | undefined, of: (one: Line) => string) => ({
    label,
    cells: rows.map((one: Line) => ({
      text: of(one),
      query: `stage=${one.row.baseline}${suite === undefined ? '' : `&suite=${suite}`}`,
    })),
  });
  const summed = (name: string) => (one: Line) =>
    String(one.row.suites.reduce((sum: number, suite: Line) => sum + suite[name], 0));
  const behaviour = [
    ['F1', 'f1', 3],
    ['substring', 'substring', 3],
    ['recall', 'recall', 3],
    ['searches', 'searches', 2],
    ['new tokens', 'newTokens', 1],
    ['well formed', 'wellFormed', 3],
  ] as const;
  const shown = (await asked('overview', 'before')) as Line;
  expectExplained(
    { ...shown, settings: JSON.parse(shown.settings) },
    {
      sentence: holding(
        ...rows.flatMap(({ row: { macro } }: Line) => [
          macro.exactMatch.mean.toFixed(3),
          macro.exactMatch.standardError.toFixed(3),
        ]),
        suites.length,
      ),
      facts: [{}, { value: '12', means: holding(7, 7, 5, 5) }, { value: holding(700) }],
      next: [{ command: `search-e1 compare ${inside('before')} OTHER` }],
      tables: [
        {
          rows: [
            ...suites.map((suite, i) => row(suite, suite, (one) => text(one.row.suites[i].exactMatch, 3))),
            row('mean of suites', undefined, (one) => text(one.row.macro.exactMatch, 3)),
            row('mean of questions', undefined, (one) => text(one.row.micro.exactMatch, 3)),
            ...behaviour.map(([label, name, decimals]) =>
              row(label, undefined, (one) => text(one.row.macro[name], decimals)),
            ),
            row('seconds', undefined, (one) => text(one.seconds, 2)),
            row('no answer', undefined, summed('unanswered')),
            row('failed', undefined, summed('failures')),
          ],
          notes: [holding(7, 5), undefined, undefined, undefined],
        },
      ],
      settings: conditions,
    },
    'overview',
  );
  // What `compare` prints are means over the answers that the cells lead to.
  for (const { row: one } of rows)
    for (const { suite, exactMatch, failures, unanswered } of one.suites) {
      const own = answers.filter((answer) => answer.baseline === one.baseline && answer.suite === suite);
      const counted = own.filter(isCounted);
      expect(exactMatch.mean).toBe(counted.reduce((sum, answer) => sum + answer.exactMatch, 0) / counted.length);
      expect(failures).toBe(own.length - counted.length);
      expect(unanswered).toBe(counted.filter(({ prediction }) => prediction === null).length);
      const filter = `stage=${one.baseline}&suite=${suite}`;
      const { err } = await capture('view', inside('before'), '--csv', '--filter', `${filter}&mark=right`);
      expect(err).toBe(`${counted.filter((answer) => answer.exactMatch === 1).length} of 24 rollouts\n`);
    }
});

it('a comparison of evaluations has the questions and the difference of `compare --json`', async () => {
  const { out } = await capture('compare', inside('before'), inside('after'), '--json', '--no-published');
  const { differences } = JSON.parse(out) as Line;
  const difference = differences.find(({ label }: Line) => label.startsWith('after') && !/direct/i.test(label));
  const [before, after] = [answersOf('before'), answersOf('after')].map((all) =>
    all.filter((one) => one.baseline === 'agent' && isCounted(one)),
  ) as [Line[], Line[]];
  const both = before.flatMap((a) => {
    const b = after.find((one) => one.id === a.id && one.suite === a.suite);
    return b === undefined ? [] : [{ suite: a.suite, id: a.id, a, b }];
  });
  const count = (list: typeof both, was: 0 | 1, is: 0 | 1) =>
    list.filter(({ a, b }) => a.exactMatch === was && b.exactMatch === is).length;
  const found = (await ask(
    'compare',
    new URLSearchParams({
      a: JSON.stringify(['before', 'agent', '']),
      b: JSON.stringify(['after', 'agent', '']),
    }),
  )) as Line;
  const suites = ['nq', 'own'].map((suite) => {
    const own = both.filter((one) => one.suite === suite);
    const [gained, lost, right] = [count(own, 0, 1), count(own, 1, 0), count(own, 1, 1)];
    expect((gained - lost) / own.length).toBeCloseTo(difference.suites[suite].difference, 12);
    expect(own).toHaveLength(difference.suites[suite].questions);
    return { suite, questions: own.length, a: right + lost, b: right + gained, gained, lost };
  });
  const counts = {
    gained: count(both, 0, 1),
    lost: count(both, 1, 0),
    right: count(both, 1, 1),
    wrong: count(both, 0, 0),
  };
  const { questions, ...rest } = found;
  expectExplained(
    rest,
    {
      sentence: holding(both.length, counts.gained, counts.lost, counts.right, counts.wrong),
      ...{ counts, suites, total: both.length },
    },
    'comparison',
  );
  expectExplained(
    questions.map(({ a, b, suite, id, question }: Line) => ({ a: seen(a), b: seen(b), suite, id, question })),
    both.map(({ a, b, suite, id }) => ({ a: told(a), b: told(b), suite, id, question: a.question })),
    'questions',
  );
});

/** Of a row what it shows, and of an answer the same. */
const seen = ({ reward, searches, tokens, about, rollout, advantage }: Line) => ({
  ...{ reward, searches, tokens, id: about.id, rollout, advantage },
});
const told = ({ exactMatch, searches, newTokens, id }: Line) => ({
  ...{ reward: exactMatch, searches: searches.length, tokens: newTokens, id, rollout: 0, advantage: null },
});

it('answers have the figures of their lines', async () => {
  for (const [i, answer] of answersOf('before').entries()) {
    const { row, turns, raw, place, ...rest } = (await asked('rollout', 'before', {
      key: `answers.jsonl:${i}`,
    })) as Line;
    expectExplained(rest, { promptIds: null, tokens: null }, 'rest');
    expect(JSON.parse(raw)).toEqual(answer);
    expect(place).toMatchObject({ at: i + 1, of: 24 });
    expectExplained(seen(row), told(answer), raw);
    const shown = turns.flatMap(({ search }: Line) => search?.passages ?? []).map(({ score }: Line) => score);
    expect(shown).toEqual(answer.searches.flatMap(({ passages }: Line) => passages.map(({ score }: Line) => score)));
  }
});

it('an experiment has the figures of findings.json and summary.json', async () => {
  const [findings, summary] = ['findings.json', 'summary.json'].map((name) =>
    JSON.parse(readFileSync(path.join(inside('trial'), name), 'utf8')),
  ) as [Line, Line];
  const decimals: Readonly<Record<string, number>> = {
    ...{ exactMatch: 3, searches: 2, policyTokens: 1, wellFormed: 3, grounded: 3 },
  };
  const measures = [...new Set<string>(summary.means.map(({ measure }: Line) => measure))];
  const { mode } = summary.means[0];
  const key = ({ decoding, searches }: Line) => `${decoding}-${searches}`;
  const meanOf = (arm: string, measure: string) => {
    const one = summary.means.find((m: Line) => m.arm === arm && m.measure === measure && key(m.mode) === key(mode));
    // What findings.json has of it, which is committed as evidence, is the same.
    const found = findings.lastStage.find((m: Line) => m.arm === arm && m.measure === measure && m.mode === key(mode));
    if (found) expect(one).toMatchObject({ estimate: found.estimate, low: found.low, high: found.high });
    else expect(['exactMatch', 'searches']).not.toContain(measure);
    return [one.estimate, one.low, one.high].map((value: number) => value.toFixed(decimals[measure]));
  };
  const numbers = ([estimate, low, high]: string[]) => `${estimate} [${low}, ${high}]`;
  const shown = (await asked('experiment', 'trial')) as Line;
  for (const { arm, measure, mode: asking, estimate, low, high } of findings.differences)
    expect(shown.differences).toContainEqual(
      expect.objectContaining({ arm, measure, estimate, low, high, mode: said(asking) }),
    );
  expectExplained(
    shown,
    {
      sentence: holding(findings.arms.length, findings.seeds.length, summary.runs.length),
      reference: summary.differences[0].reference,
      verdicts: findings.verdicts,
      tables: [
        {
          title: holding(mode.searches),
          rows: findings.arms.map((arm: string) => ({
            label: arm,
            cells: measures.map((measure) => ({ text: numbers(meanOf(arm, measure)) })),
          })),
          notes: [holding(95)],
        },
      ],
      differences: summary.differences.map(({ arm, measure, mode: asking, estimate, low, high }: Line) => ({
        ...{ arm, measure, estimate, low, high, mode: said(key(asking)) },
      })),
      runs: findings.arms
        .toSorted()
        .flatMap((arm: string) => findings.seeds.map((seed: string) => `trial/${seed}/${arm}`))
        .toSorted()
        .map((id: string) => ({ id, name: id })),
    },
    'experiment',
  );
});

const said = (mode: string) => {
  const [decoding, searches] = mode.split('-');
  return `${decoding} answers, at most ${searches} searches`;
};
