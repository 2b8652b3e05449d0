/** The exported page as a file: what it holds, that no text leaves its element, and that its own policy admits its script and nothing else. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sealed } from '../base/sealed.ts';
import { smallConfig } from '../runs/testing/run-fixture.ts';
import { apiOf } from './api.ts';
import { exportPage } from './export-page.ts';
import { everything, filterOf } from './filter.ts';
import { Library } from './library.ts';
import { said, writeRun } from './testing/view-fixture.ts';
import type { Overview, TrajectoryDetail } from './wire.ts';

/** As the page reads it. */
interface Exported {
  readonly overview: Overview;
  readonly rollouts: readonly TrajectoryDetail[];
  readonly of: number;
}

const hostile = '</script><script>window.hit=1</script><!-- \u2028';
const page = { script: 'const close = "</script>", open = "<!--";', style: 'body { color: red }' };

let folder: string;
let library: Library;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'export-page-'));
  await writeRun(folder, {
    'base-greedy-4': [said({ id: 'a' }), said({ id: 'b', question: hostile, answer: hostile, correct: 0 })],
    'grpo-1-step-0001': Array.from({ length: 301 }, (_, rollout) => said({ id: 'c', rollout })),
  });
  library = await Library.open(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const exported = async (query: string) => {
  const made = await exportPage(library, '.', filterOf(new URLSearchParams(query)), page, apiOf(library));
  const [, data] = /<script type="application\/json" id="exported">(.*?)<\/script>/s.exec(made.html)!;
  return { ...made, data: JSON.parse(data!) as Exported, text: data! };
};

it('holds the chosen rollouts with their texts, and says of how many', async () => {
  const { data, rollouts, of, withTokens } = await exported('mark=wrong');
  expect([rollouts, of, withTokens]).toEqual([1, 303, true]);
  expect(data.of).toBe(303);
  const [one] = data.rollouts;
  expect(one!.row.answer).toBe(hostile);
  expect(one!.tokens?.ids).toEqual([5, 6, 7, 8]);
  expect(data.overview.sentence).toMatch(/This page holds 1 of 303 rollouts: mark=wrong\.$/);
  // Pairs are not in it.
  expect(data.overview.pairStages).toEqual([]);
});

it('leaves tokens out beyond 300 rollouts, and says nothing of a choice where all are in it', async () => {
  const { data, withTokens, rollouts } = await exported('');
  expect([rollouts, withTokens]).toEqual([303, false]);
  expect(data.rollouts.every(({ tokens, promptIds, raw }) => tokens === null && promptIds === null && raw === '')).toBe(
    true,
  );
  expect(data.overview.sentence).not.toContain('This page holds');
  const step = await exported('stage=grpo-1&searches=1..1&step=1..1');
  expect([step.rollouts, step.withTokens]).toEqual([301, false]);
});

it('lets no text end its element, and its policy admits the script and the style in it and nothing else', async () => {
  const { html, text } = await exported('mark=wrong');
  expect(text).not.toMatch(/[<\u2028\u2029]/);
  const scripts = [...html.matchAll(/<script>(.*?)<\/script>/gs)].map(([, code]) => code!);
  expect(scripts).toHaveLength(1);
  expect(scripts[0]).not.toContain('<!--');
  const [, policy] = /Content-Security-Policy" content="([^"]+)"/.exec(html)!;
  const hash = (of: string) => `'sha256-${createHash('sha256').update(of).digest('base64')}'`;
  const rules = policy!.split('; ');
  expect(rules).toContain("default-src 'none'");
  expect(rules).toContain(`script-src ${hash(scripts[0]!)}`);
  expect(rules).toContain(`style-src ${hash(page.style)}`);
  expect(policy).not.toContain('unsafe');
});

it('does not tell where the run and its files lay', async () => {
  const deep = path.join(folder, 'Home of Zelda', 'secret-project');
  const named = path.join(deep, 'own-name');
  const failed = `cannot read ${deep}/index/terms.bin (ENOENT), nor C:\\Users\\zelda\\index.bin, asked http://127.0.0.1:9/search/all`;
  await writeRun(named, { 'base-greedy-4': [{ ...said({ id: 'a', stop: 'search-failed' }), failure: failed }] });
  const config = smallConfig();
  const inputs = {
    ...config.inputs,
    questions: `${deep}/my questions.jsonl`,
    corpus: 'zelda data/passages.jsonl',
    tokenizer: '../zelda/tokenizer.json',
    model: 'hf:owner/name',
    evaluate: [{ suite: 'nq', file: '~/zelda/nq.jsonl' }],
  };
  await writeFile(path.join(named, 'config.json'), sealed({ ...config, inputs }));
  const outer = await Library.open(path.join(folder, 'Home of Zelda'));
  const { html } = await exportPage(outer, 'secret-project/own-name', everything, page, apiOf(outer));
  expect(html).not.toMatch(/zelda|secret-project/i);
  expect(html).not.toContain(path.basename(folder));
  expect(html).toContain('<title>own-name, 1 rollouts</title>');
  const [, data] = /<script type="application\/json" id="exported">(.*?)<\/script>/s.exec(html)!;
  const { overview, rollouts } = JSON.parse(data!) as Exported;
  expect(overview.source).toEqual({ id: '.', kind: 'run', name: 'own-name' });
  expect(overview.next).toEqual([]);
  expect(JSON.parse(overview.settings).inputs).toEqual({
    ...inputs,
    questions: 'my questions.jsonl',
    corpus: 'passages.jsonl',
    tokenizer: 'tokenizer.json',
    evaluate: [{ suite: 'nq', file: 'nq.jsonl' }],
  });
  // Settings and names that are no places stay.
  expect(JSON.parse(overview.settings).settings).toEqual(JSON.parse(JSON.stringify(config.settings)));
  expect(rollouts[0]!.failure).toBe(
    'cannot read terms.bin (ENOENT), nor index.bin, asked http://127.0.0.1:9/search/all',
  );
});

it('refuses a choice of nothing', async () => {
  const none = exportPage(library, '.', { ...everything, suites: ['none'] }, page, apiOf(library));
  await expect(none).rejects.toThrow('no rollout is like that');
});
