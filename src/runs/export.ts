/**
 * What a run, a checkpoint, a model directory or a GGUF file holds, written as Hugging Face's libraries keep it, the merged model
 * or the adapter alone in PEFT's format; or as a GGUF file.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { type Adapter, readAdapter, writeAdapter } from '../checkpoint/adapter-directory.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { writeGguf } from '../checkpoint/gguf/export.ts';
import { isGguf } from '../checkpoint/gguf/model.ts';
import type { WrittenType } from '../checkpoint/gguf/write.ts';
import { type HubOptions, locateModel } from '../checkpoint/hub-model.ts';
import { type Model, readModel, type WriteOptions, writeModel } from '../checkpoint/model-directory.ts';
import type { StoredType } from '../checkpoint/safetensors.ts';
import { readTokenizerFiles, type TokenizerFiles } from '../checkpoint/tokenizer-files.ts';
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
  /** generation_config.json of a model without a tokenizer. */
  readonly generation?: string;
}

/**
 * Opens a run directory (`RUN` or `RUN#STAGE`), a checkpoint's folder, a Hugging Face model directory, a GGUF file or `hf:…`.
 * @param adapter a PEFT folder, to be put on a model that brings none
 * @throws UserError for anything else, and for what the readers of these refuse
 */
export async function openExport(place: string, adapter?: string, hub: HubOptions = {}): Promise<ExportSource> {
  const { folder: located, place: name } = await locateModel(place, hub);
  const folder = await checkpointOf(located);
  const home = await remoteHome(folder);
  if (home !== undefined)
    throw new UserError(`${folder}: its weights are on the training server at ${home}, engine.json names them`, {
      hint: 'Have the server write them as a Hugging Face directory (docs/distributed.md), which is a model like any other.',
    });
  if (isSaved(folder)) {
    if (adapter !== undefined) throw new UserError(`--adapter: ${folder} is a checkpoint, which keeps its own`);
    const model = await readSavedModel(folder);
    const tokenizer = await tokenizerOfRun(folder, hub);
    return { folder, ...model, base: { name: path.resolve(folder) }, ...(tokenizer && { tokenizer }) };
  }
  const model = await readModel(folder);
  const hasTokenizer = (await isGguf(folder)) || (await exists(path.join(folder, 'tokenizer.json')));
  const tokenizer = hasTokenizer ? await readTokenizerFiles(folder) : undefined;
  // Beside a tokenizer it comes with that.
  const generation = tokenizer ? undefined : await readGeneration(folder);
  return {
    folder,
    ...(generation !== undefined && { generation }),
    ...model,
    ...(adapter !== undefined && { adapter: await readAdapter(adapter, model.config) }),
    base: baseOf(folder, name),
    ...(tokenizer && { tokenizer }),
  };
}

/** Writes the model, the adapter added to its weights by the engine's own arithmetic. */
export async function exportMerged(source: ExportSource, folder: string, options: WriteOptions): Promise<void> {
  const { config, tokenizer, generation, adapter } = source;
  const weights = adapter ? await mergedWeights(source, adapter) : source.weights;
  const beside = { ...(tokenizer && { tokenizer }), ...(generation !== undefined && { generation }) };
  await writeModel(folder, { config, weights, ...beside }, options);
}

/** Writes the same as one GGUF file. @throws UserError where `writeGguf` does, and without a tokenizer */
export async function exportGguf(source: ExportSource, file: string, type: WrittenType): Promise<void> {
  const { config, tokenizer, folder, adapter } = source;
  if (!tokenizer)
    throw new UserError(`${folder}: has no tokenizer, which a GGUF file has to hold`, {
      hint: 'Put its tokenizer.json and tokenizer_config.json beside the weights.',
    });
  const weights = adapter ? await mergedWeights(source, adapter) : source.weights;
  await writeGguf(file, { config, weights, tokenizer, name: path.basename(path.resolve(folder)) }, type);
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

async function readGeneration(folder: string): Promise<string | undefined> {
  const file = path.join(folder, 'generation_config.json');
  return (await exists(file)) ? readFile(file, 'utf8') : undefined;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
