/**
 * What a run, a checkpoint or a model directory holds, written as Hugging Face's libraries keep it: the merged model, or
 * the adapter alone in PEFT's format.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { type Adapter, readAdapter, writeAdapter } from '../checkpoint/adapter-directory.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { type HubOptions, locateModel } from '../checkpoint/hub-model.ts';
import { type Model, readModel, type WriteOptions, writeModel } from '../checkpoint/model-directory.ts';
import type { StoredType } from '../checkpoint/safetensors.ts';
import { readTokenizerFiles, type TokenizerFiles } from '../checkpoint/tokenizer.ts';
import { isSaved, mergedWeights, readSavedModel, remoteHome } from '../engines/open-engine.ts';
import { Checkpoints, splitStage } from './checkpoints.ts';
import { RunFiles } from './run-files.ts';

/** A model ready to be written; `weights` without the adapter. */
export interface ExportSource extends Model {
  /** Where it lies: for a run the checkpoint of the stage. */
  readonly folder: string;
  readonly adapter?: Adapter;
  /** What the weights without the adapter are, when they are a model that can be named. */
  readonly base: { readonly name: string; readonly revision?: string };
  readonly tokenizer?: TokenizerFiles;
}

/**
 * Opens a run directory (`RUN` or `RUN#STAGE`), a checkpoint's folder, a Hugging Face model directory or `hf:…`.
 * @param adapter a PEFT folder, to be put on a model that brings none
 * @throws UserError for anything else, and for what the readers of these refuse
 */
export async function openExport(place: string, adapter?: string, hub: HubOptions = {}): Promise<ExportSource> {
  const { folder: located, place: name } = await locateModel(place, hub);
  const folder = await checkpointOf(located);
  const home = await remoteHome(folder);
  if (home !== undefined)
    throw new UserError(`${folder}: its weights are on the training server at ${home}, engine.json names them`, {
      hint: 'Have the server write them as a Hugging Face directory (docs/distributed.md); that can be given as --model.',
    });
  if (isSaved(folder)) {
    if (adapter !== undefined) throw new UserError(`--adapter: ${folder} is a checkpoint, which keeps its own`);
    const model = await readSavedModel(folder);
    const tokenizer = await tokenizerOfRun(folder, hub);
    return { folder, ...model, base: { name: path.resolve(folder) }, ...(tokenizer && { tokenizer }) };
  }
  const model = await readModel(folder);
  const tokenizer = (await exists(path.join(folder, 'tokenizer.json'))) ? await readTokenizerFiles(folder) : undefined;
  return {
    folder,
    ...model,
    ...(adapter !== undefined && { adapter: await readAdapter(adapter, model.config) }),
    base: baseOf(folder, name),
    ...(tokenizer && { tokenizer }),
  };
}

/** Writes the model, the adapter added to its weights by the engine's own arithmetic. */
export async function exportMerged(source: ExportSource, folder: string, options: WriteOptions): Promise<void> {
  const { config, tokenizer, adapter } = source;
  const weights = adapter ? await mergedWeights(source, adapter) : source.weights;
  await writeModel(folder, { config, weights, ...(tokenizer && { tokenizer }) }, options);
}

/** Writes the adapter alone. Throws a UserError when there is none. */
export async function exportAdapter(source: ExportSource, folder: string, dtype: StoredType): Promise<void> {
  const { adapter, base } = source;
  if (!adapter)
    throw new UserError(`${source.folder}: has no adapter`, {
      hint: 'Distillation merges its adapter at the end of each round; leave out --adapter-only to export the whole model.',
    });
  await writeAdapter(folder, adapter, base, dtype);
}

function baseOf(folder: string, place: string): ExportSource['base'] {
  const [, name, revision] = /^hf:(.+)@(.+)$/.exec(place) ?? [];
  return name === undefined || revision === undefined ? { name: path.resolve(folder) } : { name, revision };
}

/** The checkpoint of RUN or RUN#STAGE: the training stage that ended last, or the one named. Any other folder as it is. */
async function checkpointOf(place: string): Promise<string> {
  const [folder, stage] = splitStage(place);
  const checkpoints = new Checkpoints(path.join(folder, 'checkpoints'));
  if (await exists(checkpoints.folder)) return (await checkpoints.trained(stage)).folder;
  if (stage === undefined) return folder;
  throw new UserError(`${folder}: not a run directory, so it has no stage ${stage}`);
}

/** The tokenizer that the run of a checkpoint works with; undefined for a checkpoint that lies elsewhere. */
async function tokenizerOfRun(checkpoint: string, hub: HubOptions): Promise<TokenizerFiles | undefined> {
  const run = new RunFiles(path.resolve(checkpoint, '../..'));
  if (!(await exists(run.file('checkpoints')))) return undefined;
  const { tokenizer, model } = (await run.config()).inputs;
  return readTokenizerFiles(tokenizer ?? (await locateModel(model ?? BASE_POLICY, hub)).folder);
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
