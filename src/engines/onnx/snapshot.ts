/**
 * A folder that holds the state of training, exactly:
 *
 *     model.safetensors      the weights under their Hugging Face names; with config.json a model directory but for the tokenizer
 *     config.json
 *     adapter.safetensors    when one is attached
 *     optimizer.safetensors  `<parameter>.first` and `<parameter>.second`: running means of the gradient and of its square
 *     engine.json            what belongs together: steps of the optimiser, the adapter's rank and alpha, SHA-256 of each file
 *
 * engine.json is written last: a folder whose writing was cut short is refused, never half believed.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { hashFile, readJson, sha256, writeFileAtomic } from '../../base/files.ts';
import { configJson } from '../../checkpoint/config.ts';
import { readSafetensors, safetensorsBytes, type Tensor } from '../../checkpoint/safetensors.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig, type ParameterLayout, viewOf } from './parameters.ts';
import type { TrainerState } from './training.ts';

const FILES = { weights: 'model.safetensors', adapter: 'adapter.safetensors', optimizer: 'optimizer.safetensors' };

const engineSchema = z.strictObject({
  schema: z.literal(1),
  /** Updates that the moments have seen. */
  steps: z.int().min(0),
  adapter: z.strictObject({ rank: z.int().positive(), alpha: z.number().positive() }).nullable(),
  files: z.record(z.string(), z.string()),
});

/** Writes a state. The arrays must not change until the promise settles. */
export async function writeSnapshot(folder: string, config: ModelConfig, state: TrainerState): Promise<void> {
  const { weights, adapter, moments } = state;
  const layout = layoutOf(config);
  const trained = adapter ? adapterLayoutOf(config, adapter.rank) : layout;
  const files: Record<string, string> = {};
  const write = async (name: string, tensors: ReadonlyMap<string, Tensor>) => {
    const parts = safetensorsBytes(tensors);
    files[name] = sha256(...parts);
    await writeFileAtomic(path.join(folder, name), parts);
  };
  await write(FILES.weights, named(layout, weights));
  if (adapter) await write(FILES.adapter, named(trained, adapter.values));
  else await rm(path.join(folder, FILES.adapter), { force: true });
  await write(
    FILES.optimizer,
    new Map([...named(trained, moments.first, '.first'), ...named(trained, moments.second, '.second')]),
  );
  const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
  await writeFileAtomic(path.join(folder, 'config.json'), json(configJson(config)));
  const { rank, alpha } = adapter ?? {};
  const engine = { schema: 1, steps: moments.steps, adapter: adapter ? { rank, alpha } : null, files };
  await writeFileAtomic(path.join(folder, 'engine.json'), json(engine));
}

/**
 * Reads a state back.
 * @throws UserError when a file is missing, damaged, or from another writing than the rest, and for a tensor of another
 * architecture, which it names with both shapes.
 */
export async function readSnapshot(folder: string, config: ModelConfig): Promise<TrainerState> {
  const engineFile = path.join(folder, 'engine.json');
  const parsed = engineSchema.safeParse(await readJson(engineFile));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${engineFile}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { steps, adapter, files } = parsed.data;
  const read = async (name: string) => {
    const file = path.join(folder, name);
    // The file's own errors (missing, cut off) say more than a hash that differs.
    const tensors = await readSafetensors(file);
    if ((await hashFile(file)) !== files[name])
      throw new UserError(`${file}: is not the file that ${engineFile} was written with`, {
        hint: 'The writing was cut short or the file was changed. Use another checkpoint.',
      });
    return { file, tensors };
  };
  const layout = layoutOf(config);
  const trained = adapter ? adapterLayoutOf(config, adapter.rank) : layout;
  const weights = flat(layout, await read(FILES.weights));
  const adapterValues = adapter ? flat(trained, await read(FILES.adapter)) : undefined;
  const optimizer = await read(FILES.optimizer);
  return {
    weights,
    ...(adapter && adapterValues && { adapter: { ...adapter, values: adapterValues } }),
    moments: { first: flat(trained, optimizer, '.first'), second: flat(trained, optimizer, '.second'), steps },
  };
}

/** The parts of a flat array as tensors, names ending in `suffix`. */
function named(layout: ParameterLayout, values: Float32Array, suffix = ''): Map<string, Tensor> {
  return new Map(
    layout.entries.map(({ name, shape }) => [`${name}${suffix}`, { shape, data: viewOf(layout, values, name) }]),
  );
}

function flat(
  layout: ParameterLayout,
  { file, tensors }: { readonly file: string; readonly tensors: ReadonlyMap<string, Tensor> },
  suffix = '',
): Float32Array {
  const values = new Float32Array(layout.total);
  for (const { name, shape, offset } of layout.entries) {
    const tensor = tensors.get(`${name}${suffix}`);
    if (tensor?.shape.join() !== shape.join())
      throw new UserError(
        `${file}: tensor "${name}${suffix}": expected shape [${shape.join(', ')}], found ${tensor ? `[${tensor.shape.join(', ')}]` : 'none'}`,
        { hint: 'The checkpoint is of a model of another shape.' },
      );
    values.set(tensor.data, offset);
  }
  return values;
}
