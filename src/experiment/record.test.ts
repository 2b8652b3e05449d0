import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Definition, experimentSettings, seedsOf } from './definition.ts';
import { readExperiment, recordExperiment } from './record.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'record-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const embedded = { model: null, weights: 'a' };
const another = { model: '/bases/2', weights: 'b' };
const definition = (seeds: Definition['seeds'], arms: Definition['arms'] = ['e1', 'jsd']): Definition => ({
  name: 'claims',
  arms,
  preset: 'smoke',
  settings: experimentSettings('smoke'),
  data: null,
  seeds,
});
const [first, second] = seedsOf(2) as [Definition['seeds'][number], Definition['seeds'][number]];

it('an experiment goes on with more seeds, on a base of their own', async () => {
  await recordExperiment(folder, definition([first]), embedded);
  await recordExperiment(folder, definition([first, { ...second, base: another }]), embedded);
  const { seeds, model } = await readExperiment(folder);
  expect([model, seeds[0]!.base, seeds[1]!.base]).toEqual([null, undefined, another]);
});

it('an experiment goes on with a base that stands elsewhere by now', async () => {
  await recordExperiment(folder, definition([{ ...first, base: another }]), embedded);
  const moved = { ...another, model: '/elsewhere/2' };
  expect(await recordExperiment(folder, definition([{ ...first, base: moved }]), embedded)).toEqual([]);
});

it('begins where outcomes of its seeds were brought, and nowhere else but in an empty folder', async () => {
  await mkdir(path.join(folder, 'outcomes'));
  await recordExperiment(folder, definition([first]), embedded);
  await rm(path.join(folder, 'experiment.json'));
  await writeFile(path.join(folder, 'other'), '');
  await expect(recordExperiment(folder, definition([first]), embedded)).rejects.toThrow('is not empty');
});

it('an experiment goes on with more arms, in the order that was asked for last', async () => {
  await recordExperiment(folder, definition([first]), embedded);
  await recordExperiment(folder, definition([first], ['e1', 'sharpen', 'jsd']), embedded);
  expect((await readExperiment(folder)).arms).toEqual(['e1', 'sharpen', 'jsd']);
});

it('it is refused without one of its arms, and nothing is written', async () => {
  await recordExperiment(folder, definition([first]), embedded);
  await expect(recordExperiment(folder, definition([first], ['e1', 'sharpen']), embedded)).rejects.toThrow(
    /arms that were not asked for \(jsd\)/,
  );
  expect((await readExperiment(folder)).arms).toEqual(['e1', 'jsd']);
});

it.each([
  ['on another base', [{ ...first, base: another }]],
  ['on the same base with other weights', [{ ...first, base: { ...another, weights: 'c' } }]],
])('it is refused %s, and nothing is written', async (_, seeds) => {
  const begun = seeds[0]!.base.weights === 'b' ? first : { ...first, base: another };
  await recordExperiment(folder, definition([begun]), embedded);
  const before = await readFile(path.join(folder, 'experiment.json'), 'utf8');
  await expect(recordExperiment(folder, definition(seeds), embedded)).rejects.toThrow(/worlds or models differ/);
  expect(await readFile(path.join(folder, 'experiment.json'), 'utf8')).toBe(before);
});

const mine = { name: 'mine', of: 'e1', says: 'Made up.', settings: experimentSettings('smoke') } as const;
const registered = { seeds: 2, looks: [{ seeds: 2, p: 0.05 }] };

it('keeps arms of its own, claims and size, and refuses others in their place', async () => {
  const own: Definition = { ...definition([first], ['e1', 'mine']), own: [mine], registered };
  await recordExperiment(folder, own, embedded);
  expect(await readExperiment(folder)).toMatchObject({ own: [mine], registered });
  await recordExperiment(folder, { ...own, seeds: [first, second] }, embedded);
  const { pool } = mine.settings;
  const changed = { ...mine, settings: { ...mine.settings, pool: { ...pool, rollouts: 9 } } };
  for (const [another, why] of [
    [{ ...own, own: [changed] }, 'arm mine differs'],
    [{ ...own, arms: ['e1', 'mine', 'jsd'] }, 'its arms were registered with its size, others cannot be added'],
    [{ ...own, registered: { seeds: 9, looks: [{ seeds: 9, p: 0.05 }] } }, 'registered differs'],
  ] satisfies [Definition, string][])
    await expect(recordExperiment(folder, { ...another, seeds: [first, second] }, embedded)).rejects.toThrow(why);
  expect((await readExperiment(folder)).seeds).toHaveLength(2);
});

it('refuses a record with an arm that nothing says', async () => {
  await expect(recordExperiment(folder, definition([first], ['e1', 'mine']), embedded)).rejects.toThrow(
    'no arm is called mine',
  );
});
