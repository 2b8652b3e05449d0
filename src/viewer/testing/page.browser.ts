/** The page in Chromium: keys, addresses, a live run, hostile text in every view, widths, light and dark, axe. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListeningServer } from '../../base/http/listen.ts';
import { fixturePair, fixtureResults, smallConfig } from '../../runs/testing/run-fixture.ts';
import { apiOf } from '../api.ts';
import { exportPage } from '../export-page.ts';
import { filterOf } from '../filter.ts';
import { Library } from '../library.ts';
import { loadPage } from '../page-files.ts';
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
import { said, writeRun, writeShardOf } from './view-fixture.ts';

const plain = [
  said({ id: 'a' }),
  said({ id: 'b', correct: 0, answer: 'lead', shown: 'it is gold or lead' }),
  said({ id: 'c', correct: 0, answer: null, stop: 'no-answer', shown: 'nothing of it', wellFormed: false }),
  said({ id: 'd', correct: 0, answer: 'tin', shown: 'nothing of it', suite: 'popqa' }),
];
const attacks = hostile.map((text, i) => ({
  ...said({
    id: `h${i} ${text}`,
    question: text,
    gold: [text],
    answer: text,
    shown: text,
    title: text,
    query: text,
    think: text,
    suite: text,
  }),
  ...(i % 4 === 1 && { stop: 'search-failed' as const, failure: text }),
}));
const all = [...plain, ...attacks];
const lost = all.map((one) => (one.questionId === 'a' ? said({ id: 'a', correct: 0, answer: 'no idea' }) : one));
const [markup] = hostile as [string];

/** A run every text of which is somebody else's. */
async function writeHostileRun(folder: string): Promise<void> {
  const config = smallConfig();
  const results = fixtureResults();
  const pool = attacks.flatMap((one) => [1, 3].map((rollout) => ({ ...one, rollout })));
  const text = (one: string) => ({ teacherPrompt: one, studentPrompt: one, response: [one, one, one] });
  await writeRun(
    folder,
    { 'base-greedy-4': lost, 'e1-1-greedy-4': all, 'pool-1-0000': pool },
    {
      config: { ...config, inputs: { ...config.inputs, questions: `data/${markup}`, template: hostile[2]! } },
      results: {
        ...results,
        measurements: results.measurements.map((one) => ({
          ...one,
          suites: one.suites.map((suite, i) => ({ ...suite, suite: hostile[i]! })),
        })),
        outcomes: results.outcomes.map((one) => ({ ...one, reason: hostile.slice(0, -1).join(' ') })),
      },
      pairs: attacks.map(({ questionId, question, gold }) => ({
        ...fixturePair(questionId),
        question: question!,
        gold: gold!,
        text: text(question!),
      })),
    },
  );
}

describe.skipIf(executablePath === undefined)('the page', () => {
  let root: string;
  let folder: string;
  let server: ListeningServer;
  let browser: Browser;
  let watched: Watched;

  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'viewer-'));
    // A folder's name may be markup too, as far as a name can.
    folder = path.join(root, 'run <img src=x onerror=window.hit=1>');
    await writeHostileRun(folder);
    server = await viewed(folder);
    browser = await openBrowser();
    watched = await watchedPage(browser);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close(1);
    await rm(root, { recursive: true, force: true });
  });

  const at = (hash: string) => load(watched.page, server.url + hash);
  const title = () => watched.page.locator('h1').textContent();
  const rollout = (line: number, shard = 'e1-1-greedy-4') => `#/s/./rollout/${shard}:${line}`;
  const pairKey = (line: number) => `#/s/./pair/e1-1-0001:${line}`;
  const groupOf = (i: number) => `#/s/./group/pool-1-0000/${encodeURIComponent(attacks[i]!.questionId)}`;

  it('goes by keys: j, Enter, j, k, Esc, / and typing, which is no command', async () => {
    const { page } = watched;
    await at('#/s/./rollouts?suite=nq&stage=e1-1');
    await expect.poll(() => countShown(page), patience).toBe(3);
    await page.keyboard.press('j');
    await page.locator('tr[aria-current]', { hasText: 'what is b ?' }).waitFor();
    await page.keyboard.press('Enter');
    await expect.poll(title, patience).toBe('what is b ?');
    expect(await page.locator('mark.gold').first().textContent()).toBe('gold');
    await page.keyboard.press('j');
    await expect.poll(title, patience).toBe('what is c ?');
    // The last of the filter.
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    await expect.poll(title, patience).toBe('what is b ?');
    await page.keyboard.press('Escape');
    await expect.poll(() => countShown(page), patience).toBe(3);
    await page.keyboard.press('/');
    await page.keyboard.type('jk');
    expect(await page.getByRole('searchbox').inputValue()).toBe('jk');
    await expect.poll(() => countShown(page), patience).toBe(0);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.url(), patience).toMatch(/rollouts$/);
    // A key belongs to the view that is there: without its filters, once it shows all.
    await expect.poll(() => countShown(page), patience).toBeGreaterThan(3);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.url(), patience).toMatch(/#\/s\/\.$/);
    // By the tabulator too: the first stop is the way home, then the views.
    await at('#/s/.');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Run');
    await at('#/s/./pairs');
    await page.locator('tr[aria-current]').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.locator('main.pair h1').waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => page.url(), patience).toMatch(/#\/s\/\.\/pairs$/);
  });

  it('is the same at every address after a reload', async () => {
    const { page } = watched;
    const sides = ['base', 'e1-1'].map((stage) => JSON.stringify(['.', stage, 'greedy-4']));
    const compared = new URLSearchParams({ a: sides[0]!, b: sides[1]!, change: 'gained' });
    for (const hash of [
      '#/s/.',
      '#/s/./rollouts?mark=misread&sort=-tokens',
      `${rollout(1)}?mark=misread&show=logprob`,
      groupOf(0),
      '#/s/./pairs?order=max',
      `${pairKey(2)}?order=max`,
      `#/compare?${compared}`,
    ]) {
      await at(hash);
      const read = async () => (await page.locator('main').innerText()).replace(/\s+/g, ' ');
      await expect.poll(read, patience).not.toContain('Reading');
      await page.waitForTimeout(150);
      const before = await read();
      expect(before.length, hash).toBeGreaterThan(40);
      await page.reload();
      await heading(page);
      await expect.poll(read, { ...patience, message: hash }).toBe(before);
      expect(page.url()).toBe(server.url + hash);
    }
  });

  it('shows text of others as text in every view, and asks nobody else for anything', async () => {
    const { page } = watched;
    // What a page shows of a text: line ends and blanks are the layout's, controls have no shape.
    const seen = (text: string) => text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, '');
    const shows = async (texts: readonly string[], what: string, many = false) => {
      await expect
        .poll(
          async () => {
            const body = seen((await page.evaluate('document.body.textContent')) as string);
            return texts.filter((text) => !body.includes(seen(text))).map((text) => text.slice(0, 60));
          },
          { ...patience, message: what },
        )
        .toEqual([]);
      if (!many) await expectUnharmed(watched, server);
    };
    await at('#/s/.');
    await shows([...hostile.slice(0, 7), path.basename(folder)], 'run');
    expect(await page.title()).toContain('<img src=x');
    await at('#/s/./rollouts');
    await shows(hostile, 'rollouts');
    for (const i of hostile.keys()) {
      await follow(page, rollout(4 + i));
      await shows([hostile[i]!], 'rollout', true);
      await expect.poll(title, patience).toBe(hostile[i]);
    }
    await expectUnharmed(watched, server);
    for (const show of ['logprob', 'mask', 'ids', 'raw']) {
      await follow(page, `${rollout(4)}?show=${show}`);
      await page.locator('.overlays [aria-pressed="true"]').waitFor();
    }
    await expectUnharmed(watched, server);
    for (const i of hostile.keys()) {
      await follow(page, groupOf(i));
      await expect.poll(title, patience).toBe(hostile[i]);
      await page.locator('article').nth(1).waitFor();
      await follow(page, pairKey(i));
      await page.locator('.beside article').nth(1).waitFor();
      await shows([hostile[i]!], 'pair', true);
    }
    await expectUnharmed(watched, server);
    await follow(page, '#/s/./pairs');
    await shows(hostile, 'pairs');
    await at('#/compare');
    // What failed on a side is not compared.
    await shows(
      hostile.filter((_, i) => i % 4 !== 1),
      'compare',
    );
    // Of addresses that others made up.
    for (const text of hostile)
      await follow(
        page,
        `#/s/./rollouts?suite=${encodeURIComponent(text)}&mark=${text}&text=${encodeURIComponent(text.slice(0, 200))}`,
      );
    await shows(['show all'], 'addresses', true);
    await follow(page, `#/s/./rollout/${markup}`);
    await page.locator('[role=alert]').waitFor();
    await follow(page, `#/s/${encodeURIComponent(markup)}`);
    await shows(['There is nothing of that name'], 'no source', true);
    // The server refuses what is none of its rollouts, or too long.
    expect(watched.errors.filter((text) => !/status of 4\d\d/.test(text))).toEqual([]);
    expect(await page.evaluate('window.hit')).toBeUndefined();
  });

  it('is sent as a file that runs nothing of what it shows either', async () => {
    const library = await Library.open(folder);
    const made = await exportPage(
      library,
      '.',
      filterOf(new URLSearchParams('stage=e1-1')),
      await loadPage(),
      apiOf(library),
    );
    const file = path.join(root, 'sent.html');
    await writeFile(file, made.html);
    const sent = await watchedPage(browser);
    await sent.page.goto(`file://${file}#/s/./rollouts`);
    await expect.poll(() => countShown(sent.page), patience).toBe(all.length);
    for (const i of [0, 2, 8, 13]) {
      await follow(sent.page, rollout(4 + i));
      await expect.poll(() => sent.page.locator('h1').textContent(), patience).toBe(hostile[i]);
    }
    expect(await sent.page.evaluate('window.hit')).toBeUndefined();
    expect(sent.errors).toEqual([]);
    expect(sent.asked.filter((url) => !url.startsWith('file:') && !url.startsWith('data:'))).toEqual([]);
    await sent.page.close();
  });

  it('follows a run: what is written appears', async () => {
    await at('#/s/./rollouts?stage=grpo-1');
    await expect.poll(() => watched.page.locator('.empty').count(), patience).toBe(1);
    await writeShardOf(folder, 'grpo-1-step-0001', [said({ id: 'new' })]);
    await expect.poll(() => countShown(watched.page), patience).toBe(1);
    await writeShardOf(folder, 'grpo-1-step-0001', [said({ id: 'new' }), said({ id: 'newer' })]);
    await expect.poll(() => countShown(watched.page), patience).toBe(2);
  });

  it('fits 400 to 2,000 pixels, in the light and in the dark, and has no fault that axe finds', async () => {
    const views = [
      '#/s/.',
      '#/s/./rollouts',
      '#/s/./rollouts?mark=misread&text=gold',
      rollout(1),
      `${rollout(1)}?show=logprob`,
      groupOf(0),
      '#/s/./pairs',
      pairKey(1),
      '#/compare',
    ];
    for (const [width, colorScheme] of [
      [400, 'dark'],
      [2000, 'light'],
    ] as const) {
      const { page } = await watchedPage(browser, { viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
      await load(page, server.url + views[0]);
      for (const hash of views) {
        await follow(page, hash);
        await heading(page);
        await page.waitForTimeout(200);
        await expectAccessible(page, width, hash);
      }
      await page.close();
    }
  });

  it('serves nothing without the word in its address, nor to pages of elsewhere', async () => {
    const { origin } = new URL(server.url);
    for (const place of ['/', '/app.js', '/api/sources', '/wrong/api/sources'])
      expect((await fetch(origin + place)).status).toBe(404);
    expect((await fetch(server.url, { headers: { Origin: 'https://elsewhere.example' } })).status).toBe(403);
    expect((await fetch(server.url, { method: 'POST' })).status).toBe(405);
    const { headers } = await fetch(server.url);
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'/);
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  });
});
