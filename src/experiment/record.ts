/** experiment.json: what is being run in a folder, so that it is continued as it began, and its results can be read. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJson, writeFileAtomic } from '../base/files.ts';
import { type PresetName, presets } from '../evolve/presets.ts';
import { settingsSchema } from '../evolve/settings.ts';
import { presentVersions, versionNotes, versionsSchema } from '../runs/config-record.ts';
import { RunFiles } from '../runs/run-files.ts';
import { parseAs } from '../runs/schemas.ts';
import { allArmNames } from './arms.ts';
import type { Base, Definition } from './definition.ts';
import { recordedArmSchema } from './own-arms.ts';
import { ownClaimsSchema, registeredSchema } from './registered.ts';

const FILE = 'experiment.json';
/** Where outcomes of seeds are kept (outcomes.ts). */
export const OUTCOMES_FOLDER = 'outcomes';
/** What may be there before an experiment begins: outcomes of seeds that ran elsewhere. */
const ALLOWED: readonly string[] = ['lock.json', OUTCOMES_FOLDER];

const baseFields = {
  /** Directory of the base policy; null = the embedded one. */
  model: z.string().nullable(),
  /** SHA-256 of its weights; null where a training server has them. */
  weights: z.string().nullable(),
};

const dataSchema = z.strictObject({
  questions: z.string().nullable(),
  corpus: z.string().nullable(),
  tokenizer: z.string().nullable(),
  template: z.string().nullable(),
  evaluate: z.array(z.strictObject({ suite: z.string(), file: z.string() })),
});

const fields = z.strictObject({
  schema: z.literal(1),
  name: z.string(),
  arms: z.array(z.string()).min(1),
  /** Arms of one's own, claims and size, where the file has any. */
  own: z.array(recordedArmSchema).exactOptional(),
  claims: ownClaimsSchema.exactOptional(),
  registered: registeredSchema.exactOptional(),
  seeds: z
    .array(
      z.strictObject({
        name: z.string(),
        seed: z.int(),
        world: z.int(),
        base: z.strictObject(baseFields).exactOptional(),
      }),
    )
    .min(1),
  preset: z.enum(Object.keys(presets) as [PresetName, ...PresetName[]]),
  settings: settingsSchema,
  /** Older experiments have none. */
  data: dataSchema.nullable().default(null),
  ...baseFields,
  versions: versionsSchema,
});

const recordSchema = fields.superRefine(({ arms, own = [] }, context) => {
  const known: readonly string[] = [...allArmNames, ...own.map(({ name }) => name)];
  for (const [i, arm] of arms.entries())
    if (!known.includes(arm))
      context.addIssue({ code: 'custom', path: ['arms', i], message: `no arm is called ${arm}` });
});

export type ExperimentRecord = z.infer<typeof recordSchema>;

/** @throws UserError when the folder holds no experiment */
export async function readExperiment(folder: string): Promise<ExperimentRecord> {
  const file = path.join(folder, FILE);
  if (!existsSync(file))
    throw new UserError(`${folder}: not an experiment (it has no ${FILE})`, {
      hint: 'Give the directory that `search-e1 experiment` wrote to.',
    });
  return parseAs(recordSchema, await readJson(file), file);
}

/** A base is its weights, wherever they stand. */
function identityOf({ base, ...seed }: ExperimentRecord['seeds'][number]) {
  return { ...seed, ...(base && { weights: base.weights }) };
}

/**
 * Begins an experiment in a new or empty folder, or goes on with the one that stands there; seeds and arms may be added to it.
 * @returns notes on versions that have changed since
 * @throws UserError when something else is in the folder
 */
export async function recordExperiment(folder: string, definition: Definition, base: Base): Promise<string[]> {
  const { seeds, ...rest } = definition;
  const record: ExperimentRecord = recordSchema.parse({
    schema: 1,
    ...rest,
    seeds,
    ...base,
    versions: presentVersions(),
  });
  const file = path.join(folder, FILE);
  if (!existsSync(file)) {
    const entries = (await new RunFiles(folder).entries()) ?? [];
    if (entries.some((name) => !ALLOWED.includes(name) && !name.endsWith('.tmp')))
      throw new UserError(`${folder}: is not empty`, { hint: 'Choose another directory with --out.' });
    await writeFileAtomic(file, `${JSON.stringify(record, null, 2)}\n`);
    return [];
  }
  const had = await readExperiment(folder);
  for (const name of ['name', 'preset', 'settings', 'data', 'weights', 'claims', 'registered'] as const)
    if (!isDeepStrictEqual(had[name], record[name]))
      throw new UserError(`${folder}: holds another experiment (${name} differ${/s$|data/.test(name) ? '' : 's'})`, {
        hint: 'Repeat the command that it was begun with, or choose another directory with --out.',
      });
  const changed = had.own?.find(
    (one) =>
      !isDeepStrictEqual(
        one,
        record.own?.find(({ name }) => name === one.name),
      ),
  );
  if (changed !== undefined && record.arms.includes(changed.name))
    throw new UserError(`${folder}: holds another experiment (arm ${changed.name} differs)`, {
      hint: 'Give the changed arm another name, or choose another directory with --out.',
    });
  const missing = had.arms.filter((arm) => !record.arms.includes(arm));
  if (missing.length > 0)
    throw new UserError(`${folder}: was begun with arms that were not asked for (${missing.join(', ')})`, {
      hint: 'Name them too, or choose another directory with --out.',
    });
  if (had.registered !== undefined && !isDeepStrictEqual(had.arms, record.arms))
    throw new UserError(`${folder}: its arms were registered with its size, others cannot be added`, {
      hint: `Go on with ${had.arms.join(', ')}, or register another experiment.`,
    });
  const common = Math.min(had.seeds.length, record.seeds.length);
  if (!isDeepStrictEqual(had.seeds.slice(0, common).map(identityOf), record.seeds.slice(0, common).map(identityOf)))
    throw new UserError(`${folder}: holds another experiment (worlds or models differ)`, {
      hint: 'Choose another directory with --out.',
    });
  if (record.seeds.length < had.seeds.length)
    throw new UserError(`${folder}: was begun with ${had.seeds.length} seeds, ${record.seeds.length} were asked for`, {
      hint: `Continue with --seeds ${had.seeds.length} or more.`,
    });
  const { arms, own } = record;
  if (record.seeds.length > had.seeds.length || !isDeepStrictEqual(arms, had.arms))
    await writeFileAtomic(
      file,
      `${JSON.stringify({ ...had, arms, ...(own && { own }), seeds: record.seeds }, null, 2)}\n`,
    );
  return versionNotes(had);
}
