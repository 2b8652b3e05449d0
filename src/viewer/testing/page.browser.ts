/** The page in Chromium: filters against a plain computation over the files, addresses, keys, a live run, hostile text, widths, axe. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListeningServer } from '../../base/http/listen.ts';
import { apiOf } from '../api.ts';
import { Library } from '../library.ts';
import { loadPage } from '../page-files.ts';
import { serveViewer } from '../server.ts';
import { said, writeRun, writeShardOf } from './view-fixture.ts';

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = places.find((place) => place !== undefined && existsSync(place));
if (executablePath === undefined)
  console.warn('no Chromium here (CHROMIUM, /usr/bin/chromium): the page is not tested');

/** For a busy machine. */
const patience = { timeout: 60_000 };

/** Each would do something where text is taken for markup, a style, an address or a control. */
const hostile = [
  '<img src=x onerror="window.hit=1">',
  '<script>window.hit=1</script>',
  '</script><script>window.hit=1</script>',
  '"><svg onload=window.hit=1>',
  "javascript:window.hit=1//'",
  '{{constructor.constructor("window.hit=1")()}}',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as text
  '${window.hit=1}',
  '<iframe srcdoc="<script>parent.hit=1</script>">',
  '<style>*{display:none}</style>',
  '<a href="data:text/html,<script>window.hit=1</script>">x</a>',
  '__proto__',
  '\u202Egnp.exe\u202C \u0000\u0007\u001b]52;c;aGk=\u0007',
  '<!-- --><b>&lt;&amp;',
  '<base href="https://elsewhere.example/">',
  '<meta http-equiv="refresh" content="0;url=https://elsewhere.example/">',
  '[INST] <|im_end|> </answer>',
  '='.repeat(3000),
];

const all = [
  said({ id: 'a' }),
  said({ id: 'b', correct: 0, answer: 'lead', shown: 'it is gold or lead' }),
  said({ id: 'c', correct: 0, answer: null, stop: 'no-answer', shown: 'nothing of it', wellFormed: false }),
  said({ id: 'd', correct: 0, answer: 'tin', shown: 'nothing of it', suite: 'popqa' }),
  ...hostile.map((text, i) =>
    said({
      id: `h${i} ${text}`,
      question: text,
      gold: [text],
      answer: text,
      shown: text,
      title: text,
      query: text,
      think: text,
      suite: 'hostile',
    }),
  ),
];

describe.skipIf(executablePath === undefined)('the page', () => {
  let folder: string;
  let server: ListeningServer;
  let browser: Browser;
  let page: Page;
  const asked: string[] = [];
  const errors: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'viewer-'));
    const lost = all.map((one) => (one.questionId === 'a' ? said({ id: 'a', correct: 0, answer: 'no idea' }) : one));
    await writeRun(folder, { 'base-greedy-4': lost, 'e1-1-greedy-4': all });
    const library = await Library.open(folder);
    server = await serveViewer({ port: 0, page: await loadPage(), ask: apiOf(library), title: 'test' });
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.on('request', (request) => asked.push(request.url()));
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (line) => line.type() === 'error' && errors.push(line.text()));
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close(1);
    await rm(folder, { recursive: true, force: true });
  });

  const show = async (hash: string) => {
    // Another document, not only another address of the same.
    await page.goto('about:blank');
    await page.goto(`${server.url}${hash}`);
    await page.locator('main h1').first().waitFor({ state: 'attached' });
  };
  const count = async () => Number((await page.locator('.count b').textContent())!.replaceAll(',', ''));

  it('counts what a plain computation counts, and filters to it', async () => {
    await show('#/s/./rollouts');
    const both = [...all, ...all];
    await expect.poll(count, patience).toBe(both.length);
    const wrong = both.filter(({ correct, answer }) => correct === 0 && answer !== null).length + 1;
    const mark = page.getByRole('button', { name: /^wrong answer/ });
    expect(await mark.textContent()).toContain(String(wrong));
    await mark.click();
    await expect.poll(count, patience).toBe(wrong);
    // The address is the filter: a reload changes nothing.
    expect(page.url()).toContain('mark=wrong');
    await page.reload();
    await expect.poll(count, patience).toBe(wrong);
    await page.getByRole('searchbox').fill('gold or LEAD');
    await expect.poll(count, patience).toBe(2);
  });

  it('goes by keys: j, Enter, j, k, Esc', async () => {
    await show('#/s/./rollouts?suite=nq&stage=e1-1');
    await expect.poll(count, patience).toBe(3);
    await page.keyboard.press('j');
    await page.locator('tr[aria-current]', { hasText: 'what is b ?' }).waitFor();
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('h1').textContent(), patience).toBe('what is b ?');
    expect(await page.locator('mark.gold').first().textContent()).toBe('gold');
    await page.keyboard.press('j');
    await expect.poll(() => page.locator('h1').textContent(), patience).toBe('what is c ?');
    await page.keyboard.press('k');
    await expect.poll(() => page.locator('h1').textContent(), patience).toBe('what is b ?');
    await page.keyboard.press('Escape');
    await expect.poll(count, patience).toBe(3);
  });

  it('shows text of others as text, and asks nobody else for anything', async () => {
    for (let i = 0; i < hostile.length; i++) {
      await show(`#/s/./rollout/e1-1-greedy-4:${4 + i}`);
      await expect.poll(() => page.locator('.said.think').first().textContent(), patience).toContain('think');
      expect(await page.evaluate('window.hit')).toBeUndefined();
    }
    for (const url of asked) expect(url.startsWith(server.url) || url.startsWith('data:')).toBe(true);
    expect(errors).toEqual([]);
  });

  it('follows a run: what is written appears', async () => {
    await show('#/s/./rollouts');
    await expect.poll(count, patience).toBe(2 * all.length);
    await writeShardOf(folder, 'grpo-1-step-0001', [said({ id: 'new' })]);
    await expect.poll(count, patience).toBe(2 * all.length + 1);
  });

  it('fits 400 to 2,000 pixels, in the light and in the dark, and has no fault that axe finds', async () => {
    const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
    for (const [width, colorScheme] of [
      [400, 'dark'],
      [2000, 'light'],
      [1280, 'dark'],
    ] as const) {
      const other = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
      for (const hash of ['#/s/.', '#/s/./rollouts', '#/s/./rollout/e1-1-greedy-4:1', '#/s/./pairs', '#/compare']) {
        await other.goto(`${server.url}${hash}`);
        await other.reload();
        await other.locator('main h1').first().waitFor({ state: 'attached' });
        await other.waitForTimeout(300);
        expect(await other.evaluate('document.documentElement.scrollWidth'), `${hash} at ${width}`).toBeLessThanOrEqual(
          width,
        );
        await other.addScriptTag({ path: axe });
        const found = await other.evaluate(
          // biome-ignore lint/suspicious/noTemplateCurlyInString: code of the browser
          'axe.run().then((r) => r.violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`))',
        );
        expect(found, `${hash} at ${width}`).toEqual([]);
      }
      await other.close();
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
