/** What the tests of the page share: a real Chromium, a server over a folder, and eyes for what must never happen. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import type { ListeningServer } from '../../base/http/listen.ts';
import { apiOf } from '../api.ts';
import { Library } from '../library.ts';
import { loadPage } from '../page-files.ts';
import { serveViewer } from '../server.ts';

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const executablePath = places.find((place) => place !== undefined && existsSync(place));
if (executablePath === undefined)
  console.warn('no Chromium here (CHROMIUM, /usr/bin/chromium): the page is not tested');

/** For a busy machine. */
export const patience = { timeout: 20_000, interval: 50 };

export interface Watched {
  readonly page: Page;
  /** Every address that the page asked for. */
  readonly asked: readonly string[];
  readonly errors: readonly string[];
}

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
}

export async function watchedPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  const asked: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (line) => line.type() === 'error' && errors.push(line.text()));
  page.on('dialog', (dialog) => {
    errors.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return { page, asked, errors };
}

export async function viewed(folder: string): Promise<ListeningServer> {
  const ask = apiOf(await Library.open(folder));
  return serveViewer({ port: 0, page: await loadPage(), ask, title: 'test' });
}

/** Loads an address anew, as somebody does who was sent it. */
export async function load(page: Page, address: string): Promise<void> {
  await page.goto('about:blank');
  await page.goto(address);
  await heading(page);
}

/** Goes on within the page, as a link does. */
export async function follow(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
}

export const heading = (page: Page) =>
  page
    .locator('main h1')
    .first()
    .waitFor({ state: 'attached', ...patience });

export const countShown = async (page: Page): Promise<number> =>
  Number((await page.locator('.count b').textContent())!.replaceAll(',', ''));

/** Keys of the rows of the table, in its order. */
export async function keysShown(page: Page): Promise<string[]> {
  const hrefs = (await page.evaluate(
    "[...document.querySelectorAll('tr[data-row] th a')].map((a) => a.getAttribute('href'))",
  )) as string[];
  return hrefs.map((href) => decodeURIComponent(/rollout\/([^?]+)/.exec(href)![1]!));
}

/** Nothing ran that stood in a text, nothing went wrong, and nobody but the server was asked. */
export async function expectUnharmed({ page, asked, errors }: Watched, server: ListeningServer): Promise<void> {
  expect(await page.evaluate('window.hit')).toBeUndefined();
  expect(errors).toEqual([]);
  for (const url of asked)
    expect(url.startsWith(server.url) || url.startsWith('data:') || url === 'about:blank').toBe(true);
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds, and what is wider than the page. Its context has to pass over the page's own policy. */
export async function expectAccessible(page: Page, width: number, what: string): Promise<void> {
  expect(await page.evaluate('document.documentElement.scrollWidth'), `${what} at ${width}`).toBeLessThanOrEqual(width);
  if (!(await page.evaluate('typeof axe === "object"'))) await page.addScriptTag({ path: AXE });
  const found = await page.evaluate(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: code of the browser
    'axe.run().then((r) => r.violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`))',
  );
  expect(found, `${what} at ${width}`).toEqual([]);
}
