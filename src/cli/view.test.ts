/** `search-e1 view --csv` and `--json`: what a filter leaves, a pasted address, and what is said of a filter that means or leaves nothing. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { said, writeRun } from '../viewer/testing/view-fixture.ts';
import { capture } from './testing/capture.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'view-'));
  await writeRun(folder, {
    'base-greedy-4': [said({ id: 'a' }), said({ id: 'b', answer: 'a "quoted", lead', correct: 0 })],
    'grpo-1-step-0001': [said({ id: 'c', suite: 'popqa' })],
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const keys = async (filter: string) => {
  const { code, out } = await capture('view', folder, '--csv', '--filter', filter);
  expect(code).toBe(0);
  return out
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',')[0]);
};

describe('view', () => {
  it('prints what a filter leaves, as CSV and as JSON', async () => {
    expect(await keys('mark=right')).toEqual(['base-greedy-4:0', 'grpo-1-step-0001:0']);
    const { out, err } = await capture('view', folder, '--json', '--filter', 'mark=wrong');
    const [row, ...others] = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(others).toEqual([]);
    expect(row).toMatchObject({ key: 'base-greedy-4:1', questionId: 'b', answer: 'a "quoted", lead', reward: 0 });
    expect(err).toBe('1 of 3 rollouts\n');
  });

  it('takes a whole address, wherever on the page it was', async () => {
    const address = 'http://127.0.0.1:9000/word/#/s/./rollouts';
    expect(await keys(`${address}?mark=right&stage=base&from=100`)).toEqual(['base-greedy-4:0']);
    expect(await keys('?stage=grpo-1&show=kl')).toEqual(['grpo-1-step-0001:0']);
    expect(await keys(address)).toHaveLength(3);
  });

  it('names what there is where nothing is left', async () => {
    const { code, err } = await capture('view', folder, '--csv', '--filter', 'suite=nq&stage=e1-9');
    expect(code).toBe(0);
    expect(err).toBe('no rollout has stage=e1-9; there are: base, grpo-1\n0 of 3 rollouts\n');
    expect((await capture('view', folder, '--csv', '--filter', 'mark=wrong&stage=grpo-1')).err).toBe(
      '0 of 3 rollouts\n',
    );
  });

  it.each([
    ['mark=mistread', 'mark=mistread means nothing'],
    ['colour=red', 'colour is nothing to filter by'],
    ['reward=abc', 'reward=abc is no range'],
    ['sort=colour', 'sort=colour means nothing'],
  ])('refuses %s', async (filter, message) => {
    const { code, err } = await capture('view', folder, '--csv', '--filter', filter);
    expect(code).toBe(2);
    expect(err).toContain(`--filter: ${message}`);
  });
});
