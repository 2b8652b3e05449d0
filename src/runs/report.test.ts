import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readReportInput, renderReport } from './report.ts';
import { RunDirectory } from './run-directory.ts';
import {
  fixtureMetrics,
  fixturePair,
  fixtureResults,
  fixtureStages,
  fixtureTiming,
  fixtureTrajectory,
  smallConfig,
} from './testing/run-fixture.ts';

/** Each id is one word; 11 and 12 are two halves of a character that decode only together. */
const words = [
  '',
  '<q>',
  'who',
  'is',
  'it?</q>',
  '<search>',
  'x</search>',
  '<script>alert(1)</script>',
  '"&\'',
  'doc',
  '<answer>',
];
const tokenizer = {
  decode: (ids: readonly number[]) => {
    const text = ids.map((id) => (id === 11 ? '\uE001' : id === 12 ? '\uE002' : ` ${words[id]}`)).join('');
    return text.replaceAll('\uE001\uE002', 'é</answer>').replaceAll(/[\uE001\uE002]/g, '\uFFFD');
  },
};

let folder: string;
beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'report-')), 'run');
});
afterEach(() => rm(path.dirname(folder), { recursive: true, force: true }));

async function report(): Promise<string> {
  const run = await RunDirectory.create(folder, smallConfig());
  for (const record of fixtureMetrics()) await run.metric(record);
  for (const [index, stage] of fixtureStages.entries())
    await run.writeTrajectories(`${stage}-greedy-4`, [
      fixtureTrajectory('learned', 0, index > 1 ? 1 : 0),
      fixtureTrajectory('<i>known', 0, 1),
    ]);
  await run.writePairs('e1-1-0001', [
    fixturePair('<u>pair'),
    { ...fixturePair('other'), student: { rollout: 0, correct: true } },
  ]);
  await run.writePairs('e1-1-0002', [fixturePair('of the second step')]);
  await run.writeResults(fixtureResults(), fixtureTiming);
  const page = renderReport(await readReportInput(run.files), tokenizer);
  await run.close();
  return page;
}

describe('report.html', () => {
  it('shows pairs whose divergence was not measured, and says so', async () => {
    const run = await RunDirectory.create(folder, smallConfig());
    await run.writePairs('e1-1-0001', [{ ...fixturePair('unmeasured'), kl: null }]);
    await run.writeResults(fixtureResults(), fixtureTiming);
    const page = renderReport(await readReportInput(run.files), tokenizer);
    await run.close();
    expect(page).toContain('unmeasured');
    expect(page).toContain('divergence not measured');
    expect(page).not.toContain('NaN');
  });

  it('holds tables, curves, stages, examples, pairs and settings', async () => {
    const page = await report();
    expect(page.match(/<table>/g)).toHaveLength(4 + 3);
    const unfolded = page.replace(/<details><summary>Greedy answers and other budgets.*?<\/details>/s, '');
    expect(unfolded.match(/<table>/g)).toHaveLength(1 + 3);
    expect(page.match(/<svg /g)).toHaveLength(3 + 8);
    expect(page).toContain('held-out questions');
    expect(page).toContain('0.500 ±0.021');
    expect(page).toContain('GRPO 2: stopped by a guard');
    // The made-up metrics have none.
    expect(page).not.toContain('Gradient norm before clipping');
    expect(page).toContain('wrong at first, right in the end');
    // Those that did not change, and the stages between, are the viewer's; its command can be given where the folder is.
    expect(page).not.toContain('question &lt;i&gt;known');
    expect(page.match(/<details open><summary><b>/g)).toHaveLength(2);
    expect(page).toContain('<code>search-e1 view run</code>');
    expect(page).toContain('Question &lt;u&gt;pair');
    expect(page).not.toContain('of the second step');
    expect(page).toContain('&quot;learningRate&quot;: 0.0003');
    expect(page).toContain('sampling</th>');
  });

  it('escapes everything and asks nothing of the network', async () => {
    const page = await report();
    expect(page).not.toContain('<script');
    expect(page).not.toContain('<i>known');
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).not.toMatch(/https?:|\bsrc=|url\(|@import/);
    expect(page).toContain("default-src 'none'");
  });

  it('is well formed: every element is closed where it was opened', async () => {
    const open: string[] = [];
    const empty = new Set(['meta', 'br']);
    const body = (await report()).replace(/<style>[\s\S]*?<\/style>/, '').replace('<!doctype html>', '');
    for (const [, slash, name, selfClosed] of body.matchAll(/<(\/?)([a-z0-9]+)(?:\s[^<>]*?)?(\/?)>/g)) {
      if (slash === '/') expect(open.pop()).toBe(name);
      else if (selfClosed !== '/' && !empty.has(name!)) open.push(name!);
    }
    expect(open).toEqual([]);
    // Nothing that looks like a tag was missed by the pattern.
    expect(body.replaceAll(/<\/?[a-z0-9]+(?:\s[^<>]*?)?\/?>/g, '')).not.toMatch(/[<>]/);
  });

  it('tells the authors apart and marks searches and answers', async () => {
    const page = await report();
    expect(page).toContain(
      '<span class="policy" title="policy, 2 tokens"> <mark class="search">&lt;search&gt; x&lt;/search&gt;</mark></span>',
    );
    expect(page).toContain('<span class="environment" title="environment, 3 tokens"> &lt;script&gt;');
    expect(page).toContain('<mark class="answer">&lt;answer&gt;é&lt;/answer&gt;</mark>');
  });

  it('colours each policy token by its KL, and characters of several tokens once', async () => {
    const page = await report();
    const tokens = [
      ...page.matchAll(/<b style="background:rgba\(var\(--heat\),([\d.]+)\)" title="([\d.]+) nats">([^<]*)<\/b>/g),
    ];
    expect(tokens.slice(0, 4).map(([, , kl, text]) => [kl, text])).toEqual([
      ['0.0010', ' &lt;search&gt;'],
      ['1.2500', ' x&lt;/search&gt;'],
      ['0.3000', ' &lt;answer&gt;'],
      ['2.5000', 'é&lt;/answer&gt;'],
    ]);
    const strength = tokens.slice(0, 4).map(([, value]) => Number(value));
    expect(strength[0]).toBeLessThan(strength[2]!);
    expect(strength[2]).toBeLessThan(strength[1]!);
    // Of one pair the scale ends below its greatest.
    expect(strength[1]).toBeLessThanOrEqual(strength[3]!);
    expect(page).not.toContain('\uFFFD');
  });

  it('is refused while there are no results, and bears a run without shards', async () => {
    const run = await RunDirectory.create(folder, smallConfig());
    await expect(readReportInput(run.files)).rejects.toThrow('no results yet');
    await run.writeResults({ schema: 1, measurements: [], pools: [], gates: [], outcomes: [] }, fixtureTiming);
    const page = renderReport(await readReportInput(run.files), tokenizer);
    expect(page).toContain('No evaluated trajectories');
    expect(page).toContain('No distillation round found pairs');
    await run.close();
  });
});
