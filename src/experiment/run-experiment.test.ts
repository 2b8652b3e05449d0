/** The order in which a grid is run: who waits, how many at a time, what a failure stops. Tasks themselves are made up here. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Definition, experimentSettings, seedsOf } from './definition.ts';
import { type ExperimentEvent, runExperiment } from './run-experiment.ts';
import type { TaskOptions } from './run-task.ts';
import { type Task, tasksOf } from './tasks.ts';

const grid = vi.hoisted(() => ({
  finished: new Set<string>(),
  /** Seeds with outcomes. */
  kept: new Set<string>(),
  run: (async () => {}) as (task: Task, options: TaskOptions) => Promise<void>,
  reports: 0,
  report: async () => {},
}));

vi.mock('./run-task.ts', () => ({
  isFinished: async ({ folder }: Task) => grid.finished.has(folder),
  runTask: (task: Task, options: TaskOptions) => grid.run(task, options),
}));
vi.mock('./outcomes.ts', () => ({
  hasOutcomes: async (_folder: string, _record: unknown, { name }: { name: string }) => grid.kept.has(name),
}));
vi.mock('./report.ts', () => ({
  writeExperimentReport: async () => {
    grid.reports += 1;
    await grid.report();
    return { name: 'made up' };
  },
}));

const definition: Definition = {
  name: 'made up',
  seeds: seedsOf(2),
  arms: ['e1', 'grpo-tokens', 'sharpen', 'jsd'],
  preset: 'smoke',
  settings: experimentSettings('smoke'),
  data: null,
};
const tasks = tasksOf(definition);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'grid-'));
  Object.assign(grid, {
    finished: new Set(),
    kept: new Set(),
    run: async () => {},
    reports: 0,
    report: async () => {},
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const go = (options: Partial<Parameters<typeof runExperiment>[1]> = {}) =>
  runExperiment(definition, {
    folder,
    jobs: 2,
    threads: 5,
    base: { model: null, weights: 'none' },
    signal: new AbortController().signal,
    onEvent: () => {},
    ...options,
  });

/** Lets each task take a few turns of the event loop, and keeps what was open and what had ended when it began. */
function watch() {
  const log: { task: Task; open: number; ended: ReadonlySet<string>; threads: number }[] = [];
  const ended = new Set<string>();
  let open = 0;
  grid.run = async (task, { threads }) => {
    open += 1;
    log.push({ task, open, ended: new Set(ended), threads });
    for (let i = 0; i < 3 + (task.folder.length % 4); i++) await new Promise(setImmediate);
    open -= 1;
    ended.add(task.folder);
  };
  return log;
}

describe('a grid', () => {
  it.each([1, 2, 5])('runs every task once, after those it waits for, %i at a time', async (jobs) => {
    const log = watch();
    await go({ jobs });
    expect(log.map(({ task }) => task.folder).sort()).toEqual(tasks.map((task) => task.folder).sort());
    for (const { task, open, ended } of log) {
      expect(open).toBeLessThanOrEqual(jobs);
      for (const before of task.after) expect(ended).toContain(before);
    }
    expect(Math.max(...log.map(({ open }) => open))).toBe(jobs);
    expect(log.every(({ threads }) => threads === Math.max(1, Math.floor(5 / jobs)))).toBe(true);
  });

  it('repeats nothing that is finished', async () => {
    const done = tasks.filter(({ folder: name }) => name.startsWith('seed-001/'));
    grid.finished = new Set(done.map((task) => task.folder));
    const log = watch();
    await go();
    expect(log.map(({ task }) => task.seed.name)).toEqual(new Array(tasks.length - done.length).fill('seed-002'));
  });

  it('runs nothing of a seed whose outcomes are there, though no run of it is', async () => {
    grid.kept = new Set(['seed-001']);
    const log = watch();
    await go();
    expect(new Set(log.map(({ task }) => task.seed.name))).toEqual(new Set(['seed-002']));
    expect(log).toHaveLength(tasks.length / 2);
  });

  it('tells how far it is, from what was there before to all of it', async () => {
    grid.finished.add('seed-001/shared/pool-1');
    watch();
    const events: ExperimentEvent[] = [];
    await go({ onEvent: (event) => events.push(event) });
    const fractions = events.flatMap((event) => (event.kind === 'progress' ? [event.fraction] : []));
    expect(fractions[0]).toBeGreaterThan(0);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBeCloseTo(1, 12);
    expect(events.filter(({ kind }) => kind === 'began')).toHaveLength(tasks.length - 1);
    expect(events.filter(({ kind }) => kind === 'ended')).toHaveLength(tasks.length - 1);
  });

  it('reports after each seed and at the end', async () => {
    watch();
    await go();
    expect(grid.reports).toBe(2);
  });

  it('writes one report at a time, whichever seeds end together', async () => {
    let open = 0;
    grid.report = async () => {
      open += 1;
      expect(open).toBe(1);
      for (let i = 0; i < 9; i++) await new Promise(setImmediate);
      open -= 1;
    };
    await go({ jobs: tasks.length });
    expect([grid.reports, open]).toEqual([2, 0]);
  });

  it('fails where a report cannot be written', async () => {
    grid.report = async () => {
      throw new Error('the disk is full');
    };
    await expect(go({ jobs: tasks.length })).rejects.toThrow('the disk is full');
  });

  it('is stopped by the first failure, which the others are told', async () => {
    const stopped: string[] = [];
    const began: string[] = [];
    grid.run = (task, { signal }) => {
      began.push(task.folder);
      if (task.folder === 'seed-001/shared/gate-1') return Promise.reject(new Error('the disk is full'));
      if (task.folder !== 'seed-002/shared/pool-1') return Promise.resolve();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          stopped.push(task.folder);
          reject(new Error('stopped'));
        });
      });
    };
    await expect(go()).rejects.toThrow('the disk is full');
    expect(stopped).toEqual(['seed-002/shared/pool-1']);
    expect(began).not.toContain('seed-001/e1');
    expect(grid.reports).toBe(0);
    // The folder is free again.
    watch();
    await go();
  });

  it('is interrupted by its signal', async () => {
    const controller = new AbortController();
    grid.run = (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        setImmediate(() => controller.abort(new Error('stopped by SIGINT')));
      });
    await expect(go({ signal: controller.signal })).rejects.toThrow('stopped by SIGINT');
  });

  it('lets one task at a time do what is done one at a time', async () => {
    let inside = 0;
    grid.run = (_, { exclusively }) =>
      exclusively(async () => {
        inside += 1;
        expect(inside).toBe(1);
        await new Promise(setImmediate);
        inside -= 1;
      });
    await go({ jobs: 4 });
  });
});
