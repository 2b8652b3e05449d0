/** From a built-in experiment or a user's file, with the options of the command, to what is run: arms, seeds, settings and bases. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { readJson } from '../base/files.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { locateModel } from '../checkpoint/hub-model.ts';
import { hashWeights } from '../checkpoint/model-directory.ts';
import { isLocal } from '../engines/open-engine.ts';
import type { PresetName } from '../evolve/presets.ts';
import { type Settings, settingsSchema } from '../evolve/settings.ts';
import { armOf } from '../experiment/arms.ts';
import {
  type Base,
  builtIn,
  checkDefinition,
  type Definition,
  type ExperimentFile,
  experimentSettings,
  fileSchema,
  type Seed,
  seedsOf,
} from '../experiment/definition.ts';
import { checkOwnArm, type OwnArm, type OwnArmEntry } from '../experiment/own-arms.ts';
import { checkSize } from '../experiment/registered.ts';
import { parseAs } from '../runs/schemas.ts';
import { type DataOptions, dataOf } from './data-options.ts';
import { fetchModel } from './fetch-model.ts';
import { resolveSettings } from './settings-input.ts';
import type { Io } from './widgets/io.ts';

export interface DefinitionOptions extends DataOptions {
  readonly seeds?: number;
  readonly preset?: PresetName;
  readonly set: readonly string[];
  readonly model?: string;
  /** Folder that the models of a file are named from. */
  readonly bases?: string;
  readonly offline?: boolean;
}

/** Seeds where neither file nor command says how many. */
export const SEEDS = 5;

export async function defineExperiment(
  source: string,
  options: DefinitionOptions,
  io: Io,
): Promise<{ readonly definition: Definition; readonly base: Base }> {
  const { definition, file } = await readDefinition(source, options);
  const { settings } = definition;
  if (!isLocal(settings.engine) && file.models !== undefined)
    throw new UserError(`${source}: models: the server at ${settings.engine.url} has its own`, {
      hint: 'Leave them out; engine.baseModel names it.',
    });
  const base = isLocal(settings.engine)
    ? await openBase(options.model ?? null, options, io)
    : { model: options.model ?? null, weights: null };
  const seeds: Seed[] = [];
  for (const [i, seed] of definition.seeds.entries()) {
    const model = file.models?.[i] ?? null;
    seeds.push(model === null ? seed : { ...seed, base: await openBase(below(options.bases, model), options, io) });
  }
  return { definition: { ...definition, seeds }, base };
}

/** The definition without its bases, which are not opened. */
export async function readDefinition(
  source: string,
  options: DefinitionOptions,
): Promise<{ readonly definition: Definition; readonly file: ExperimentFile }> {
  const arms = Object.hasOwn(builtIn, source) ? builtIn[source] : undefined;
  if (arms === undefined && !existsSync(source))
    throw new UserError(`${source}: neither a file nor one of the experiments ${Object.keys(builtIn).join(', ')}`);
  const file: ExperimentFile = arms ? { arms: [...arms] } : parseAs(fileSchema, await readJson(source), source);
  const preset = options.preset ?? file.preset ?? 'default';
  const settings = await resolveSettings(settingsSchema, experimentSettings(preset), {
    part: file.settings && { source, value: file.settings },
    set: options.set,
    listedBy: '`search-e1 settings`',
  });
  const usual = file.registered?.seeds ?? (preset === 'smoke' ? 1 : SEEDS);
  const count = options.seeds ?? file.seeds ?? usual;
  if (file.registered !== undefined) checkSize(file.registered, count);
  const name = arms ? source : path.basename(source, '.json');
  if (file.models !== undefined && options.model !== undefined)
    throw new UserError(`--model: ${source} names a model for each seed already`, {
      hint: 'Leave out one of the two.',
    });
  if (file.models === undefined && options.bases !== undefined)
    throw new UserError(`--bases: ${source} names no models`, { hint: 'Leave it out, or give --model.' });
  const questions = dataOf(options);
  if (questions.questions !== null && file.worlds !== undefined)
    throw new UserError(`--questions: ${source} names worlds, which have questions of their own`, {
      hint: 'Leave out one of the two.',
    });
  const data = questions.questions === null && questions.corpus === null ? null : questions;
  const entries = file.arms.filter((arm) => typeof arm === 'object');
  const own = await Promise.all(entries.map((entry) => ownArm(entry, settings, source)));
  const definition: Definition = {
    name,
    arms: file.arms.map((arm) => (typeof arm === 'object' ? arm.name : arm)),
    ...(own.length > 0 && { own }),
    ...(file.claims && { claims: file.claims }),
    ...(file.registered && { registered: file.registered }),
    seeds: seedsOf(count, file),
    preset,
    settings,
    data,
  };
  checkDefinition(definition);
  return { definition, file };
}

/** The entry with all settings: those of the arm that it is of, and its own over them. */
async function ownArm(entry: OwnArmEntry, settings: Settings, source: string): Promise<OwnArm> {
  checkOwnArm(entry);
  const { name, of, says } = entry;
  const part = { source: `${source}: arms: ${name}`, value: entry.settings };
  const over = armOf(of).change(settings);
  return { name, of, says, settings: await resolveSettings(settingsSchema, over, { part }) };
}

/** A model in a folder; the Hub's are there anyway. */
function below(folder: string | undefined, model: string): string {
  return folder === undefined || model.startsWith('hf:') ? model : path.resolve(folder, model);
}

/** Paths are made absolute, so that the experiment can be continued from another folder. */
async function openBase(named: string | null, options: DefinitionOptions, io: Io): Promise<Base> {
  const place = named && (await fetchModel(named, options, io)).place;
  const model = place && !place.startsWith('hf:') ? path.resolve(place) : place;
  const { folder } = await locateModel(model ?? BASE_POLICY, { offline: true });
  return { model, weights: await hashWeights(folder) };
}
