import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { streamKey } from '../base/random.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { readModel } from '../checkpoint/model-directory.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { layoutOf, type ModelConfig, viewOf } from '../engines/onnx/model/parameters.ts';
import { freshAdapter } from '../engines/onnx/training/adapter.ts';
import { largestDifference, randomWeights, referenceMerge } from '../engines/onnx/training/reference.testing.ts';
import { writeSnapshot } from '../engines/onnx/training/snapshot.ts';
import { exportAdapter, exportMerged, openExport } from './export.ts';
import { smallConfig } from './testing/run-fixture.ts';

const config: ModelConfig = {
  family: 'qwen3',
  vocabulary: 236,
  hidden: 8,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediate: 6,
  ropeTheta: 1e4,
  rmsEpsilon: 1e-6,
  tiedHead: false,
  contextLength: 64,
};
const layout = layoutOf(config);
const weights = randomWeights(config, streamKey('weights'));
const adapter = { rank: 2, alpha: 6, values: freshAdapter(config, { rank: 2, alpha: 6, key: streamKey('adapter') }) };
for (let i = 0; i < adapter.values.length; i++) adapter.values[i]! += 0.1 * Math.sin(i);
/** In float64. */
const truth = referenceMerge(config, Float64Array.from(weights), Float64Array.from(adapter.values), 2, 6);

let root: string;
let run: string;
let checkpoint: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'search-e1-export-'));
  run = path.join(root, 'run');
  checkpoint = path.join(run, 'checkpoints', '0002-e1-1');
  await mkdir(checkpoint, { recursive: true });
  const zeros = () => new Float32Array(adapter.values.length);
  const moments = { first: zeros(), second: zeros(), steps: 1 };
  await writeSnapshot(checkpoint, config, { weights, adapter, moments });
  await writeFile(
    path.join(run, 'checkpoints', 'latest.json'),
    '{"schema": 1, "latest": "0002-e1-1", "kept": {"e1-1": "0002-e1-1"}}',
  );
  await writeFile(path.join(run, 'config.json'), JSON.stringify(smallConfig()));
});
afterAll(() => rm(root, { recursive: true }));

let count = 0;
const newFolder = () => path.join(root, `out-${count++}`);

async function flatOf(folder: string): Promise<Float32Array> {
  const model = await readModel(folder);
  expect(model.config).toEqual(config);
  const flat = new Float32Array(layout.total);
  for (const { name } of layout.entries) viewOf(layout, flat, name).set(model.weights.get(name)!.data);
  return flat;
}

describe('export', () => {
  it("a run's last stage, merged, with the tokenizer of the run", async () => {
    const out = newFolder();
    await exportMerged(await openExport(`${run}#e1-1`), out, {});
    expect(largestDifference(await flatOf(out), truth)).toBeLessThan(1e-6);
    expect(largestDifference(weights, truth)).toBeGreaterThan(0.1);
    expect((await loadTokenizer(out)).hash).toBe((await loadTokenizer(BASE_POLICY)).hash);
    expect((await readdir(out)).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('in bfloat16, once more, without a change', async () => {
    const [first, second] = [newFolder(), newFolder()];
    await exportMerged(await openExport(checkpoint), first, { dtype: 'BF16' });
    await exportMerged(await openExport(first), second, { dtype: 'BF16' });
    for (const name of await readdir(first))
      expect(await readFile(path.join(second, name))).toEqual(await readFile(path.join(first, name)));
    const rounded = await flatOf(first);
    for (const [i, value] of truth.entries())
      expect(Math.abs(rounded[i]! - value)).toBeLessThan(Math.abs(value) / 255 + 1e-6);
  });

  it('the adapter alone, which put on its base gives the merged model to the bit', async () => {
    const [merged, lora, out] = [newFolder(), newFolder(), newFolder()];
    const source = await openExport(run);
    await exportMerged(source, merged, {});
    await exportAdapter(source, lora, 'F32');
    const json = JSON.parse(await readFile(path.join(lora, 'adapter_config.json'), 'utf8'));
    // The weights that the adapter belongs to: the checkpoint's own, which earlier rounds have changed.
    expect(json.base_model_name_or_path).toBe(checkpoint);
    const base = newFolder();
    await cp(checkpoint, base, { recursive: true });
    for (const name of ['engine.json', 'adapter.safetensors', 'optimizer.safetensors']) await rm(path.join(base, name));
    expect(await flatOf(base)).toEqual(weights);
    await exportMerged(await openExport(base, lora), out, {});
    expect(await flatOf(out)).toEqual(await flatOf(merged));
  });

  it('refuses what is not there', async () => {
    const plain = newFolder();
    await exportMerged(await openExport(checkpoint), plain, {});
    await expect(exportAdapter(await openExport(plain), newFolder(), 'F32')).rejects.toThrow(/has no adapter/);
    await expect(openExport(checkpoint, plain)).rejects.toThrow(/--adapter: .* is a checkpoint/);
    await expect(openExport(path.join(root, 'none'))).rejects.toThrow(
      /none: not a model directory \(nothing is there\)/,
    );
    const empty = newFolder();
    await mkdir(path.join(empty, 'checkpoints'), { recursive: true });
    await expect(openExport(empty)).rejects.toThrow(/no stage has ended yet/);
    await expect(openExport(`${run}#e1-2`)).rejects.toThrow(/no stage e1-2/);
    await expect(openExport(`${plain}#e1-1`)).rejects.toThrow(/not a run directory, so it has no stage e1-1/);
  });
});
