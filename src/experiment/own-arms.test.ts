/** Arms of one's own: where they fork and what they may spend follow from their settings; forks are ones that forkRun accepts. */
import { describe, expect, it } from 'vitest';
import type { Settings } from '../evolve/settings.ts';
import { decisive, planStages } from '../evolve/stages.ts';
import { type ArmName, armOf, E1, sharedBy } from './arms.ts';
import { checkDefinition, type Definition, experimentSettings, fileSchema, seedsOf } from './definition.ts';
import { armOfOwn, checkOwnArm, type OwnArm } from './own-arms.ts';
import { tasksOf } from './tasks.ts';

const settings = experimentSettings('default');
type Change = (base: Settings) => Settings;

const own = (of: ArmName, change: Change, name = 'mine'): OwnArm => ({
  name,
  of,
  says: 'Made up.',
  settings: change(armOf(of).change(settings)),
});
const grpo =
  (part: Partial<Settings['grpo']>): Change =>
  ({ grpo: had, ...rest }) => ({ ...rest, grpo: { ...had, ...part } });
const distill =
  (part: Partial<Settings['distill']>): Change =>
  ({ distill: had, ...rest }) => ({
    ...rest,
    distill: { ...had, ...part },
  });
const searches =
  (count: number): Change =>
  ({ rollout, ...rest }) => ({ ...rest, rollout: { ...rollout, searches: count } });
const pool: Change = ({ pool: had, ...rest }) => ({ ...rest, pool: { ...had, rollouts: 20 } });
const reward = grpo({ reward: [[{ part: 'price', perSearch: 0.02, when: 'always' }]] });

const cases: readonly (readonly [string, OwnArm, string, string | undefined])[] = [
  ['a loss of another kind forks where e1 does', own('e1', distill({ students: 'wrong' })), 'gate', undefined],
  ['a pool of its own is before that', own('e1', pool), 'pool', undefined],
  ['a later round reaches no further back', own('same-prompt', grpo({ steps: [30, 80] })), 'gate', undefined],
  ['a first round of its own is before GRPO 1', own('e1', grpo({ steps: [40, 12] })), 'grpo', undefined],
  [
    'what GRPO alone changes is before GRPO 1, and all tokens are then to be equal',
    own('grpo-tokens', reward),
    'grpo',
    'whole',
  ],
  ['what it does not change leaves the budget', own('grpo-tokens', distill({ clip: null })), 'pool', 'tokens'],
  ['a system stays one', own('system-price-centred', reward), 'grpo', 'whole'],
  [
    'another limit changes the evaluation of the base, so nothing is shared',
    own('grpo-tokens', searches(2)),
    'start',
    'whole',
  ],
];

describe('where an arm leaves, and what it spends', () => {
  it.each(cases)('%s', (_, arm, forksAt, budget) => {
    expect(armOfOwn(arm, settings)).toMatchObject({ name: 'mine', says: 'Made up.', forksAt });
    expect(armOfOwn(arm, settings).budget).toBe(budget);
  });

  it('has the seed and the world of each seed, and its own of all else', () => {
    const arm = own('e1', distill({ students: 'right' }));
    const ofSeed = { ...settings, seed: 9, world: { ...settings.world, seed: 8 } };
    expect(armOfOwn(arm, settings).change(ofSeed)).toEqual({ ...arm.settings, seed: 9, world: ofSeed.world });
  });

  it('is refused where nothing would be comparable', () => {
    const held: Change = (base) => ({ ...base, guards: { ...base.guards, heldOutQuestions: 7 } });
    expect(() => armOfOwn(own('e1', held), settings)).toThrow('mine: its settings decide which questions there are');
    expect(() => armOfOwn(own('grpo-seconds', reward), settings)).toThrow('mine: its settings change the first round');
    for (const field of ['seed', 'method', 'world', 'engine', 'evaluation'])
      expect(() => checkOwnArm({ name: 'mine', of: 'e1', says: 'x', settings: { [field]: 1 } })).toThrow(
        `mine: settings: ${field} cannot be changed`,
      );
  });
});

describe('a grid with arms of one’s own', () => {
  const mine = cases.map(([, arm], i) => ({ ...arm, name: `mine-${i}` }));
  const arms = ['mine-7', E1, ...mine.slice(0, -1).map(({ name }) => name)];
  const tasks = tasksOf({ seeds: seedsOf(1), arms, own: mine, settings, data: null });
  const byFolder = new Map(tasks.map((task) => [task.folder, task]));

  it('forks only where the past would have been the same, and runs every stage once', () => {
    for (const task of tasks.filter(({ arm }) => arm !== undefined)) {
      const past = planStages(task.settings).slice(0, task.begin);
      if (task.from === undefined) expect(task.begin).toBe(0);
      else {
        const had = byFolder.get(task.from)!;
        expect(had.end).toBe(task.begin);
        expect(planStages(had.settings).slice(0, task.begin)).toEqual(past);
        expect([task.folder, decisive(task.settings, past)]).toEqual([task.folder, decisive(had.settings, past)]);
      }
      expect(task.end).toBe(planStages(task.settings).length);
    }
  });

  it('comes in an order in which none waits for a later one', () => {
    const begun = new Set<string>();
    for (const { folder, after } of tasks) {
      for (const before of after) expect(begun).toContain(before);
      begun.add(folder);
    }
    expect(byFolder.get('seed-001/mine-7')).toMatchObject({ after: ['seed-001/e1'] });
  });

  it('shares the base and the first round, unless an arm differs before', () => {
    const forks = mine.map((arm) => armOfOwn(arm, settings));
    expect(sharedBy([E1, 'mine-0'], forks)).toEqual(['base', 'grpo-1']);
    expect(sharedBy([E1, 'mine-4'], forks)).toEqual(['base']);
    expect(sharedBy([E1, 'mine-7'], forks)).toEqual([]);
  });

  it('needs e1 where a budget is spent, and rounds to spend it in', () => {
    const definition = (one: OwnArm, names: string[]): Definition => ({
      ...{ name: 'own', preset: 'default', settings, seeds: seedsOf(1), data: null },
      ...{ arms: [...names, one.name], own: [one] },
    });
    const priced = own('grpo-tokens', reward);
    expect(() => checkDefinition(definition(priced, ['same-prompt']))).toThrow('mine needs e1');
    expect(() => checkDefinition(definition(priced, ['e1']))).not.toThrow();
    const idle = own('e1', (base) => ({ ...base, cycles: 0 }));
    expect(() => checkDefinition(definition(idle, ['e1']))).toThrow('mine: cycles is 0');
  });
});

describe('an entry of a file', () => {
  const entry = { name: 'price-.02', of: 'system-price-centred', says: 'A low price.', settings: { grpo: {} } };
  it('is taken as it stands', () => {
    expect(fileSchema.parse({ arms: ['e1', entry] }).arms).toEqual(['e1', entry]);
  });

  it.each([
    [{ ...entry, name: '../up' }, 'arms.0.name', 'small letters'],
    [{ ...entry, name: 'a/b' }, 'arms.0.name', 'small letters'],
    [{ ...entry, name: 'ends.' }, 'arms.0.name', 'small letters'],
    [{ ...entry, name: 'Upper' }, 'arms.0.name', 'small letters'],
    [{ ...entry, name: 'shared' }, 'arms.0.name', 'something else has'],
    [{ ...entry, name: 'con.txt' }, 'arms.0.name', 'something else has'],
    [{ ...entry, name: 'sharpen' }, 'arms.0.name', 'known already'],
    [{ ...entry, of: 'nothing' }, 'arms.0.of', 'Invalid option'],
    [{ ...entry, budget: 'none' }, 'arms.0', 'Unrecognized key'],
    [{ name: 'a', of: 'e1', settings: {} }, 'arms.0.says', 'expected string'],
    [7, 'arms.0', 'Invalid option'],
    [null, 'arms.0', 'expected object'],
  ])('%j is refused at %s', (bad, where, why) => {
    const { error } = fileSchema.safeParse({ arms: [bad] });
    expect(error!.issues[0]!.path.join('.')).toBe(where);
    expect(error!.issues[0]!.message).toContain(why);
  });
});
