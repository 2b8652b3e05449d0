import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { presets } from '../evolve/presets.ts';
import { settingsSchema } from '../evolve/settings.ts';
import { recipeSchema, worldRecipe } from '../warmup/recipe.ts';
import { knownPaths, resolveSettings, type SettingsInput } from './settings-input.ts';

const preset = presets.default;
const resolve = (input: SettingsInput) => resolveSettings(settingsSchema, preset, input);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'settings-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(content: unknown): Promise<string> {
  const name = path.join(folder, 'settings.json');
  await writeFile(name, typeof content === 'string' ? content : JSON.stringify(content));
  return name;
}

describe('settings', () => {
  it('are the preset when nothing is given, and the preset is not touched', async () => {
    const before = structuredClone(preset);
    expect(await resolve({})).toEqual(before);
    await resolve({ set: ['grpo.groupSize=3'] });
    expect(preset).toEqual(before);
  });

  it('are taken from the preset, then the file, then --set, then --seed', async () => {
    const name = await file({ seed: 5, grpo: { groupSize: 7, learningRate: 0.01 }, rollout: { searches: 3 } });
    const settings = await resolve({ file: name, set: ['grpo.groupSize=9', 'seed=6', 'grpo.groupSize=8'], seed: 7 });
    expect(settings).toEqual({
      ...preset,
      seed: 7,
      grpo: { ...preset.grpo, groupSize: 8, learningRate: 0.01 },
      rollout: { ...preset.rollout, searches: 3 },
    });
  });

  it('reach into a part that may be left out', async () => {
    const recipe = await resolveSettings(recipeSchema, worldRecipe, { set: ['habits.early.there=0.6'] });
    expect(recipe.habits!.early.there).toBe(0.6);
    await expect(resolveSettings(recipeSchema, worldRecipe, { set: ['habits.late=0.6'] })).rejects.toThrow(
      'unknown setting habits.late',
    );
  });

  it('read numbers, words, lists and null', async () => {
    const set = [
      'grpo.learningRate=1e-4',
      'grpo.steps=10,5',
      'evaluation.searches=[4]',
      'evaluation.decoding=greedy',
      'distill.adapter=null',
      'gate.whenClosed = warn',
      'distill.expertView="searches"',
    ];
    const settings = await resolve({ set });
    expect(settings.grpo.learningRate).toBe(1e-4);
    expect(settings.grpo.steps).toEqual([10, 5]);
    expect(settings.evaluation).toMatchObject({ searches: [4], decoding: ['greedy'] });
    expect(settings.distill.adapter).toBeNull();
    expect(settings.distill.expertView).toBe('searches');
    expect(settings.gate.whenClosed).toBe('warn');
  });

  it('reach into what was null', async () => {
    const name = await file({ distill: { adapter: null } });
    const settings = await resolve({ file: name, set: ['distill.adapter.rank=8', 'distill.adapter.alpha=16'] });
    expect(settings.distill.adapter).toEqual({ rank: 8, alpha: 16 });
    await expect(resolve({ file: name, set: ['distill.adapter.rank=8'] })).rejects.toThrow(
      /distill\.adapter\.alpha: .*found nothing/,
    );
  });

  it('refuse unknown keys and name the nearest', async () => {
    const name = await file({ grpo: { learning_rate: 1 } });
    await expect(resolve({ file: name })).rejects.toThrow(
      `${name}: unknown setting grpo.learning_rate, did you mean grpo.learningRate?`,
    );
    await expect(resolve({ set: ['grop.groupSize=4'] })).rejects.toThrow(
      '--set grop.groupSize=4: unknown setting grop.groupSize, did you mean grpo.groupSize?',
    );
    await expect(resolve({ set: ['zebra=4'] })).rejects.toThrow(/unknown setting zebra$/);
    await expect(resolve({ set: ['__proto__.polluted=1'] })).rejects.toThrow('unknown setting __proto__.polluted');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    await expect(resolve({ set: ['grpo.steps.x=4'] })).rejects.toThrow('grpo.steps is a list');
    await expect(resolve({ set: ['grpo.groupSize.x=4'] })).rejects.toThrow('unknown setting');
  });

  it('refuse bad values and name source, field, expectation and finding', async () => {
    await expect(resolve({ set: ['grpo.groupSize=1'] })).rejects.toThrow(
      /^--set grpo\.groupSize=1: grpo\.groupSize: .*>=2, found 1$/,
    );
    await expect(resolve({ set: ['grpo.learningRate=fast'] })).rejects.toThrow(/expected number, found "fast"/);
    await expect(resolve({ set: ['grpo=3'] })).rejects.toThrow(/--set grpo=3: grpo: .*expected object.*found 3/);
    await expect(resolve({ seed: -1 })).rejects.toThrow(/--seed: seed: .*found -1/);
    const name = await file({ distill: { clip: 0 }, pool: { rollouts: 1.5 } });
    const failure = await resolve({ file: name }).catch((error: unknown) => error as Error);
    expect(failure).toMatchObject({ name: 'UserError' });
    expect(String(failure)).toMatch(/pool\.rollouts: .*found 1\.5/);
    expect(String(failure)).toMatch(/distill\.clip: .*found 0/);
  });

  it('refuse what is no assignment and what is no settings file', async () => {
    for (const text of ['grpo', '=3', '']) await expect(resolve({ set: [text] })).rejects.toThrow('expected KEY=VALUE');
    await expect(resolve({ file: path.join(folder, 'nowhere.json') })).rejects.toThrow('no such file');
    await expect(resolve({ file: await file('{"a": ') })).rejects.toThrow('not valid JSON');
    await expect(resolve({ file: await file([1]) })).rejects.toThrow('an object with settings was expected, found [1]');
  });

  it('name what is unknown inside a list', async () => {
    const phases = [{ kind: 'demonstrations', steps: 5, imitation: 0.3, articels: 4 }];
    await expect(
      resolveSettings(recipeSchema, worldRecipe, { set: [`phases=${JSON.stringify(phases)}`] }),
    ).rejects.toThrow(/unknown setting phases\.0\.articels/);
  });

  it('of a field with several forms may be given before the form is', async () => {
    const parts = [
      'engine.url=http://127.0.0.1:8000',
      'engine.profile=hatchery',
      'engine.baseModel=m',
      'engine.loraRank=8',
    ];
    const kind = 'engine.kind=tinker';
    const expected = (await resolve({ set: [kind, ...parts] })).engine;
    expect(expected).toMatchObject({ kind: 'tinker', loraRank: 8 });
    for (let at = 0; at <= parts.length; at++)
      expect((await resolve({ set: [...parts.slice(0, at), kind, ...parts.slice(at)] })).engine).toEqual(expected);
    // What sets the whole field still holds until something later changes it.
    const whole = `engine=${JSON.stringify(expected)}`;
    expect((await resolve({ set: ['engine.loraRank=4', kind, whole] })).engine).toEqual(expected);
    expect((await resolve({ set: [whole, 'engine.kind=embedded', 'engine.decodeBits=8'] })).engine).toMatchObject({
      kind: 'embedded',
      decodeBits: 8,
    });
  });

  it('are taken as a whole, or part by part, where there are several forms', async () => {
    const advantage = { form: 'trajectory' };
    expect((await resolve({ file: await file({ grpo: { groupSize: 3, advantage } }) })).grpo).toMatchObject({
      groupSize: 3,
      advantage,
    });
    expect((await resolve({ set: [`grpo.advantage=${JSON.stringify(advantage)}`] })).grpo.advantage).toEqual(advantage);
    expect((await resolve({ set: ['grpo.advantage.form=trajectory'] })).grpo.advantage).toEqual(advantage);
    await expect(resolve({ set: ['grpo.advantage={"form":"trunk"}'] })).rejects.toThrow(/grpo\.advantage\.form/);
    await expect(resolve({ set: ['grpo.reward=[[{"part":"answer","by":"luck"}]]'] })).rejects.toThrow(
      /grpo\.reward\.0\.0\.by/,
    );
  });

  it('set an entry of a list', async () => {
    expect((await resolve({ set: ['grpo.steps.1=4'] })).grpo.steps).toEqual([30, 4]);
    await expect(resolve({ set: ['grpo.steps.2=4'] })).rejects.toThrow('grpo.steps has no entry 2, only 0 to 1');
    const recipe = await resolveSettings(recipeSchema, worldRecipe, {
      set: ['phases.3.steps=7', 'phases.3.imitation=0'],
    });
    expect(recipe.phases[3]).toEqual({ kind: 'demonstrations', steps: 7, imitation: 0 });
    expect(recipe.phases.toSpliced(3, 1)).toEqual(worldRecipe.phases.toSpliced(3, 1));
    await expect(resolveSettings(recipeSchema, worldRecipe, { set: ['phases.0.imitation=1'] })).rejects.toThrow(
      'phases.0.imitation',
    );
    await expect(resolveSettings(recipeSchema, worldRecipe, { set: ['phases.0.speed=1'] })).rejects.toThrow('unknown');
  });

  it.each(['cycles', 'grpo.groupSize', 'pool.rollouts', 'evaluation.samples', 'distill.epochs', 'rollout.searches'])(
    'refuse more of %s than memory has room for plans',
    async (name) => {
      await expect(resolve({ set: [`${name}=1e9`] })).rejects.toThrow(`${name}: Too big`);
    },
  );

  it('know every field of the schema', () => {
    const leaves = (value: object, prefix = ''): string[] =>
      Object.entries(value).flatMap(([key, inner]) =>
        typeof inner === 'object' && inner !== null && !Array.isArray(inner)
          ? [prefix + key, ...leaves(inner, `${prefix}${key}.`)]
          : [prefix + key],
      );
    // What may stand in a form that the preset does not take, and what is read still where it stood before.
    const known = knownPaths(settingsSchema);
    expect(known).toEqual(expect.arrayContaining(leaves(preset)));
    const rest = known.filter(
      (name) =>
        !leaves(preset).includes(name) &&
        !/^(grpo\.(advantage|credit|noise|preserve|tree|hint|routed)|pool\.retry|engine)\./.test(name),
    );
    expect(rest).toEqual(['rollout.decodeBits']);
  });

  it('of a group of several kinds are those of the kind that is set', async () => {
    const set = ['url=http://127.0.0.1:1', 'profile=verl', 'baseModel=a/b', 'loraRank=null'].map(
      (one) => `engine.${one}`,
    );
    const { engine } = await resolve({ set: ['engine.kind=tinker', ...set] });
    expect(engine).toMatchObject({ kind: 'tinker', profile: 'verl', loraRank: null, concurrency: 256 });
    expect(engine).not.toHaveProperty('decodeBits');
    await expect(resolve({ set })).rejects.toThrow('engine.url');
    await expect(resolve({ set: ['engine.kind=tinker'] })).rejects.toThrow(/engine\.url: .*found nothing/);
    await expect(resolve({ set: ['engine.kind=tinkr'] })).rejects.toThrow(/engine\.kind/);
  });

  it('may stand where they stood in 0.4', async () => {
    const old = await resolveSettings(settingsSchema, preset, { set: ['rollout.decodeBits=8'] });
    expect(old).toEqual(await resolveSettings(settingsSchema, preset, { set: ['engine.decodeBits=8'] }));
    expect(old.engine).toEqual({ kind: 'embedded', device: 'auto', decodeBits: 8 });
    expect(old.rollout).not.toHaveProperty('decodeBits');
    // As a run of 0.4 recorded them.
    const { engine: _, ...recorded } = preset;
    for (const decodeBits of [32, 4] as const)
      expect(settingsSchema.parse({ ...recorded, rollout: { ...preset.rollout, decodeBits } })).toEqual({
        ...preset,
        engine: { kind: 'embedded', device: 'auto', decodeBits },
      });
    await expect(resolveSettings(settingsSchema, preset, { set: ['engine.kind=abacus'] })).rejects.toThrow(
      /engine\.kind/,
    );
  });
});
