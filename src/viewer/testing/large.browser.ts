/** A run of 100,000 rollouts: what is read is shown at once, an address leads to its rollout at once, and the numbers are right in the end. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { INDEX_FILE } from '../kept-index.ts';
import {
  countShown,
  executablePath,
  expectUnharmed,
  follow,
  keysShown,
  load,
  openBrowser,
  viewed,
  watchedPage,
} from './chromium.ts';
import { ROLLOUTS_OF_STEP, writeLargeRun } from './large-run.ts';

const ROLLOUTS = 100_000;
const STEPS = ROLLOUTS / ROLLOUTS_OF_STEP;
/** For a machine on which others work: what is asked of an idle one is measured by bench:viewer. */
const patience = { timeout: 150_000, interval: 50 };

describe.skipIf(executablePath === undefined)('a run of 100,000 rollouts', () => {
  let folder: string;
  let browser: Browser;
  /** By the formula that it was made with. */
  const expected = { right: 0, misread: 0, word: 0, last: '' };

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'viewer-large-'));
    const seen = ({ correct, gold, text, question }: Trajectory) => {
      const shown = text!.response.flatMap((said, i) => (i % 2 === 1 ? said.split(' ') : []));
      expected.right += correct;
      if (correct === 0 && shown.includes(gold![0]!)) expected.misread += 1;
      if (`${question} ${text!.response.join(' ')}`.includes('kalomir ')) expected.word += 1;
      expected.last = question!;
    };
    await writeLargeRun(folder, ROLLOUTS, { seen, withRows: false });
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is shown as far as it has been read, and in the end is what it was made of', async () => {
    const server = await viewed(folder);
    const watched = await watchedPage(browser);
    const { page } = watched;
    try {
      await load(page, `${server.url}#/s/./rollouts`);
      // Not work that waits for the last file: rows stand there while most of it is still to be read.
      await expect.poll(() => keysShown(page).then(({ length }) => length), patience).toBe(100);
      const [first] = await keysShown(page);
      expect(first).toBe('grpo-1-step-0001:0');
      const early = await countShown(page);
      expect(early).toBeGreaterThan(0);
      expect(early).toBeLessThan(ROLLOUTS / 2);
      expect(await page.locator('.count').textContent()).toMatch(/so far$/);
      // What an address names is read before its turn.
      await follow(page, `#/s/./rollout/grpo-1-step-0${STEPS}:${ROLLOUTS_OF_STEP - 1}`);
      await expect.poll(() => page.locator('h1').textContent(), patience).toBe(expected.last);
      await follow(page, '#/s/./rollouts?mark=misread');
      await page.locator('.chips').waitFor();
      expect(await page.locator('.count').textContent()).toMatch(/so far$/);
      await expect.poll(() => countShown(page), patience).toBe(expected.misread);
      await expect.poll(() => page.locator('.count').textContent(), patience).toMatch(/of 100,000 rollouts$/);
      for (const [query, count] of [
        ['', ROLLOUTS],
        ['mark=right', expected.right],
        ['text=kalomir+', expected.word],
        ['step=7..7', ROLLOUTS_OF_STEP],
      ] as const) {
        await follow(page, `#/s/./rollouts?${query}`);
        await expect.poll(() => countShown(page), { ...patience, message: query }).toBe(count);
      }
      await expectUnharmed(watched, server);
      await expect.poll(() => existsSync(path.join(folder, INDEX_FILE)), patience).toBe(true);
    } finally {
      await page.close();
      await server.close(1);
    }
  });

  it('opens whole from its kept index', async () => {
    const server = await viewed(folder);
    const { page } = await watchedPage(browser);
    try {
      await load(page, `${server.url}#/s/./rollouts?mark=misread`);
      await expect.poll(() => countShown(page), patience).toBe(expected.misread);
      // It is there at once or not at all: nothing was read shard by shard.
      expect(await page.locator('.count').textContent()).toMatch(/of 100,000 rollouts$/);
    } finally {
      await page.close();
      await server.close(1);
    }
  });

  it('draws the rows of a filter soon after the click', async () => {
    const server = await viewed(folder);
    const { page } = await watchedPage(browser);
    try {
      await load(page, `${server.url}#/s/./rollouts`);
      await expect.poll(() => page.locator('.count').textContent(), patience).toMatch(/of 100,000 rollouts$/);
      const taken: Record<string, number> = {};
      for (const [what, script] of Object.entries(clicks)) {
        const times: number[] = [];
        // There and back again.
        for (let i = 0; i < CLICKS; i++) times.push((await page.evaluate(untilDrawn(script))) as number);
        taken[what] = Math.round(times.sort((a, b) => a - b)[CLICKS >> 1]!);
      }
      const busy = os.loadavg()[0]!.toFixed(1);
      console.info(`milliseconds from the click to the rows, median of ${CLICKS}, load ${busy}:`, taken);
      // For a machine on which others work.
      for (const [what, time] of Object.entries(taken)) expect(time, what).toBeLessThan(5000);
    } finally {
      await page.close();
      await server.close(1);
    }
  });
});

const CLICKS = 10;
/** What is clicked, and clicked again, as code of the page. */
const clicks = {
  'a mark': `document.querySelector('button.mark')`,
  'a mark left out': `document.querySelectorAll('button.not')[4]`,
  'a suite': `[...document.querySelectorAll('fieldset')].find((one) => /Suite/.test(one.textContent)).querySelector('input')`,
  'a bin of searches, or all': `[...document.querySelectorAll('.bins')].find((one) => /searches/.test(one.textContent)).querySelector('.bins-head button, .bars button')`,
};

/** Milliseconds until another count stands there and the frame with its rows has been drawn. */
function untilDrawn(clicked: string): string {
  return `new Promise((done) => {
    const count = () => document.querySelector('.count').textContent;
    const [before, begun] = [count(), performance.now()];
    const look = () => {
      if (count() === before) return;
      seen.disconnect();
      requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
    };
    const seen = new MutationObserver(look);
    seen.observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true });
    ${clicked}.click();
  })`;
}
