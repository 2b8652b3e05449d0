import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Adapter, readAdapter, writeAdapter } from './adapter-directory.ts';
import type { ModelConfig } from './config.ts';
import { readSafetensors, safetensorsBytes, type Tensor } from './safetensors.ts';
import { adapterTensorShapes } from './tensor-shapes.ts';

const config: ModelConfig = {
  family: 'llama',
  vocabulary: 7,
  hidden: 8,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  headSize: 6,
  intermediate: 5,
  ropeTheta: 1e4,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 16,
};

let next = 0;
const adapter: Adapter = {
  rank: 3,
  alpha: 4.5,
  weights: new Map(
    [...adapterTensorShapes(config, 3)].map(([name, shape]) => [
      name,
      { shape, data: Float32Array.from({ length: shape[0]! * shape[1]! }, () => next++) },
    ]),
  ),
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'search-e1-adapter-'));
});
afterEach(() => rm(folder, { recursive: true }));

const configFile = () => path.join(folder, 'adapter_config.json');
const weightsFile = () => path.join(folder, 'adapter_model.safetensors');
const readConfigFile = async () => JSON.parse(await readFile(configFile(), 'utf8')) as Record<string, unknown>;

describe('an adapter in the form of PEFT', () => {
  it('is read back as it was', async () => {
    await writeAdapter(folder, adapter, { name: 'own/model', revision: 'abc' });
    expect(await readAdapter(folder, config)).toEqual(adapter);
  });

  it('says what PEFT needs to know, under the names that PEFT gives', async () => {
    await writeAdapter(folder, adapter, { name: 'own/model', revision: 'abc' });
    expect(await readConfigFile()).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      base_model_name_or_path: 'own/model',
      revision: 'abc',
      r: 3,
      lora_alpha: 4.5,
      target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    });
    const tensors = await readSafetensors(weightsFile());
    expect(tensors.size).toBe(2 * 7 * 2);
    const prefix = 'base_model.model.model.layers.1';
    expect(tensors.get(`${prefix}.mlp.down_proj.lora_A.weight`)!.shape).toEqual([3, 5]);
    expect(tensors.get(`${prefix}.self_attn.q_proj.lora_B.weight`)!.shape).toEqual([12, 3]);
  });

  it('may leave layers out, which then do nothing', async () => {
    const own = new Map<string, Tensor>([...adapter.weights].filter(([name]) => name.includes('.q_proj.')));
    await writeAdapter(folder, { ...adapter, weights: own }, { name: 'x' });
    await writeFile(configFile(), JSON.stringify({ ...(await readConfigFile()), target_modules: ['q_proj'] }));
    const found = await readAdapter(folder, config);
    for (const [name, { data }] of found.weights)
      expect(data).toEqual(own.get(name)?.data ?? new Float32Array(data.length));
  });

  it('may name layers in full or by the end of their names, as PEFT matches them', async () => {
    // What PEFT 0.21 makes of these: "0.mlp.up_proj" is the one of block 0, "self_attn.q_proj" that of every block.
    for (const [targets, layers] of [
      [
        ['model.layers.0.mlp.gate_proj', 'model.layers.1.self_attn.o_proj'],
        ['0.mlp.gate_proj', '1.self_attn.o_proj'],
      ],
      [
        ['q_proj', '0.mlp.up_proj'],
        ['0.self_attn.q_proj', '1.self_attn.q_proj', '0.mlp.up_proj'],
      ],
      [['self_attn.q_proj'], ['0.self_attn.q_proj', '1.self_attn.q_proj']],
    ] as const) {
      const isTargeted = (name: string) => layers.some((layer) => name.includes(`.${layer}.`));
      const own = new Map([...adapter.weights].filter(([name]) => isTargeted(name)));
      expect(own.size).toBe(2 * layers.length);
      await writeAdapter(folder, { ...adapter, weights: own }, { name: 'x' });
      const json = { ...(await readConfigFile()), target_modules: targets };
      await writeFile(configFile(), JSON.stringify(json));
      for (const [name, { data }] of (await readAdapter(folder, config)).weights)
        expect(data).toEqual(own.get(name)?.data ?? new Float32Array(data.length));
      // One that is targeted has to be there, one that is not must not.
      await writeFile(configFile(), JSON.stringify({ ...json, target_modules: [...targets, 'k_proj'] }));
      await expect(readAdapter(folder, config)).rejects.toThrow(/k_proj.*found no such tensor/);
      await writeFile(configFile(), JSON.stringify({ ...json, target_modules: [...targets.slice(1), 'v_proj'] }));
      await expect(readAdapter(folder, config)).rejects.toThrow(/no such tensor/);
    }
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'another method',
      { peft_type: 'IA3' },
      /adapter_config\.json: peft_type: "IA3" is not supported, expected "LORA"/,
    ],
    ['no rank', { r: null }, /adapter_config\.json: r: /],
    ['DoRA', { use_dora: true }, /use_dora: true/],
    ['another scale', { use_rslora: true }, /use_rslora: true/],
    ['ranks of their own', { rank_pattern: { q_proj: 4 } }, /rank_pattern: \{.*\} is not supported, expected \{\}/],
    ['rows of their own', { trainable_token_indices: [1] }, /trainable_token_indices: \[/],
    ['a part of a name', { target_modules: ['proj'] }, /target_modules: "proj"/],
    [
      'a layer too many',
      { target_modules: ['model.layers.2.mlp.up_proj'] },
      /target_modules: "model\.layers\.2\.mlp\.up_proj"/,
    ],
    ['biases', { bias: 'all' }, /bias: "all" .*expected "none"/],
    ['an embedding', { target_modules: ['q_proj', 'embed_tokens'] }, /target_modules: "embed_tokens"/],
    [
      'tensors that it does not name',
      { target_modules: ['q_proj'] },
      /k_proj.*expected no such tensor, found shape \[3, 8\]/,
    ],
    ['another rank', { r: 2 }, /q_proj\.lora_A\.weight": expected shape \[2, 8\], found shape \[3, 8\]/],
  ])('is refused with %s', async (_, change, message) => {
    await writeAdapter(folder, adapter, { name: 'x' });
    await writeFile(configFile(), JSON.stringify({ ...(await readConfigFile()), ...change }));
    await expect(readAdapter(folder, config)).rejects.toThrow(message);
  });

  it('is refused when a tensor is missing, or made for another model', async () => {
    await writeAdapter(folder, adapter, { name: 'x' });
    await expect(readAdapter(folder, { ...config, layers: 1 })).rejects.toThrow(/layers\.1\..*expected no such tensor/);
    const fewer = new Map([...adapter.weights].slice(1));
    await writeFile(weightsFile(), Buffer.concat(safetensorsBytes(fewer)));
    await expect(readAdapter(folder, config)).rejects.toThrow(
      /adapter_model\.safetensors: tensor "base_model.*q_proj\.lora_A\.weight": expected shape \[3, 8\], found no such tensor/,
    );
  });
});
