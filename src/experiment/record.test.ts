import { mkdtemp, readFile, rm } from 'node:fs/promises';
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
