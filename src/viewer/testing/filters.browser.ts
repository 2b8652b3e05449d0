/** Every filter of the page against a plain computation over the files, by the words of docs/viewing.md; and addresses that bring it back. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListeningServer } from '../../base/http/listen.ts';
import {
  countShown,
  executablePath,
  expectUnharmed,
  follow,
  keysShown,
  load,
  openBrowser,
  patience,
  viewed,
  type Watched,
  watchedPage,
} from './chromium.ts';
import { markNames, plainRollouts } from './plain-rollouts.ts';
import { said, writeRun } from './view-fixture.ts';

/** A line of a shard, as it stands there. */
interface Line {
  readonly questionId: string;
  readonly dataset: string;
  readonly question: string;
  readonly gold: readonly string[];
  readonly rollout: number;
  readonly answer: string | null;
  readonly correct: 0 | 1;
  readonly reward: number;
  readonly stop: string;
  readonly wellFormed: boolean;
  readonly grounded: boolean | null;
  readonly text: { readonly response: readonly string[] };
  readonly searches: readonly { readonly query: string }[];
  readonly training?: { readonly advantage: number | readonly number[] };
  readonly authors: readonly number[];
}

interface Told extends Line {
  readonly key: string;
  readonly shard: string;
  readonly marks: ReadonlySet<string>;
}

/** Of the shards, in the order of the page. */
const shards = [
  'base-greedy-4',
  'base-sampled-2',
  'grpo-1-held-out-step-0001',
  'grpo-1-step-0001',
  'grpo-1-step-0002',
  'grpo-1-greedy-4',
  'pool-1-0000',
  'e1-1-greedy-4',
];

/** All rollouts by plain loops, in the order of the page. */
async function readPlainly(folder: string): Promise<Told[]> {
  expect((await readdir(path.join(folder, 'trajectories'))).length).toBe(shards.length);
  const told = plainRollouts(folder).map(({ line, key, row, marks }) => {
    return { ...(line as Line), key, shard: row.place.shard as string, marks };
  });
  // Lines of a shard keep their order.
  return told.sort((one, other) => shards.indexOf(one.shard) - shards.indexOf(other.shard));
}

const asks = [
  said({ id: 'a' }),
  said({ id: 'b', correct: 0, answer: 'lead', shown: 'it is gold or lead' }),
  said({ id: 'c', correct: 0, answer: null, stop: 'no-answer', shown: 'nothing of it', wellFormed: false }),
  said({ id: 'd', correct: 0, answer: 'tin', shown: 'nothing of it', suite: 'popqa' }),
  said({ id: 'e', answer: 'the Gold!', shown: 'marigold fields', suite: 'popqa' }),
  said({ id: 'f', queries: ['The gold mine', 'gold mine', 'tin'], shown: 'of the GOLD, of tin' }),
  said({ id: 'g', queries: [], answer: 'gold', shown: '' }),
  said({ id: 'h', correct: 0, answer: null, stop: 'response-full', queries: ['x', 'y'] }),
  said({ id: 'i', correct: 0, answer: null, stop: 'context-full', wellFormed: false }),
  said({ id: 'j', gold: ['yes'], answer: 'yes', shown: 'yes, certainly' }),
  said({ id: 'k', correct: 0, answer: null, stop: 'search-failed' }),
  said({ id: 'l', gold: ['silver fox', 'fox'], answer: 'fox', shown: 'a silver-fox stood' }),
];
const wrongNow = (id: string) => said({ id, correct: 0, answer: 'no idea' });
const trained = (id: string, rollout: number, reward: number, advantage: number) =>
  said({ id, rollout, reward, correct: reward > 0.5 ? 1 : 0, training: { advantage } });

describe.skipIf(executablePath === undefined)('the filters of the page', () => {
  let folder: string;
  let server: ListeningServer;
  let browser: Browser;
  let watched: Watched;
  let told: readonly Told[];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'viewer-filters-'));
    await writeRun(folder, {
      'base-greedy-4': asks.map((one) => (['a', 'l'].includes(one.questionId) ? wrongNow(one.questionId) : one)),
      'base-sampled-2': asks.slice(0, 3),
      'grpo-1-held-out-step-0001': [said({ id: 'ho' }), said({ id: 'ho', rollout: 1 })],
      'grpo-1-step-0001': [0, 1, 2].map((rollout) => trained('t', rollout, 1, 0)),
      'grpo-1-step-0002': [
        ...[0, 1, 2].map((rollout) => trained('u', rollout, rollout / 2, rollout - 1)),
        said({ id: 'v', rollout: 0, stop: 'deadline', answer: null, correct: 0, reward: 0 }),
        trained('v', 1, 1, 0.25),
        trained('v', 2, 1, 0.25),
        said({ id: 'w', reward: -0.5, correct: 0, training: { advantage: [0.5, -1.5] } }),
      ],
      'grpo-1-greedy-4': asks,
      'pool-1-0000': [trained('p', 0, 0, 0), trained('p', 1, 0, 0), trained('r', 0, 1, 0)],
      'e1-1-greedy-4': asks.map((one) =>
        one.questionId === 'j' ? said({ id: 'j', gold: ['yes'], correct: 0, answer: null, stop: 'no-answer' }) : one,
      ),
    });
    told = await readPlainly(folder);
    server = await viewed(folder);
    browser = await openBrowser();
    watched = await watchedPage(browser);
    await load(watched.page, `${server.url}#/s/./rollouts`);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close(1);
    await rm(folder, { recursive: true, force: true });
  });

  const expectFor = async (query: string, holds: (one: Told) => boolean) => {
    await follow(watched.page, `#/s/./rollouts?${query}`);
    const wanted = told.filter(holds).map(({ key }) => key);
    await expect.poll(() => keysShown(watched.page), { ...patience, message: query }).toEqual(wanted);
    return wanted.length;
  };

  it('show what holds, what does not, and both together, with the counts that they promise', async () => {
    for (const name of markNames) {
      const with_ = await expectFor(`mark=${name}`, ({ marks }) => marks.has(name));
      // Each says something of these rollouts, and not of all.
      expect(with_, name).toBeGreaterThan(0);
      expect(await expectFor(`not=${name}`, ({ marks }) => !marks.has(name)), name).toBe(told.length - with_);
    }
    await expectFor(
      'mark=wrong&mark=misread&not=malformed',
      ({ marks }) => marks.has('wrong') && marks.has('misread') && !marks.has('malformed'),
    );
    await follow(watched.page, '#/s/./rollouts?part=evaluation');
    const evaluated = told.filter(({ shard }) => /-(greedy|sampled)-\d$/.test(shard));
    await expect.poll(() => countShown(watched.page), patience).toBe(evaluated.length);
    const counts = await watched.page.locator('ul.marks li b').allTextContents();
    expect(counts.map(Number)).toEqual(
      markNames.map((name) => evaluated.filter(({ marks }) => marks.has(name)).length),
    );
  });

  it('choose stages, parts, ways of asking, suites and ends', async () => {
    const of = (pattern: RegExp) => (one: Told) => pattern.test(one.shard);
    await expectFor('stage=grpo-1', of(/^grpo-1/));
    await expectFor('stage=base&stage=e1-1', of(/^(base-|e1-1-greedy)/));
    await expectFor('part=step', of(/^grpo-1-step/));
    await expectFor('part=held-out', of(/held-out/));
    await expectFor('part=pool', of(/^pool-1-0000$/));
    await expectFor('part=evaluation', of(/(greedy|sampled)-\d$/));
    await expectFor('mode=sampled-2', of(/sampled-2$/));
    await expectFor('suite=popqa', ({ dataset }) => dataset === 'popqa');
    for (const stop of new Set(told.map((one) => one.stop)))
      await expectFor(`stop=${stop}`, (one) => one.stop === stop);
    await expectFor('question=a', ({ questionId }) => questionId === 'a');
  });

  it('bound reward, advantage, searches, tokens and step, and what has none is outside', async () => {
    const advantage = ({ training }: Told) =>
      training === undefined
        ? null
        : typeof training.advantage === 'number'
          ? training.advantage
          : training.advantage.reduce((a, b) => a + b, 0) / training.advantage.length;
    const tokens = ({ authors }: Told) => authors.filter((_, i) => i % 2 === 0).reduce((a, b) => a + b, 0);
    await expectFor('reward=..<0.5', ({ reward }) => reward < 0.5);
    await expectFor('reward=0.5..0.5', ({ reward }) => reward === 0.5);
    await expectFor('advantage=0..', (one) => advantage(one) !== null && advantage(one)! >= 0);
    await expectFor(
      'advantage=-1..<0',
      (one) => advantage(one) !== null && advantage(one)! >= -1 && advantage(one)! < 0,
    );
    await expectFor('searches=2..', ({ searches }) => searches.length >= 2);
    await expectFor('searches=0..0', ({ searches }) => searches.length === 0);
    await expectFor('tokens=3..4', (one) => tokens(one) >= 3 && tokens(one) <= 4);
    await expectFor('step=2..2', ({ shard }) => shard === 'grpo-1-step-0002');
  });

  it('search questions, gold answers, answers, thoughts, queries and passages, in either case', async () => {
    const texts = (one: Told) => [one.question, ...one.gold, one.answer ?? '', ...one.text.response];
    for (const [text, most] of [
      ['gold or LEAD', 6],
      ['Silver-Fox', 3],
      ['no idea', 4],
      ['marigold', 3],
      ['what is p', 3],
      ['GOLD MINE', 3],
      ['nowhere to be found', 0],
    ] as const) {
      const found = await expectFor(new URLSearchParams({ text }).toString(), (one) =>
        texts(one).some((said) => said.toLowerCase().includes(text.toLowerCase())),
      );
      expect(found, text).toBeLessThanOrEqual(most);
    }
  });

  it('sort by what they say, either way', async () => {
    const { page } = watched;
    for (const [query, value] of [
      ['-reward', ({ reward }: Told) => reward],
      ['searches', ({ searches }: Told) => searches.length],
    ] as const) {
      await follow(page, `#/s/./rollouts?sort=${query}`);
      const down = query.startsWith('-') ? -1 : 1;
      const wanted = told.toSorted((a, b) => down * (value(a) - value(b))).map(({ key }) => key);
      await expect.poll(() => keysShown(page), { ...patience, message: query }).toEqual(wanted);
    }
  });

  it('are put together by hand, stand in the address, and survive a reload and the way back', async () => {
    const { page } = watched;
    await load(page, `${server.url}#/s/./rollouts`);
    await page.getByRole('button', { name: /^wrong answer/ }).click();
    await page.getByRole('button', { name: 'not malformed' }).click();
    await page.getByRole('checkbox', { name: /^E1 1/ }).check();
    await page.getByRole('searchbox').fill('it is');
    const holds = (one: Told) =>
      one.marks.has('wrong') &&
      !one.marks.has('malformed') &&
      /^e1-1-/.test(one.shard) &&
      [one.question, ...one.gold, one.answer ?? '', ...one.text.response].some((text) => text.includes('it is'));
    const wanted = told.filter(holds).map(({ key }) => key);
    expect(wanted.length).toBeGreaterThan(0);
    await expect.poll(() => keysShown(page), patience).toEqual(wanted);
    expect(new URLSearchParams(page.url().split('?')[1]).toString()).toBe(
      'mark=wrong&not=malformed&stage=e1-1&text=it+is',
    );
    await page.reload();
    await expect.poll(() => keysShown(page), patience).toEqual(wanted);
    await page.getByRole('button', { name: 'not malformed ×, take away' }).click();
    await expect.poll(() => page.url(), patience).not.toContain('not=');
    await page.goBack();
    await expect.poll(() => page.url(), patience).toContain('not=malformed');
    await expect.poll(() => keysShown(page), patience).toEqual(wanted);
    // A bin is a filter that can be clicked.
    await follow(page, '#/s/./rollouts?part=step');
    await page
      .getByRole('button', { name: /^reward .*: [1-9]\d* rollouts/ })
      .first()
      .click();
    await expect.poll(() => page.url(), patience).toMatch(/reward=/);
    await expect
      .poll(() => keysShown(page), patience)
      .toEqual(
        told.filter(({ shard, reward }) => shard.startsWith('grpo-1-step') && reward === -0.5).map(({ key }) => key),
      );
    await expectUnharmed(watched, server);
  });
});
