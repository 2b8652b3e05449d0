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
import { UserError } from '../../../base/errors.ts';
import { hashFile, readJson, sha256, writeFileAtomic } from '../../../base/files.ts';
import { configJson } from '../../../checkpoint/config.ts';
import { readConfig } from '../../../checkpoint/model-directory.ts';
import { SafetensorsFile, safetensorsBytes, type Tensor } from '../../../checkpoint/safetensors.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig, type ParameterLayout, viewOf } from '../model/parameters.ts';
import type { Moments } from './adamw.ts';
import type { TrainerState } from './training.ts';

const FILES = { weights: 'model.safetensors', adapter: 'adapter.safetensors', optimizer: 'optimizer.safetensors' };
const ENGINE = 'engine.json';

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
  await writeFileAtomic(path.join(folder, ENGINE), json(engine));
}

/**
 * Reads a state back; the optimiser's part only if it is asked for.
 * @throws UserError when a file is missing, damaged, or from another writing than the rest, and for a tensor of another
 * architecture, which it names with both shapes.
 */
export async function readSnapshot(
  folder: string,
  config: ModelConfig,
  optimizer: 'kept' | 'fresh',
): Promise<Omit<TrainerState, 'moments'> & { moments?: Moments }> {
  const engine = await readEngineFile(folder);
  const { adapter, steps } = engine;
  const parameters = await readParameters(folder, config, engine);
  if (optimizer === 'fresh') return parameters;
  const trained = adapter ? adapterLayoutOf(config, adapter.rank) : layoutOf(config);
  const [first, second] = await readFlat(folder, engine, FILES.optimizer, trained, ['.first', '.second']);
  return { ...parameters, moments: { first: first!, second: second!, steps } };
}

/** What a snapshot holds of the model itself. */
export type SnapshotModel = Pick<TrainerState, 'adapter'> & {
  readonly config: ModelConfig;
  /** Flat, as `layoutOf(config)` says; without the adapter. */
  readonly weights: Float32Array;
};

/**
 * Reads the model of a snapshot, without the optimiser's state.
 * @throws UserError as `readSnapshot` does
 */
export async function readSnapshotModel(folder: string): Promise<SnapshotModel> {
  const engine = await readEngineFile(folder);
  const config = await readConfig(folder);
  return { config, ...(await readParameters(folder, config, engine)) };
}

type EngineFile = z.infer<typeof engineSchema>;

async function readEngineFile(folder: string): Promise<EngineFile> {
  const file = path.join(folder, ENGINE);
  const parsed = engineSchema.safeParse(await readJson(file));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(`${file}: ${issue?.path.join('.')}: ${issue?.message}`);
}

async function readParameters(
  folder: string,
  config: ModelConfig,
  engine: EngineFile,
): Promise<Pick<TrainerState, 'weights' | 'adapter'>> {
  const [weights] = await readFlat(folder, engine, FILES.weights, layoutOf(config), ['']);
  const { adapter } = engine;
  if (!adapter) return { weights: weights! };
  const [values] = await readFlat(folder, engine, FILES.adapter, adapterLayoutOf(config, adapter.rank), ['']);
  return { weights: weights!, adapter: { ...adapter, values: values! } };
}

/** One flat array for each suffix of the tensors' names. */
async function readFlat(
  folder: string,
  { files }: EngineFile,
  name: string,
  layout: ParameterLayout,
  suffixes: readonly string[],
): Promise<Float32Array[]> {
  const file = path.join(folder, name);
  // The file's own errors (missing, cut off) say more than a hash that differs.
  const opened = await SafetensorsFile.open(file);
  try {
    if ((await hashFile(file)) !== files[name])
      throw new UserError(`${file}: is not the file that ${path.join(folder, ENGINE)} was written with`, {
        hint: 'The writing was cut short or the file was changed. Use another checkpoint.',
      });
    const shapes = new Map(opened.tensors.map((tensor) => [tensor.name, tensor.shape]));
    const arrays: Float32Array[] = [];
    for (const suffix of suffixes) {
      const values = new Float32Array(layout.total);
      for (const entry of layout.entries) {
        const found = shapes.get(`${entry.name}${suffix}`);
        if (found?.join() !== entry.shape.join())
          throw new UserError(
            `${file}: tensor "${entry.name}${suffix}": expected shape [${entry.shape.join(', ')}], found ${found ? `[${found.join(', ')}]` : 'none'}`,
            { hint: 'The checkpoint is of a model of another shape.' },
          );
        await opened.read(`${entry.name}${suffix}`, viewOf(layout, values, entry.name));
      }
      arrays.push(values);
    }
    return arrays;
  } finally {
    await opened.close();
  }
}

/** The parts of a flat array as tensors, names ending in `suffix`. */
export function named(layout: ParameterLayout, values: Float32Array, suffix = ''): Map<string, Tensor> {
  return new Map(
    layout.entries.map(({ name, shape }) => [`${name}${suffix}`, { shape, data: viewOf(layout, values, name) }]),
  );
}
