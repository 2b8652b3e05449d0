import { describe, expect, it } from 'vitest';
import { firstWarmUpWorld } from '../world/generate.ts';
import { type ArmName, armNames } from './arms.ts';
import { builtIn, checkDefinition, type Definition, experimentSettings, fileSchema, seedsOf } from './definition.ts';

const definition = (
  arms: readonly string[],
  change: Partial<Definition['settings']> = {},
  data: Definition['data'] = null,
): Definition => ({
  name: 'own',
  arms: arms as ArmName[],
  preset: 'smoke',
  settings: { ...experimentSettings('smoke'), ...change },
  seeds: seedsOf(1),
  data,
});
const own = { questions: '/q.jsonl', corpus: '/c.jsonl', tokenizer: null, template: null };

describe('what an experiment may be', () => {
  it('every built-in one passes its own checks', () => {
    for (const arms of Object.values(builtIn)) expect(() => checkDefinition(definition(arms))).not.toThrow();
    expect(builtIn['claims-all']).toEqual(armNames);
  });

  it('an arm that spends another’s budget needs that one, and none comes twice', () => {
    expect(() => checkDefinition(definition(['grpo-tokens']))).toThrow(/grpo-tokens needs e1/);
    expect(() => checkDefinition(definition(['e1', 'grpo-tokens']))).not.toThrow();
    expect(() => checkDefinition(definition(['e1', 'jsd', 'e1']))).toThrow('e1 is named twice');
  });

  it('settings leave alone what the experiment sets for each seed and arm', () => {
    expect(() => checkDefinition(definition(['e1'], { seed: 77 }))).toThrow(/seed is 77/);
    const { world } = experimentSettings('smoke');
    expect(() => checkDefinition(definition(['e1'], { world: { ...world, seed: 5 } }))).toThrow(/world\.seed is 5/);
    expect(() => checkDefinition(definition(['e1'], { method: 'grpo' }))).toThrow(/method is grpo/);
    expect(() => checkDefinition(definition(['e1'], { cycles: 0 }))).toThrow('cycles is 0');
  });

  it('own data brings questions to compare on, which a training server needs', () => {
    const evaluate = [{ suite: 'nq', file: '/nq.jsonl' }];
    expect(() => checkDefinition(definition(['e1'], {}, { ...own, evaluate }))).not.toThrow();
    expect(() => checkDefinition(definition(['e1'], {}, { ...own, evaluate: [] }))).toThrow('--evaluate is missing');
    const engine = {
      ...experimentSettings('smoke').engine,
      kind: 'tinker',
      url: 'http://127.0.0.1:1',
    } as Definition['settings']['engine'];
    expect(() => checkDefinition(definition(['e1'], { engine }))).toThrow('engine.kind is tinker');
    expect(() => checkDefinition(definition(['e1'], { engine }, { ...own, evaluate }))).not.toThrow();
  });

  it('seeds have worlds that no base was warmed up on, their own or fresh ones', () => {
    const seeds = seedsOf(3);
    expect(seeds.map(({ name }) => name)).toEqual(['seed-001', 'seed-002', 'seed-003']);
    expect(new Set(seeds.flatMap(({ seed, world }) => [seed, world])).size).toBe(6);
    for (const { world } of seeds) expect(world).toBeLessThan(firstWarmUpWorld);
    expect(seedsOf(2, { worlds: [7, 8, 9] }).map(({ world }) => world)).toEqual([7, 8]);
    expect(() => seedsOf(2, { worlds: [7] })).toThrow('worlds: 1 given for 2 seeds');
    expect(() => seedsOf(2, { models: [null] })).toThrow('models: 1 given for 2 seeds');
  });

  it.each([
    [{ arms: [] }, 'arms'],
    [{ arms: ['nothing'] }, 'arms.0'],
    [{ arms: ['e1'], seeds: 0 }, 'seeds'],
    [{ arms: ['e1'], seeds: 1e9 }, 'seeds'],
    [{ arms: ['e1'], worlds: [firstWarmUpWorld] }, 'worlds.0'],
    [{ arms: ['e1'], preset: 'none' }, 'preset'],
    [{ arms: ['e1'], speed: 3 }, ''],
  ])('a file of %j is refused at %s', (file, where) => {
    const { error } = fileSchema.safeParse(file);
    expect(error!.issues[0]!.path.join('.')).toBe(where);
  });
});
