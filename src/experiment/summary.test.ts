import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { packageVersion } from '../runs/config-record.ts';
import { RunFiles } from '../runs/run-files.ts';
import { type ArmName, armOf } from './arms.ts';
import { claims } from './claims.ts';
import { scoresOf, summarizeTraining } from './collect.ts';
import { outcomesFile } from './outcomes.ts';
import { readExperiment } from './record.ts';
import { renderPicture } from './report/picture.ts';
import { basesBlock } from './report/tables.ts';
import { writeExperimentReport } from './report.ts';
import { type Summary, summarySchema } from './schema.ts';
import { readSummary, summarizeExperiment } from './summary.ts';
import { fixtureArms, writeMadeUpExperiment } from './testing/experiment-fixture.ts';
import { signed } from './text.ts';

let root: string;
let folder: string;
let summary: Summary;
let page: string;

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'experiment-'));
  folder = path.join(root, 'out');
  const tokenizer = await loadTokenizer(BASE_POLICY);
  await writeMadeUpExperiment(folder, { tokenizer, arms: fixtureArms.slice(0, 3), seeds: 2, questions: 6 });
  await rm(path.join(folder, 'seed-002', 'same-prompt', 'results.json'));
  summary = await writeExperimentReport(folder);
  page = await readFile(path.join(folder, 'report.html'), 'utf8');
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Paired difference of e1 − other from the trajectories, the plain way. */
async function plainDifference(other: string, shard: [string, string], seed: string): Promise<number> {
  const [of, against] = await Promise.all(
    ['e1', other].map(async (arm, i) => {
      const read = await new RunFiles(path.join(folder, seed, arm)).trajectories(shard[i]!);
      return new Map(read!.map((t) => [`${t.dataset} ${t.questionId} ${t.rollout}`, t.correct]));
    }),
  );
  const suites = [...new Set([...of!.keys()].map((name) => name.split(' ')[0]!))];
  let sum = 0;
  for (const suite of suites) {
    const names = [...of!.keys()].filter((name) => name.startsWith(`${suite} `));
    for (const name of names) sum += (of!.get(name)! - against!.get(name)!) / names.length / suites.length;
  }
  return sum;
}

/** Names of elements that are not closed where they were opened. */
function elementsLeftOpen(markup: string, empty: readonly string[] = []): string[] {
  const open: string[] = [];
  for (const [, slash, name, selfClosed] of markup.matchAll(/<(\/?)([a-z0-9]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (slash === '/') expect(open.pop()).toBe(name);
    else if (selfClosed !== '/' && !empty.includes(name!)) open.push(name!);
  }
  return open;
}

describe('the summary of an experiment', () => {
  it('pairs arms by seed and question', async () => {
    const found = summary.differences.find(
      ({ arm, measure, mode }) =>
        arm === 'grpo-tokens' && measure === 'exactMatch' && mode.decoding === 'sampled' && mode.searches === 4,
    )!;
    for (const { seed, value } of found.bySeed)
      expect(value).toBeCloseTo(
        -(await plainDifference('grpo-tokens', ['e1-2-sampled-4', 'grpo-2-sampled-4'], seed)),
        4,
      );
    expect(found.bySeed.map(({ seed }) => seed)).toEqual(['seed-001', 'seed-002']);
    expect(found.estimate).toBeCloseTo((found.bySeed[0]!.value + found.bySeed[1]!.value) / 2, 4);
    expect(found.low).toBeLessThan(found.estimate);
  });

  it('keeps the intervals of means to what can be', () => {
    const counts = ['searches', 'policyTokens'];
    const shares = summary.means.filter(({ measure }) => !counts.includes(measure));
    // Two seeds stretch an interval more than sixfold, so that some would leave [0, 1].
    expect(shares.some(({ estimate, low, high }) => low !== high && (low === 0 || high === 1) && estimate < 1)).toBe(
      true,
    );
    for (const { low, high } of shares) expect(low >= 0 && high <= 1).toBe(true);
    for (const { low } of summary.means) expect(low).toBeGreaterThanOrEqual(0);
  });

  it('agrees with the means that the runs recorded', () => {
    const { estimate, seeds } = summary.means.find(
      ({ arm, measure, mode }) =>
        arm === 'e1' && measure === 'searches' && mode.decoding === 'greedy' && mode.searches === 2,
    )!;
    const recorded = summary.runs
      .filter(({ arm }) => arm === 'e1')
      .map(
        ({ stages }) => stages.findLast(({ mode }) => mode.decoding === 'greedy' && mode.searches === 2)!.mean.searches,
      );
    expect(estimate).toBeCloseTo((recorded[0]! + recorded[1]!) / 2, 4);
    expect(seeds).toBe(2);
  });

  it('has exact match of every suite at every stage, and is read without it', () => {
    const stages = summary.runs.flatMap((run) => run.stages);
    for (const { suites, mean } of stages) {
      const values = Object.values(suites).map((value) => value!);
      expect(values).toHaveLength(3);
      expect(values.reduce((sum, value) => sum + value, 0) / 3).toBeCloseTo(mean.exactMatch!, 4);
    }
    const older = structuredClone(summary) as { runs: { stages: { suites?: unknown }[] }[] };
    for (const stage of older.runs.flatMap((run) => run.stages)) delete stage.suites;
    expect(summarySchema.parse(older).runs[0]!.stages[0]!.suites).toEqual({});
  });

  it('counts only finished runs', () => {
    expect(summary.missing).toEqual(['seed-002/same-prompt']);
    expect(summary.runs).toHaveLength(5);
    const alone = summary.differences.find(({ arm }) => arm === 'same-prompt')!;
    expect(alone.bySeed.map(({ seed }) => seed)).toEqual(['seed-001']);
  });

  it('says which base policy each seed has, and the report compares arms on each', () => {
    expect(summary.worlds).toEqual([3001, 3002]);
    expect(summary.bases).toEqual(['made up', 'another']);
    const { bySeed } = summary.differences.find(
      ({ arm, measure, mode }) =>
        arm === 'grpo-tokens' && measure === 'exactMatch' && mode.decoding === 'sampled' && mode.searches === 4,
    )!;
    const { header, rows, notes } = basesBlock(summary)!;
    expect(header).toHaveLength(3 * 2);
    expect(rows[0]!.cells.slice(0, 2)).toEqual(bySeed.map(({ value }) => signed(value, 3)));
    // Its second seed is not finished.
    expect(rows[1]).toMatchObject({
      label: 'same-prompt',
      cells: [expect.any(String), '–', ...new Array(4).fill(expect.any(String))],
    });
    expect(notes).toEqual(['Base 1: weights made up…, seed-001.', 'Base 2: weights another…, seed-002.']);
    expect(basesBlock({ ...summary, bases: ['same', 'same'] })).toBeUndefined();
  });

  it('draws the law through runs whose teacher the gate asked', () => {
    expect(summary.laws.map(({ mode }) => mode.searches)).toEqual([4, 2]);
    expect(summary.laws[0]!.points.map(({ arm }) => arm)).toEqual(['e1', 'e1']);
  });

  it('is the same when it is made again, and reads back as it was', async () => {
    expect(await summarizeExperiment(folder)).toEqual(summary);
    expect(await readSummary(path.join(folder, 'summary.json'))).toEqual(summary);
  });

  it('refuses a finished run that has lost its answers', async () => {
    const shard = path.join(folder, 'seed-001', 'e1', 'trajectories', 'e1-2-greedy-2.jsonl.gz');
    // The summary would go by what was kept of it.
    await rm(outcomesFile(folder, 'seed-001'));
    await rename(shard, `${shard}.away`);
    await expect(summarizeExperiment(folder)).rejects.toThrow('trajectories/e1-2-greedy-2.jsonl.gz is missing');
    await rename(`${shard}.away`, shard);
  });

  it('refuses what is no experiment, and one without a finished run', async () => {
    await expect(summarizeExperiment(root)).rejects.toThrow('not an experiment (it has no experiment.json)');
    const record = { ...(await readExperiment(folder)), seeds: [{ name: 'seed-009', seed: 9, world: 9 }] };
    await writeFile(path.join(root, 'experiment.json'), JSON.stringify(record));
    await expect(summarizeExperiment(root)).rejects.toThrow('no run is finished yet');
    await writeFile(path.join(root, 'experiment.json'), JSON.stringify({ ...record, arms: [] }));
    await expect(summarizeExperiment(root)).rejects.toThrow('experiment.json at arms');
  });
});

describe('figures of a run', () => {
  it('leave out failed rollouts and what cannot be asked', () => {
    const rollout = (questionId: string, correct: 0 | 1, stop: 'answered' | 'deadline') => ({
      ...{
        questionId,
        dataset: 'nq',
        rollout: 0,
        prompt: [1],
        ids: [2, 3],
        mask: [1, 0] as (0 | 1)[],
        logprobs: [-1, 0],
      },
      searches: [],
      stop,
      answer: null,
      correct,
      reward: correct,
      wellFormed: false,
      grounded: null,
    });
    const scores = scoresOf([rollout('a', 1, 'answered'), rollout('a', 0, 'answered'), rollout('b', 0, 'deadline')]);
    expect(scores.get('nq')!.get('a')).toEqual({
      exactMatch: 0.5,
      searches: 0,
      policyTokens: 1,
      wellFormed: 0,
      grounded: Number.NaN,
    });
    expect(scores.get('nq')!.get('b')!.exactMatch).toBeNaN();
  });

  it('average a training stage over the steps that have a metric', () => {
    const found = summarizeTraining('e1-1', [
      { stage: 'e1-1', step: 1, loss: 0.2, skipped: 0, 'kl.answer': 0.5 },
      { stage: 'e1-1', step: 2, loss: -0.4, skipped: 1, 'kl.answer': null },
      { stage: 'grpo-1', step: 1, loss: 9 },
    ]);
    expect(found).toMatchObject({
      steps: 2,
      skippedSteps: 1,
      loss: -0.1,
      largestLoss: 0.4,
      klAnswer: 0.5,
      entropy: null,
    });
  });
});

describe('findings.json', () => {
  it('has the figures of the summary, seed by seed, and what arms share once', async () => {
    const findings = JSON.parse(await readFile(path.join(folder, 'findings.json'), 'utf8'));
    expect(findings.verdicts).toEqual(summary.verdicts);
    const full = summary.differences.filter(({ measure }) => measure === 'exactMatch' || measure === 'searches');
    expect(findings.differences).toHaveLength(full.length);
    const [first] = full;
    expect(findings.differences[0]).toMatchObject({
      arm: 'grpo-tokens',
      mode: 'sampled-4',
      estimate: first!.estimate,
      low: first!.low,
      high: first!.high,
      bySeed: first!.bySeed.map(({ value }) => value),
    });
    const rows = findings.stages.map(({ arm, stage }: { arm: string; stage: string }) => `${arm} ${stage}`);
    expect(rows).toEqual([
      ...['shared base', 'shared grpo-1', 'e1 e1-1', 'e1 grpo-2', 'e1 e1-2', 'grpo-tokens grpo-2'],
      ...['same-prompt e1-1', 'same-prompt grpo-2', 'same-prompt e1-2'],
    ]);
    const measured = summary.runs.find(({ seed, arm }) => seed === 'seed-001' && arm === 'same-prompt')!.stages;
    const greedy = measured.find(
      ({ stage, mode }) => stage === 'e1-2' && mode.decoding === 'greedy' && mode.searches === 2,
    )!;
    // The other seed's run of this arm is not finished.
    expect(findings.stages.at(-1).exactMatch['greedy-2']).toEqual([greedy.mean.exactMatch, null]);
    const suite = summary.suites.find(
      ({ arm, mode, suite: name }) =>
        arm === 'same-prompt' && mode.decoding === 'greedy' && mode.searches === 2 && name === 'musique',
    )!;
    expect(
      findings.suites.find(
        ({ arm, mode }: { arm: string; mode: string }) => arm === 'same-prompt' && mode === 'greedy-2',
      ),
    ).toMatchObject({ musique: suite.exactMatch });
    expect(findings.gates.find(({ arm }: { arm: string }) => arm === 'e1').exactMatchGap).toEqual(
      ['seed-001', 'seed-002'].map(
        (seed) => summary.runs.find((run) => run.seed === seed && run.arm === 'e1')!.gates[0]!.exactMatchGap,
      ),
    );
    expect(findings.laws[0].points).toEqual(summary.laws[0]!.points);
    expect(findings.spent.at(-1)).toEqual({
      arm: 'same-prompt',
      tokens: [expect.any(Number), null],
      seconds: [expect.any(Number), null],
    });
  });
});

describe('figure.svg', () => {
  it('stands alone: plots of the report on a background of its own', async () => {
    const picture = await readFile(path.join(folder, 'figure.svg'), 'utf8');
    expect(elementsLeftOpen(picture.replace(/<style>[\s\S]*?<\/style>/, ''))).toEqual([]);
    // Forests of two measures at two budgets, three curves, and what holds them.
    expect(picture.match(/<svg /g)).toHaveLength(2 * 2 + 3 + 1);
    expect(picture).toContain('3 arms, 2 seeds, 1 not finished');
    expect(picture).toContain('every arm minus e1');
    expect(picture).toContain('<rect class="paper"');
    expect(picture).toContain('prefers-color-scheme: dark');
    expect(picture).not.toMatch(/var\(--(?!ink|soft|line|paper|s\d)/);
    expect(picture.replace('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|href|url\(|@import|NaN|undefined|Infinity/,
    );
  });

  it('can be drawn of one arm and one seed', () => {
    const runs = summary.runs.slice(0, 1);
    const alone = { ...summary, arms: ['e1'], seeds: ['seed-001'], missing: [], runs, differences: [] };
    const picture = renderPicture(alone);
    expect(picture.match(/<svg /g)).toHaveLength(1 + 1);
    expect(picture).not.toMatch(/every arm minus|NaN|Infinity/);
  });
});

describe('report.html', () => {
  it('holds verdicts, tables, plots and pairs, and asks nothing of the network', () => {
    for (const { claim, verdict, sentence } of summary.verdicts) {
      expect(page).toContain(`<li><b>${claim.split(' (')[0]}</b>`);
      expect(page).toContain(`<b>${verdict}.</b> ${sentence}`);
    }
    expect(page).toContain('Not finished, and counted nowhere:</b> seed-002/same-prompt');
    // Two budgets, sampled and greedy: forests of two measures, three curves, scatter; the law at two budgets.
    expect(page.match(/<svg /g)).toHaveLength(2 * 4 + 3 + 4 + 2);
    expect(page).toContain('80 % of its pool rollouts were right');
    expect(page).toContain('20 % of its pool rollouts were right');
    expect(page).toContain('title="0.4000 nats"');
    expect(page).not.toMatch(/<script|https?:|\bsrc=|url\(|@import|NaN|undefined|Infinity/);
  });

  it('says what was run: arms, seeds, worlds, bases, versions and settings', () => {
    expect(page).toContain(
      '3 arms, 2 seeds, 5 finished runs. Seeds on the base policy made up…: seed-001 (world 3001). On another…: seed-002 (world 3002).',
    );
    expect(page).toContain(`Begun with search-e1 ${packageVersion()}, node ${process.versions.node}, `);
    for (const arm of summary.arms) expect(page).toContain(`<b>${arm}</b> ${armOf(arm as ArmName).says}`);
    expect(page).toContain('&quot;teacherTemperature&quot;: 0.3');
    expect(page).toContain('From the first distillation round (E1 1) of seed-001/e1.');
  });

  it('asks a question once, of each measure and budget below it, and states the margins of the claims', () => {
    expect(page.match(/<b>Self-distillation beats GRPO of equal tokens<\/b>/g)).toHaveLength(1);
    expect(page).toContain('>exact match, sampled, at most 2 searches: <b>');
    const margins = (measure: string) =>
      new Set(claims.flatMap((claim) => ('margin' in claim && claim.measure === measure ? [claim.margin] : [])));
    // One each, so that the page can name them.
    expect([margins('exactMatch').size, margins('searches').size]).toEqual([1, 1]);
    const [exactMatch, searches] = [...margins('exactMatch'), ...margins('searches')];
    expect(page).toContain(`within ± the margin, ${exactMatch} of exact match or ${searches} searches`);
  });

  it('draws the reference arm on top of the others', () => {
    const [section] = /<section id="searches">[\s\S]*?<\/section>/.exec(page)!;
    const markers = [...section.matchAll(/<g class="(full )?marker">|<\/svg>/g)].map(([text, full]) => full ?? text);
    const last = markers.flatMap((mark, i) => (mark === '</svg>' ? [markers[i - 1]] : []));
    expect(last).toEqual(new Array(4).fill('full '));
  });

  it('is well formed: every element is closed where it was opened', () => {
    const body = page.replace(/<style>[\s\S]*?<\/style>/, '').replace('<!doctype html>', '');
    expect(elementsLeftOpen(body, ['meta', 'br'])).toEqual([]);
  });
});
