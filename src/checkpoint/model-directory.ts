/**
 * A model on disk: as Hugging Face transformers keeps it, a folder with config.json, the weights in safetensors and the tokenizer;
 * or, for reading, all of it in one GGUF file. Whoever reads names the place and need not know which of both it is.
 */
import { existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { hashFile, readJson, sha256, writeFileAtomic } from '../base/files.ts';
import { configJson, type ModelConfig, parseConfig } from './config.ts';
import { isGguf, readGgufConfig, readGgufWeights } from './gguf/model.ts';
import { checkRepetitions } from './repetitions.ts';
import {
  isStoredType,
  SafetensorsFile,
  type StoredType,
  safetensorsParts,
  sizeOf,
  type Tensor,
  unsupported,
} from './safetensors.ts';
import { checkTensors } from './tensor-check.ts';
import { tensorShapes } from './tensor-shapes.ts';
import type { TokenizerFiles } from './tokenizer-files.ts';

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

export interface Model {
  readonly config: ModelConfig;
  /** Exactly the tensors of `tensorShapes(config)`. */
  readonly weights: ReadonlyMap<string, Tensor>;
}

/**
 * Reads config.json and the weights, from model.safetensors or from the shards that model.safetensors.index.json names; or a
 * GGUF file. The tokenizer is read separately (loadTokenizer).
 * @throws UserError when a file is missing or damaged, or a tensor is missing, unexpected or of another shape
 */
export async function readModel(place: string): Promise<Model> {
  const config = await readConfig(place);
  const shapes = tensorShapes(config);
  const read = new Map<string, Float32Array>();
  await readWeights(place, config, (name) => {
    const data = read.get(name) ?? new Float32Array(sizeOf(shapes.get(name)!));
    read.set(name, data);
    return data;
  });
  const weights = new Map([...shapes].map(([name, shape]) => [name, { shape, data: read.get(name)! }]));
  return { config, weights };
}

/** Reads config.json, or what a GGUF file says of itself; see `parseConfig` for what is refused. */
export async function readConfig(place: string): Promise<ModelConfig> {
  if (await isGguf(place)) return readGgufConfig(place);
  const file = path.join(place, 'config.json');
  if (!existsSync(file))
    throw new UserError(
      `${place}: not a model directory (${existsSync(place) ? 'it has no config.json' : 'nothing is there'}), and no GGUF file`,
      {
        hint: 'Give a Hugging Face model directory, a GGUF file, or hf:OWNER/NAME for a model of the Hub.',
      },
    );
  return parseConfig(await readJson(file), file);
}

/**
 * Reads every tensor of `tensorShapes(config)` into the array that `target` gives for its name, as float32. All tensors are
 * checked before `target` is first asked; no memory is taken but for a few megabytes.
 * @param target the same array whenever it is asked for the same name
 * @throws UserError as `readModel` does
 */
export async function readWeights(
  place: string,
  config: ModelConfig,
  target: (name: string) => Float32Array,
): Promise<void> {
  if (await isGguf(place)) return readGgufWeights(place, config, target);
  const files: SafetensorsFile[] = [];
  try {
    for (const file of await weightFiles(place)) files.push(await SafetensorsFile.open(file));
    const shapes = new Map<string, readonly number[]>();
    for (const { file, tensors } of files)
      for (const { name, shape } of tensors) {
        if (shapes.has(name)) throw new UserError(`${file}: tensor "${name}" stands in another shard as well`);
        shapes.set(name, shape);
      }
    checkTensors(config, shapes, place);
    const known = tensorShapes(config);
    for (const { file, tensors } of files)
      for (const { name, dtype } of tensors)
        if (known.has(name) && !isStoredType(dtype)) throw unsupported(file, name, dtype);
    for (const file of files)
      for (const { name } of file.tensors) if (known.has(name)) await file.read(name, target(name));
    for (const file of files) await checkRepetitions(file, config, target('model.embed_tokens.weight'));
  } finally {
    for (const file of files) await file.close();
  }
}

/** No path, no control characters, and short enough for every file system. */
const SHARD = /^[^/\\\p{Cc}]{1,200}\.safetensors$/u;

const indexSchema = z.object({
  // Names only: an index must not point out of its folder.
  weight_map: z.record(
    z.string(),
    z.string().regex(SHARD, 'expected the name of a .safetensors file in the same folder'),
  ),
});

/** The files that hold the weights: a GGUF file itself; of a model directory the single safetensors file, or the shards. */
export async function weightFiles(folder: string): Promise<string[]> {
  if (await isGguf(folder)) return [folder];
  const single = path.join(folder, WEIGHTS);
  if (await exists(single)) return [single];
  const index = path.join(folder, INDEX);
  if (!(await exists(index)))
    throw new UserError(`${folder}: expected ${WEIGHTS} or ${INDEX}, found neither`, {
      hint: 'Weights in another format have to be saved as safetensors first.',
    });
  const parsed = indexSchema.safeParse(await readJson(index));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new UserError(`${index}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  return [...new Set(Object.values(parsed.data.weight_map))].sort().map((name) => path.join(folder, name));
}

/** Stands for the weights in a model's folder: SHA-256 of their file; of several, the SHA-256 of theirs. */
export async function hashWeights(folder: string): Promise<string> {
  const hashes: string[] = [];
  for (const file of await weightFiles(folder)) hashes.push(await hashFile(file));
  return hashes.length === 1 ? hashes[0]! : sha256(...hashes);
}

/** Whether a place holds weights, or the index of shards. */
export async function hasWeights(folder: string): Promise<boolean> {
  return (
    (await isGguf(folder)) || (await exists(path.join(folder, WEIGHTS))) || (await exists(path.join(folder, INDEX)))
  );
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** What stands in a model's folder beside its weights. */
export interface ModelFiles extends Model {
  readonly tokenizer?: TokenizerFiles;
  /** generation_config.json; default: the one that stands beside the tokenizer. */
  readonly generation?: string;
}

export interface WriteOptions {
  /** Default F32. */
  readonly dtype?: StoredType;
  /** Weights of more bytes are cut into shards of at most as many (a larger tensor is a shard of its own). Default 5 GB. */
  readonly shardBytes?: number;
}

/** The types' names in config.json. */
const TORCH_NAMES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;
const SHARD_BYTES = 5e9;

/**
 * Writes a model, so that Hugging Face transformers can load it. Each file is written whole or not at all,
 * config.json last: a new folder with a config.json is complete. Other files of the folder are left alone.
 * @throws UserError when the weights are not those of the configuration or a file cannot be written
 */
export async function writeModel(folder: string, model: ModelFiles, options: WriteOptions = {}): Promise<void> {
  const { config, weights, tokenizer, generation = tokenizer?.generation } = model;
  const { dtype = 'F32', shardBytes = SHARD_BYTES } = options;
  checkTensors(config, new Map([...weights].map(([name, { shape }]) => [name, shape])), folder);
  const write = (name: string, data: string | Iterable<Uint8Array>) => writeFileAtomic(path.join(folder, name), data);
  const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

  const bytesPerValue = dtype === 'F32' ? 4 : 2;
  const shards = cutIntoShards(weights, shardBytes / bytesPerValue);
  if (shards.length === 1) await write(WEIGHTS, safetensorsParts(weights, dtype));
  else {
    const weight_map: Record<string, string> = {};
    let values = 0;
    for (const [i, shard] of shards.entries()) {
      const five = (n: number) => String(n).padStart(5, '0');
      const name = `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`;
      await write(name, safetensorsParts(shard, dtype));
      for (const [tensor, { data }] of shard) {
        weight_map[tensor] = name;
        values += data.length;
      }
    }
    // Readers would take a single file first.
    await rm(path.join(folder, WEIGHTS), { force: true });
    await write(INDEX, json({ metadata: { total_size: values * bytesPerValue }, weight_map }));
  }
  if (tokenizer) await writeTokenizer(folder, tokenizer);
  if (generation !== undefined) await write('generation_config.json', generation);
  await write('config.json', json(configJson(config, TORCH_NAMES[dtype])));
}

/** The tokenizer's files alone. */
export async function writeTokenizer(folder: string, { json, config, chatTemplate }: TokenizerFiles): Promise<void> {
  const write = (name: string, data: string) => writeFileAtomic(path.join(folder, name), data);
  await write('tokenizer.json', json);
  // Transformers 4 takes the family's own class without this, and rebuilds the vocabulary in that family's way. Version 5
  // does so for Qwen2 whatever stands here: for a word-level vocabulary name the class, PreTrainedTokenizerFast.
  await write(
    'tokenizer_config.json',
    config ?? `${JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast' }, undefined, 2)}\n`,
  );
  if (chatTemplate !== undefined) await write('chat_template.jinja', chatTemplate);
}

function cutIntoShards(weights: ReadonlyMap<string, Tensor>, limit: number): Map<string, Tensor>[] {
  const shards = [new Map<string, Tensor>()];
  let values = 0;
  for (const [name, tensor] of weights) {
    if (values > 0 && values + tensor.data.length > limit) {
      shards.push(new Map());
      values = 0;
    }
    shards.at(-1)!.set(name, tensor);
    values += tensor.data.length;
  }
  return shards;
}
