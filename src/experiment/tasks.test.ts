/** The grid: who waits for whom, which stages each task runs, and that every fork is one that forkRun would accept. */
import { describe, expect, it } from 'vitest';
import { decisive, planStages } from '../evolve/stages.ts';
import { armNames, E1, systemArmNames } from './arms.ts';
import { experimentSettings, seedsOf } from './definition.ts';
import { armFolder, type Task, tasksOf, unitsOf } from './tasks.ts';

const settings = experimentSettings('default');
const seeds = seedsOf(2, { worlds: [7, 8] });
const all = tasksOf({ seeds, arms: armNames, settings, data: null });
const byFolder = new Map(all.map((task) => [task.folder, task]));

/** From the run where a seed begins to the task itself. */
function chainOf(task: Task): Task[] {
  return task.from === undefined ? [task] : [...chainOf(byFolder.get(task.from)!), task];
}

describe('the tasks of an experiment', () => {
  it('are one for each arm and seed, and two that arms share', () => {
    expect(all).toHaveLength(2 * (armNames.length + 2));
    expect(byFolder.size).toBe(all.length);
    for (const seed of seeds)
      for (const name of armNames) expect(byFolder.get(armFolder(seed, name))?.arm?.name).toBe(name);
  });

  it('come in an order in which none waits for a later one', () => {
    const begun = new Set<string>();
    for (const { folder, from, after } of all) {
      for (const before of after) expect(begun).toContain(before);
      if (from !== undefined) expect(after).toContain(from);
      begun.add(folder);
    }
  });

  it('run every stage of an arm’s plan once, one after another', () => {
    for (const task of all.filter(({ arm }) => arm !== undefined)) {
      let next = 0;
      for (const { begin, end } of chainOf(task)) {
        expect(begin).toBe(next);
        expect(end).toBeGreaterThan(begin);
        next = end;
      }
      expect(next).toBe(planStages(task.settings).length);
    }
  });

  it('fork only where the past would have been the same', () => {
    for (const task of all) {
      if (task.from === undefined) continue;
      const had = byFolder.get(task.from)!.settings;
      const past = planStages(had).slice(0, task.begin);
      expect(planStages(task.settings).slice(0, task.begin)).toEqual(past);
      expect([task.folder, decisive(task.settings, past)]).toEqual([task.folder, decisive(had, past)]);
    }
  });

  it('have the seed and the world of their seed, and nothing else of it', () => {
    for (const { seed, settings: own } of all) expect([own.seed, own.world.seed]).toEqual([seed.seed, seed.world]);
    const { seed, world, ...rest } = settings;
    expect(byFolder.get('seed-001/e1')!.settings).toEqual({ ...rest, seed: 101, world: { ...world, seed: 7 } });
    expect(seed).not.toBe(101);
  });

  it('that spend what e1 spends wait for it, with as much work as it has', () => {
    const work = ({ settings: own }: Task) =>
      planStages(own).reduce((sum, stage) => sum + (stage.kind === 'evaluate' ? 0 : unitsOf(stage, own, null)), 0);
    const e1 = byFolder.get('seed-001/e1')!;
    for (const name of ['grpo-tokens', 'grpo-seconds']) {
      const task = byFolder.get(`seed-001/${name}`)!;
      expect(task.after).toContain(armFolder(seeds[0]!, E1));
      // To a step.
      expect(Math.abs(work(task) / work(e1) - 1)).toBeLessThan(0.05);
    }
  });

  it('go without a shared pool where no arm needs one', () => {
    const folders = (arms: Parameters<typeof tasksOf>[0]['arms']) =>
      tasksOf({ seeds: seeds.slice(0, 1), arms, settings, data: null }).map(({ folder }) => folder);
    expect(folders(['grpo-tokens'])).toEqual(['seed-001/shared/pool-1', 'seed-001/grpo-tokens']);
    expect(folders(['grpo-tokens', 'e1'])).toEqual([
      ...['seed-001/shared/pool-1', 'seed-001/shared/gate-1', 'seed-001/e1', 'seed-001/grpo-tokens'],
    ]);
  });
});

it('an evaluation is as many questions as its suites have: the seven of a world, or those of the user’s data', () => {
  const evaluation = planStages(settings)[0]!;
  const file = { questions: 'q', corpus: 'c', tokenizer: null, template: null };
  const data = { ...file, evaluate: ['nq', 'hotpotqa'].map((suite) => ({ suite, file: `${suite}.jsonl` })) };
  expect(unitsOf(evaluation, settings, data) * 7).toBe(unitsOf(evaluation, settings, null) * 2);
  for (const task of tasksOf({ seeds, arms: ['e1', 'grpo-tokens'], settings, data })) expect(task.data).toBe(data);
});

describe('the systems of the field', () => {
  const arms = [E1, ...systemArmNames] as const;
  const tasks = tasksOf({ seeds: seeds.slice(0, 1), arms, settings, data: null });
  const named = new Map(tasks.map((task) => [task.folder, task]));

  it('leave at the base, which is evaluated once, and wait for what e1 spends', () => {
    expect(tasks).toHaveLength(arms.length + 3);
    const bare = named.get('seed-001/shared/grpo-1')!;
    expect([bare.begin, bare.end]).toEqual([0, 1]);
    expect(named.get('seed-001/shared/pool-1')).toMatchObject({ from: bare.folder, begin: 1 });
    for (const name of systemArmNames) {
      const task = named.get(`seed-001/${name}`)!;
      expect(task).toMatchObject({ from: bare.folder, after: [bare.folder, 'seed-001/e1'], begin: 1 });
      const past = planStages(bare.settings).slice(0, 1);
      expect(decisive(task.settings, past)).toEqual(decisive(bare.settings, past));
    }
  });

  it('are expected to take about as much work as e1', () => {
    const units = (folder: string) => {
      const { settings: own } = named.get(folder)!;
      return planStages(own)
        .filter(({ kind }) => kind !== 'evaluate')
        .reduce((sum, stage) => sum + unitsOf(stage, own, null), 0);
    };
    const e1 = units('seed-001/e1');
    const plain = units('seed-001/system-search-r1');
    expect(Math.abs(plain - e1) / e1).toBeLessThan(0.1);
  });
});
