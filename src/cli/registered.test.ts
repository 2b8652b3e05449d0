/** What is registered under docs/evidence opens as it stands, can be forked as planned, and was named in the protocol before it is run. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { decisive, planStages } from '../evolve/stages.ts';
import { tasksOf } from '../experiment/tasks.ts';
import { recipeSchema, worldRecipe } from '../warmup/recipe.ts';
import { readDefinition } from './experiment-definition.ts';
import { resolveSettings } from './settings-input.ts';

const evidence = fileURLToPath(new URL('../../docs/evidence/', import.meta.url));
const folder = path.join(evidence, 'registered');
const jsonIn = (place: string) => readdirSync(place).filter((name) => name.endsWith('.json'));
const files = jsonIn(folder);
const protocol = readFileSync(path.join(evidence, 'protocol.md'), 'utf8');
const options = { set: [], evaluate: [] };
const opened = await Promise.all(
  files.map(async (name) => ({ name, ...(await readDefinition(path.join(folder, name), options)) })),
);

/** Those of findings.json, and those that were used while tuning. */
const used = new Set([
  ...[101, 2605],
  ...jsonIn(evidence).flatMap(
    (name): number[] => JSON.parse(readFileSync(path.join(evidence, name), 'utf8')).worlds ?? [],
  ),
]);

it('are the seven of the protocol', () => {
  expect(files.map((name) => path.basename(name, '.json'))).toEqual([
    ...['clip', 'credit', 'fair-rivals', 'late', 'pair', 'under-searching', 'without-habits'],
  ]);
});

describe.each(opened)('$name', ({ name, definition, file }) => {
  it('has its size, looks, bases crossed with worlds, and 400 questions a suite', () => {
    const { registered, seeds, settings } = definition;
    expect(seeds).toHaveLength(registered!.seeds);
    expect([file.worlds?.length, file.models?.length]).toEqual([seeds.length, seeds.length]);
    const [bases, worlds] = [new Set(file.models), new Set(file.worlds)];
    expect(bases.size * worlds.size).toBe(seeds.length);
    expect(new Set(seeds.map(({ world }, i) => `${world} ${file.models![i]}`)).size).toBe(seeds.length);
    // Every base is there as often at each look.
    for (const { seeds: at } of registered!.looks) expect(at % bases.size).toBe(0);
    expect(settings.evaluation.questions).toBe(400);
  });

  it('has worlds that nothing has used, nor another experiment', () => {
    const others = opened.filter((one) => one.name !== name).flatMap((one) => one.file.worlds ?? []);
    for (const world of file.worlds!) expect(used.has(world) || others.includes(world), String(world)).toBe(false);
  });

  it('claims one thing first', () => {
    expect(definition.claims!.filter(({ primary }) => primary)).toHaveLength(1);
  });

  it('forks only where the past would have been the same', () => {
    const tasks = tasksOf({ ...definition, seeds: definition.seeds.slice(0, 1) });
    for (const task of tasks) {
      const had = tasks.find((one) => one.folder === task.from);
      if (had === undefined) continue;
      const past = planStages(had.settings).slice(0, task.begin);
      expect(planStages(task.settings).slice(0, task.begin)).toEqual(past);
      expect([task.folder, decisive(task.settings, past)]).toEqual([task.folder, decisive(had.settings, past)]);
    }
  });

  it('stands in the protocol with its arms, worlds and size', () => {
    const section = protocol.split(/^## /m).find((part) => part.includes(`registered/${name})`));
    expect(section).toBeDefined();
    for (const arm of definition.arms) expect(section).toContain(`\`${arm}\``);
    const { worlds } = file;
    expect(section).toContain(`${Math.min(...worlds!)}-${Math.max(...worlds!)}`);
    expect(section).toContain(`${definition.registered!.seeds} seeds`);
    for (const { seeds, p } of definition.registered!.looks)
      expect(section).toContain(`${seeds} (p < ${String(p).slice(1)})`);
  });
});

it.each(jsonIn(path.join(folder, 'bases')))('the recipe of bases %s is one, with other habits alone', async (name) => {
  const recipe = await resolveSettings(recipeSchema, worldRecipe, { file: path.join(folder, 'bases', name) });
  const { habits, ...rest } = recipe;
  expect(rest).toEqual(worldRecipe);
  expect(habits).toBeDefined();
});
