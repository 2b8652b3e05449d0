import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Random } from '../../../base/random.ts';
import { readModel } from '../../../checkpoint/model-directory.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig } from '../model/parameters.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import type { TrainerState } from './training.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 11,
  hidden: 8,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  headSize: 4,
  intermediate: 12,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 32,
};

const random = new Random([1, 2]);
const noise = (length: number) => Float32Array.from({ length }, () => random.normal() * 10 ** (random.below(60) - 30));

function state(rank?: number): TrainerState {
  const { total } = layoutOf(config);
  const trained = rank === undefined ? total : adapterLayoutOf(config, rank).total;
  return {
    weights: noise(total),
    ...(rank !== undefined && { adapter: { rank, alpha: 1.5, values: noise(trained) } }),
    moments: { first: noise(trained), second: noise(trained), steps: 7 },
  };
}

describe('snapshots', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'snapshot-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it.each([undefined, 3])('come back to the last bit (adapter rank: %s)', async (rank) => {
    const written = state(rank);
    await writeSnapshot(folder, config, written);
    expect(await readSnapshot(folder, config, 'kept')).toEqual(written);
  });

  it('are model directories', async () => {
    const written = state();
    await writeSnapshot(folder, config, written);
    const model = await readModel(folder);
    expect(model.config).toEqual(config);
    const { offset, size, shape } = layoutOf(config).byName.get('model.layers.0.mlp.up_proj.weight')!;
    expect(model.weights.get('model.layers.0.mlp.up_proj.weight')).toMatchObject({
      shape,
      data: written.weights.subarray(offset, offset + size),
    });
  });

  it('are replaced as a whole', async () => {
    await writeSnapshot(folder, config, state(2));
    const later = state();
    await writeSnapshot(folder, config, later);
    expect(await readdir(folder)).not.toContain('adapter.safetensors');
    expect(await readSnapshot(folder, config, 'kept')).toEqual(later);
  });

  it('name tensor and shapes when the model is another', async () => {
    await writeSnapshot(folder, config, state());
    await expect(readSnapshot(folder, { ...config, intermediate: 14 }, 'kept')).rejects.toThrow(
      /model\.safetensors: tensor "model\.layers\.0\.mlp\.gate_proj\.weight": expected shape \[14, 8\], found \[12, 8\]/,
    );
    await expect(readSnapshot(folder, { ...config, layers: 2 }, 'kept')).rejects.toThrow(
      /tensor "model\.layers\.1\.input_layernorm\.weight": expected shape \[8\], found none/,
    );
  });

  it('are refused when a file is missing, cut off or from another writing', async () => {
    await expect(readSnapshot(path.join(folder, 'none'), config, 'kept')).rejects.toThrow(/engine\.json: no such file/);
    await writeSnapshot(folder, config, state());
    const file = path.join(folder, 'optimizer.safetensors');
    const bytes = await readFile(file);

    const last = state();
    await writeSnapshot(folder, config, last);
    await writeFile(file, bytes);
    await expect(readSnapshot(folder, config, 'kept')).rejects.toThrow(
      /optimizer\.safetensors: is not the file that .*engine\.json/,
    );
    await writeFile(file, bytes.subarray(0, bytes.length - 4));
    await expect(readSnapshot(folder, config, 'kept')).rejects.toThrow(/optimizer\.safetensors: /);
    await rm(file);
    await expect(readSnapshot(folder, config, 'kept')).rejects.toThrow(/optimizer\.safetensors: no such file/);
    // Nothing of it is read for a fresh one.
    const { moments: _, ...rest } = last;
    expect(await readSnapshot(folder, config, 'fresh')).toEqual(rest);
  });

  it('are refused when engine.json is not as expected', async () => {
    await writeSnapshot(folder, config, state());
    const file = path.join(folder, 'engine.json');
    const good = JSON.parse(await readFile(file, 'utf8'));
    for (const [change, message] of [
      [{ schema: 2 }, /engine\.json: schema: /],
      [{ steps: -1 }, /engine\.json: steps: /],
      [{ adapter: { rank: 2 } }, /engine\.json: adapter\.alpha: /],
    ] as const) {
      await writeFile(file, JSON.stringify({ ...good, ...change }));
      await expect(readSnapshot(folder, config, 'kept')).rejects.toThrow(message);
    }
  });
});
