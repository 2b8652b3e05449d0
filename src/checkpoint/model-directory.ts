/** A model as Hugging Face transformers keeps it: a folder with config.json, the weights in safetensors, the tokenizer. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJson, writeFileAtomic } from '../base/files.ts';
import { configJson, type ModelConfig, parseConfig } from './config.ts';
import { readSafetensors, safetensorsBytes, type Tensor } from './safetensors.ts';
import { tensorShapes } from './tensor-shapes.ts';
import type { TokenizerFiles } from './tokenizer.ts';

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

export interface Model {
  readonly config: ModelConfig;
  /** Exactly the tensors of `tensorShapes(config)`. */
  readonly weights: ReadonlyMap<string, Tensor>;
}

/**
 * Reads config.json and the weights, from model.safetensors or from the shards that model.safetensors.index.json names.
 * The tokenizer is read separately (loadTokenizer).
 * @throws UserError when a file is missing or damaged, or a tensor is missing, unexpected or of another shape
 */
export async function readModel(folder: string): Promise<Model> {
  const configFile = path.join(folder, 'config.json');
  const config = parseConfig(await readJson(configFile), configFile);
  const weights = new Map<string, Tensor>();
  for (const file of await weightFiles(folder))
    for (const [name, tensor] of await readSafetensors(file)) {
      if (weights.has(name)) throw new UserError(`${file}: tensor "${name}" stands in another shard as well`);
      weights.set(name, tensor);
    }
  checkTensors(config, weights, folder);
  const shapes = tensorShapes(config);
  return { config, weights: new Map([...weights].filter(([name]) => shapes.has(name))) };
}

const indexSchema = z.object({
  // Names only: an index must not point out of its folder.
  weight_map: z.record(z.string(), z.string().regex(/^[^/\\]+$/, 'expected the name of a file in the same folder')),
});

async function weightFiles(folder: string): Promise<string[]> {
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

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** Every tensor of the configuration in its shape, and no other but those that repeat what is known anyway. */
function checkTensors(config: ModelConfig, weights: ReadonlyMap<string, Tensor>, place: string): void {
  const shapes = tensorShapes(config);
  const text = (shape: readonly number[]) => `[${shape.join(', ')}]`;
  const checkShape = (name: string, expected: readonly number[], found: readonly number[]) => {
    if (text(expected) !== text(found))
      throw new UserError(
        `${place}: tensor "${name}": config.json makes its shape ${text(expected)}, found ${text(found)}`,
      );
  };
  for (const [name, shape] of shapes) {
    const tensor = weights.get(name);
    if (!tensor) throw new UserError(`${place}: tensor "${name}" of shape ${text(shape)} is missing`);
    checkShape(name, shape, tensor.shape);
  }
  for (const [name, tensor] of weights) {
    if (shapes.has(name)) continue;
    if (name === 'lm_head.weight') checkShape(name, shapes.get('model.embed_tokens.weight')!, tensor.shape);
    else if (!name.endsWith('.rotary_emb.inv_freq'))
      throw new UserError(
        `${place}: unexpected tensor "${name}" of shape ${text(tensor.shape)}; config.json describes a model without it`,
        { hint: 'Check that config.json and the weights belong together.' },
      );
  }
}

/** What stands in a model's folder beside its weights. */
export interface ModelFiles extends Model {
  readonly tokenizer?: TokenizerFiles;
  /** The content of generation_config.json. */
  readonly generation?: Readonly<Record<string, unknown>>;
}

/**
 * Writes a model in float32, so that Hugging Face transformers can load it. Each file is written whole or not at all,
 * config.json last: a new folder with a config.json is complete. Other files of the folder are left alone.
 * @throws UserError when the weights are not those of the configuration or a file cannot be written
 */
export async function writeModel(folder: string, model: ModelFiles): Promise<void> {
  const { config, weights, tokenizer, generation } = model;
  checkTensors(config, weights, folder);
  const write = (name: string, data: string | Uint8Array[]) => writeFileAtomic(path.join(folder, name), data);
  const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

  await write(WEIGHTS, safetensorsBytes(weights));
  if (tokenizer) {
    await write('tokenizer.json', tokenizer.json);
    // Transformers 4 takes the family's own class without this, and rebuilds the vocabulary in that family's way. Version 5
    // does so for Qwen2 whatever stands here: for a word-level vocabulary name the class, PreTrainedTokenizerFast.
    await write('tokenizer_config.json', tokenizer.config ?? json({ tokenizer_class: 'PreTrainedTokenizerFast' }));
    if (tokenizer.chatTemplate !== undefined) await write('chat_template.jinja', tokenizer.chatTemplate);
  }
  if (generation) await write('generation_config.json', json(generation));
  await write('config.json', json(configJson(config)));
}
