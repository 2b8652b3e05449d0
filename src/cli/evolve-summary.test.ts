import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { fixtureResults, fixtureTiming } from '../runs/testing/run-fixture.ts';
import { nothingLearned, summaryText } from './evolve-summary.ts';

const results = fixtureResults();
const lines = (text: string) => text.trimEnd().split('\n');

describe('the end of a run', () => {
  it('is one screen of 80 columns and 24 lines, with result, table, events and what comes next', () => {
    const text = summaryText(results, fixtureTiming, 'runs/mine', 79, true);
    expect(lines(text).length).toBeLessThan(24);
    expect(Math.max(...lines(text).map((line) => line.length))).toBeLessThan(80);
    expect(text).toMatch(
      /^Exact match rose from 0\.300 ±0\.021 \(base\) to 0\.700 ±0\.021 \(E1 2\)\. Searches\s+a\s+question/,
    );
    expect(lines(text).filter((line) => /^ {2}(base|GRPO|E1)[ \d]* {2}/.test(line))).toHaveLength(5);
    expect(text).toContain('GRPO 2: stopped by a guard after 7 steps');
    for (const command of ['view', 'ask --policy', 'export'])
      expect(text).toContain(`  search-e1 ${command} runs/mine`);
    expect(text).toContain('runs/mine/report.html');
  });

  it('calls no difference a rise that is within two standard errors', () => {
    const near = structuredClone(results) as unknown as {
      measurements: { stage: string; mean: { exactMatch: { mean: number } } }[];
    };
    for (const { stage, mean } of near.measurements) if (stage === 'e1-2') mean.exactMatch.mean = 0.34;
    expect(summaryText(near as never, fixtureTiming, 'r', 79, true)).toMatch(
      /^Exact match 0\.300 .* no difference\s+that/s,
    );
  });

  it('prints commands that a shell reads as they are meant', () => {
    const folder = "runs/Häuser & wiki's $HOME";
    const command = lines(summaryText(results, fixtureTiming, folder, 79, true)).find((line) =>
      line.includes(' ask '),
    )!;
    const words = execFileSync('/bin/sh', ['-c', `printf '%s\\n' ${command.trim()}`])
      .toString()
      .trimEnd()
      .split('\n');
    expect(words).toEqual(['search-e1', 'ask', '--policy', folder]);
  });

  it('says of a run in which nothing was right that nothing was learned, and why', () => {
    const none = structuredClone(results) as unknown as { measurements: { mean: { wellFormed: { mean: number } } }[] };
    expect(summaryText(results, fixtureTiming, 'r', 79, false)).toMatch(/^Nothing was learned: not one rollout/);
    expect(nothingLearned(results).hint).toContain('the answers are wrong');
    for (const { mean } of none.measurements) mean.wellFormed.mean = 0.02;
    expect(nothingLearned(none as never)).toMatchObject({
      message: expect.stringContaining('in 2 % of its rollouts'),
      hint: expect.stringContaining('warmup'),
    });
  });
});
