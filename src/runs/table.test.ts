import { describe, expect, it } from 'vitest';
import { indented, renderMarkdown, renderTable, stageLabel, tableBlocks } from './table.ts';
import { fixtureResults, fixtureSuites } from './testing/run-fixture.ts';

const results = fixtureResults();

describe('the results table', () => {
  it('has a block for each mode, a row for each suite, a column for each stage', () => {
    const blocks = tableBlocks(results);
    expect(blocks.map((block) => block.title)).toEqual([
      'Exact match ± standard error: sampled answers, at most 4 searches',
      'Exact match ± standard error: greedy answers, at most 4 searches',
      'Exact match ± standard error: sampled answers, at most 2 searches',
      'Exact match ± standard error: greedy answers, at most 2 searches',
    ]);
    for (const block of blocks) {
      expect(block.header).toEqual(['base', 'GRPO 1', 'E1 1', 'GRPO 2', 'E1 2']);
      expect(block.rows.map((row) => row.label).slice(0, 8)).toEqual([...fixtureSuites, 'mean']);
      expect(block.rows.every((row) => row.cells.length === 5)).toBe(true);
    }
    expect(blocks[0]!.rows[0]!.cells[2]).toBe('0.500 ±0.021');
    expect(blocks[0]!.rows[7]!.cells[0]).toBe('0.300 ±0.021');
  });

  it('fits 100 columns, and fewer by setting stages below one another', () => {
    for (const width of [100, 60]) {
      const lines = renderTable(results, width).split('\n');
      const table = lines.filter((line) => line.includes('±0') || line.includes('─'));
      expect(table.length).toBeGreaterThan(40);
      expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(lines.filter((line) => line.startsWith('  bridge '))).toHaveLength(width === 100 ? 4 : 8);
    }
  });

  it('shows a dash where a stage was not measured', () => {
    const partial = {
      ...results,
      measurements: results.measurements.filter(({ stage, mode }) => stage !== 'e1-1' || mode.searches === 4),
    };
    const block = tableBlocks(partial).find(({ title }) => title.includes('greedy answers, at most 2'))!;
    expect(block.rows[0]!.cells).toHaveLength(5);
    expect(block.rows[0]!.cells[2]).toBe('–');
    const grounded = block.rows.find((row) => row.label === 'grounded')!;
    expect(grounded.cells[0]).toBe('–');
  });

  it('tells how stages ended and counts failed rollouts', () => {
    const first = results.measurements[0]!;
    const failed = { ...first, suites: first.suites.map((suite) => ({ ...suite, failures: 2 })) };
    const text = renderTable({ ...results, measurements: [failed, ...results.measurements.slice(1)] });
    expect(text).toContain('14 rollouts failed for outside reasons');
    expect(text).toContain('GRPO 1: 30 steps, weights of step 20 kept');
    expect(text).toContain(
      'GRPO 2: stopped by a guard after 7 steps, weights of step 5 kept: entropy 0.004 is below 0.005',
    );
    expect(text).toContain('E1 2: skipped: the privileged prompt helps by 0.01');
  });

  it('is empty without measurements', () => {
    expect(renderTable({ schema: 1, measurements: [], pools: [], gates: [], outcomes: [] })).toBe('');
  });

  it('writes Markdown with as many cells in each line as in its header', () => {
    const odd = {
      ...results,
      measurements: results.measurements.map((m) => ({
        ...m,
        suites: m.suites.map((s) => ({ ...s, suite: `${s.suite}|x` })),
      })),
    };
    const lines = renderMarkdown(odd)
      .split('\n')
      .filter((line) => line.startsWith('|'));
    expect(lines.length).toBe(4 * (2 + 7 + 6));
    const cells = (line: string) => line.replaceAll('\\|', '').split('|').length;
    expect(new Set(lines.map(cells))).toEqual(new Set([8]));
  });

  it('names stages as people do', () => {
    expect(['base', 'grpo-1', 'e1-2', 'control-x'].map(stageLabel)).toEqual(['base', 'GRPO 1', 'E1 2', 'control-x']);
  });
});

describe('indented', () => {
  it('keeps to the width, below its first word', () => {
    expect(indented('  ! ', 'one two three', 11)).toBe('  ! one two\n    three');
    expect(indented('  ', 'unbreakable', 5)).toBe('  unbreakable');
  });
});
