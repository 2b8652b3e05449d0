/** What is viewed besides a finished run: an interrupted one, an evaluation, an experiment, and a folder of them; with names of others. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListeningServer } from '../../base/http/listen.ts';
import { BASE_POLICY } from '../../checkpoint/base-policy.ts';
import { loadTokenizer } from '../../checkpoint/tokenizer.ts';
import { EvaluationDirectory } from '../../evaluation/evaluation-directory.ts';
import { resultsOf } from '../../evaluation/measure.ts';
import { makeAnswer, makeConditions, makeSuites } from '../../evaluation/testing/fixtures.ts';
import { writeExperimentReport } from '../../experiment/report.ts';
import { readSummary } from '../../experiment/summary.ts';
import { fixtureArms, writeMadeUpExperiment } from '../../experiment/testing/experiment-fixture.ts';
import { fixtureResults } from '../../runs/testing/run-fixture.ts';
import {
  countShown,
  executablePath,
  expectAccessible,
  expectUnharmed,
  follow,
  heading,
  load,
  openBrowser,
  patience,
  viewed,
  type Watched,
  watchedPage,
} from './chromium.ts';
import { hostile } from './hostile.ts';
import { said, writeRun } from './view-fixture.ts';

const [markup] = hostile as [string];
/** Names that stand in the records of others. */
const names = hostile.slice(0, 5);

async function writeEvaluation(folder: string, isFinished: boolean): Promise<void> {
  const suites = makeSuites(Object.fromEntries(names.map((name) => [name, 3])));
  const conditions = makeConditions(suites, {
    model: { engine: 'openai', mode: 'chat', name: markup, weights: null, tokenizer: null, deterministic: false },
  });
  const directory = await EvaluationDirectory.open(folder, conditions);
  for (const { questions } of suites)
    for (const [i, question] of questions.entries()) {
      if (!isFinished && i === 2) continue;
      await directory.record(makeAnswer(question, i === 1 ? { answer: markup } : {}));
    }
  if (isFinished) await directory.writeResults(resultsOf(directory.conditions, ['agent'], suites, directory.answers));
  await directory.close();
}

describe.skipIf(executablePath === undefined)('the page shows', () => {
  let root: string;
  let server: ListeningServer;
  let browser: Browser;
  let watched: Watched;

  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'viewer-kinds-'));
    const { measurements, ...rest } = fixtureResults();
    // The second round of GRPO was under way.
    const until = ['base', 'grpo-1', 'e1-1'];
    await writeRun(
      path.join(root, 'stopped'),
      { 'base-greedy-4': [said({ id: 'a' })], 'grpo-2-step-0001': [said({ id: 'b' })] },
      {
        results: {
          ...rest,
          measurements: measurements.filter(({ stage }) => until.includes(stage)),
          outcomes: rest.outcomes.filter(({ stage }) => until.includes(stage)),
        },
      },
    );
    await writeRun(path.join(root, 'begun'), { 'base-greedy-4': [said({ id: 'a' })] }, { results: null, pairs: [] });
    // Cut off within its last file, as a full disk leaves it.
    await writeRun(path.join(root, 'damaged'), {
      'base-greedy-4': [said({ id: 'a' })],
      'grpo-1-step-0001': [said({ id: 'b' })],
    });
    const shard = path.join(root, 'damaged', 'trajectories', 'grpo-1-step-0001.jsonl.gz');
    await writeFile(shard, (await readFile(shard)).subarray(0, -30));
    await mkdir(path.join(root, 'evaluations'));
    await writeEvaluation(path.join(root, 'evaluations', 'done'), true);
    await writeEvaluation(path.join(root, 'evaluations', 'cut'), false);
    const experiment = path.join(root, 'experiment');
    await writeMadeUpExperiment(experiment, {
      tokenizer: await loadTokenizer(BASE_POLICY),
      arms: fixtureArms.slice(0, 3),
      seeds: 2,
      questions: 6,
    });
    await writeExperimentReport(experiment);
    server = await viewed(root);
    browser = await openBrowser();
    watched = await watchedPage(browser);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close(1);
    await rm(root, { recursive: true, force: true });
  });

  const show = (id: string, more = '') => load(watched.page, `${server.url}#/s/${encodeURIComponent(id)}${more}`);
  const text = async () => (await watched.page.locator('main').innerText()).replace(/\s+/g, ' ');

  it('what there is', async () => {
    await load(watched.page, server.url);
    await expect.poll(text, patience).toContain('evaluations/done');
    for (const name of ['stopped', 'begun', 'damaged', 'evaluations/cut', 'experiment'])
      expect(await text()).toContain(name);
    await watched.page.getByRole('link', { name: 'stopped' }).click();
    await expect.poll(text, patience).toContain('Stopped before its end');
  });

  it('an interrupted run: where it stopped, how it goes on, and what it has', async () => {
    await show('stopped');
    await expect.poll(text, patience).toMatch(/stopped Stopped before its end, in \S+ \d/);
    expect(await text()).toContain('Exact match rose from 0.300 ±0.021 (base) to 0.500 ±0.021 (E1 1)');
    expect(await watched.page.locator('.command code').allTextContents()).toEqual([
      expect.stringMatching(/^search-e1 evolve --resume \S*stopped$/),
    ]);
    await show('stopped', '/rollouts?stage=grpo-2');
    await expect.poll(() => countShown(watched.page), patience).toBe(1);
    await show('begun');
    await expect.poll(text, patience).toContain('Nothing has been measured yet');
    await show('begun', '/pairs');
    await expect.poll(text, patience).toContain('This run has no such pairs');
    await show('damaged', '/rollouts');
    await expect.poll(() => countShown(watched.page), patience).toBe(1);
    await expect.poll(text, patience).toContain('grpo-1-step-0001.jsonl.gz: cannot be unpacked');
    await expectUnharmed(watched, server);
  });

  it('an evaluation: its figures as `compare` prints them, whose cells lead to the answers', async () => {
    await show('evaluations/done');
    await expect.poll(text, patience).toContain('finished');
    const page = await text();
    for (const name of names) expect(page.replaceAll(' ', '')).toContain(name.replaceAll(' ', ''));
    // Two of three right in each of five suites.
    expect(page).toContain('0.667');
    await watched.page.locator('.table tbody tr').first().getByRole('link').first().click();
    await expect.poll(() => countShown(watched.page), patience).toBe(3);
    await show('evaluations/done', '/rollouts?mark=wrong');
    await expect.poll(() => countShown(watched.page), patience).toBe(names.length);
    await watched.page.keyboard.press('Enter');
    await expect.poll(text, patience).toContain(markup);
    await show('evaluations/cut');
    await expect
      .poll(text, patience)
      .toContain('Stopped before its end: 10 answers so far to 15 questions a baseline, 5 of 10 right.');
    await expectUnharmed(watched, server);
  });

  it('an experiment: the figures of its summary, arm by arm, and its runs', async () => {
    await show('experiment');
    await expect.poll(text, patience).toContain('Claims');
    const page = await text();
    const { verdicts, differences, arms } = await readSummary(path.join(root, 'experiment', 'summary.json'));
    for (const { claim, verdict, sentence } of verdicts)
      for (const part of [claim, verdict, sentence]) expect(page).toContain(part.replace(/\s+/g, ' '));
    await watched.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })");
    const shown = await text();
    const figure = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(3)).replace('-', '−');
    for (const { estimate, low, high } of differences)
      expect(shown).toContain(`${figure(estimate)} [${figure(low)}, ${figure(high)}]`);
    for (const arm of arms) expect(shown).toContain(arm);
    await watched.page.getByRole('link', { name: 'experiment/seed-001/e1' }).click();
    await expect.poll(() => watched.page.url(), patience).toContain('seed-001%2Fe1');
    await watched.page.locator('.table').first().waitFor();
    await expectUnharmed(watched, server);
  });

  it('all of it from 400 to 2,000 pixels, light and dark, without a fault that axe finds', async () => {
    for (const [width, colorScheme] of [
      [400, 'light'],
      [2000, 'dark'],
    ] as const) {
      const { page } = await watchedPage(browser, { viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
      await load(page, server.url);
      for (const hash of [
        '#/',
        '#/s/stopped',
        '#/s/begun/pairs',
        '#/s/evaluations%2Fdone',
        '#/s/evaluations%2Fdone/rollouts',
        '#/s/experiment',
      ]) {
        await follow(page, hash);
        await heading(page);
        await page.waitForTimeout(200);
        await expectAccessible(page, width, hash);
      }
      await page.close();
    }
  });
});
