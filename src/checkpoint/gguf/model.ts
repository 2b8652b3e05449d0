/** A GGUF file as a model: its configuration, its weights under Hugging Face's names, its tokenizer. */
import { open, stat } from 'node:fs/promises';
import { UserError } from '../../base/errors.ts';
import type { ModelConfig } from '../config.ts';
import { tensorShapes } from '../tensor-shapes.ts';
import type { TokenizerFiles } from '../tokenizer.types.ts';
import { configOf, EMBEDDING, ggufName, OUTPUT, ROPE_FACTORS, reorderedHeads, reorderRows } from './architecture.ts';
import { GgufFile } from './file.ts';
import { tokenizerFilesOf } from './tokenizer.ts';

/** Whether a place is a GGUF file: by its name, or by its first bytes. */
export async function isGguf(place: string): Promise<boolean> {
  const found = await stat(place).catch(() => undefined);
  if (!found?.isFile()) return false;
  if (/\.gguf$/i.test(place)) return true;
  const handle = await open(place);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString('latin1') === 'GGUF';
  } finally {
    await handle.close();
  }
}

/** @throws UserError for what is no GGUF, damaged, or a model that is not computed here */
export async function readGgufConfig(file: string): Promise<ModelConfig> {
  return withFile(file, configOfFile);
}

/** Its tokenizer. @throws UserError for one of another kind than byte-level BPE, and a splitting rule that is not known */
export async function readGgufTokenizer(file: string): Promise<TokenizerFiles> {
  return withFile(file, async (opened) => tokenizerFilesOf(opened.metadata, file, await configOfFile(opened)));
}

/**
 * Reads every tensor of `tensorShapes(config)` into the array that `target` gives for its name, as float32. All tensors are
 * checked before `target` is first asked; no memory is taken but for a few megabytes.
 * @throws UserError for a tensor that is missing, unexpected or of another shape
 */
export async function readGgufWeights(
  file: string,
  config: ModelConfig,
  target: (name: string) => Float32Array,
): Promise<void> {
  await withFile(file, async (opened) => {
    const names = checkTensors(opened, config);
    for (const [stored, name] of names) {
      const values = target(name);
      await opened.read(stored, values);
      const heads = reorderedHeads(name, config);
      if (heads > 0) reorderRows(values, heads, config.headSize, 'huggingface');
    }
  });
}

async function withFile<T>(file: string, use: (opened: GgufFile) => Promise<T>): Promise<T> {
  const opened = await GgufFile.open(file);
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

async function configOfFile(opened: GgufFile): Promise<ModelConfig> {
  const { metadata, tensors, file } = opened;
  // Another architecture says more than the first tensor that is missing.
  const about = { rows: tensors.get(EMBEDDING)?.shape[0] ?? 0, tied: !tensors.has(OUTPUT) };
  const hasFactors = tensors.has(ROPE_FACTORS) && metadata.text('general.architecture') === 'llama';
  return configOf(metadata, file, { ...about, ...(hasFactors && { ropeFactors: await opened.values(ROPE_FACTORS) }) });
}

/** Every tensor of the configuration in its shape, and no other. @returns stored name to Hugging Face's, in the order of their bytes */
function checkTensors({ file, tensors }: GgufFile, config: ModelConfig): Map<string, string> {
  const text = (shape: readonly number[]) => `[${shape.join(', ')}]`;
  const wanted = new Map([...tensorShapes(config)].map(([name, shape]) => [ggufName(name), { name, shape }]));
  for (const [stored, { shape }] of wanted) {
    const found = tensors.get(stored);
    if (!found) throw new UserError(`${file}: tensor "${stored}" of shape ${text(shape)} is missing`);
    if (text(found.shape) !== text(shape))
      throw new UserError(
        `${file}: tensor "${stored}": the metadata make its shape ${text(shape)}, found ${text(found.shape)}`,
      );
  }
  const names = new Map<string, string>();
  for (const [stored, { shape }] of tensors) {
    const known = wanted.get(stored);
    if (known) names.set(stored, known.name);
    else if (!(stored === ROPE_FACTORS && config.family === 'llama'))
      throw new UserError(
        `${file}: unexpected tensor "${stored}" of shape ${text(shape)}: a ${config.family} model here has none`,
      );
  }
  return names;
}
