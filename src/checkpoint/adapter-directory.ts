/** A LoRA adapter as the PEFT library keeps it: a folder with adapter_config.json and adapter_model.safetensors. */
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJson, writeFileAtomic } from '../base/files.ts';
import { type ModelConfig, refusalsOf } from './config.ts';
import { SafetensorsFile, type StoredType, safetensorsParts, sizeOf, type Tensor } from './safetensors.ts';
import { adapterTensorShapes, LINEAR_LAYERS } from './tensor-shapes.ts';

/** W + (alpha / rank) B A on every linear layer of the blocks. */
export interface Adapter {
  readonly rank: number;
  readonly alpha: number;
  /** Exactly the tensors of `adapterTensorShapes`. */
  readonly weights: ReadonlyMap<string, Tensor>;
}

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
/** As PEFT names them: q_proj, ..., down_proj. */
const MODULES = LINEAR_LAYERS.map((layer) => layer.slice(layer.indexOf('.') + 1));

/**
 * Writes an adapter so that PEFT, vLLM and llama.cpp's converter can load it; adapter_config.json last.
 * @param base what the adapter belongs to: a folder, or a name on the Hub with its revision
 */
export async function writeAdapter(
  folder: string,
  { rank, alpha, weights }: Adapter,
  base: { readonly name: string; readonly revision?: string },
  dtype: StoredType = 'F32',
): Promise<void> {
  await writeFileAtomic(path.join(folder, WEIGHTS), safetensorsParts(weights, dtype));
  const config = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base.name,
    revision: base.revision ?? null,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    target_modules: MODULES,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    use_dora: false,
    use_rslora: false,
  };
  await writeFileAtomic(path.join(folder, CONFIG), `${JSON.stringify(config, undefined, 2)}\n`);
}

const schema = z.looseObject({
  peft_type: z.string(),
  r: z.int().positive(),
  lora_alpha: z.number().positive(),
  target_modules: z.union([z.array(z.string()), z.literal('all-linear')]),
});

/** What changes the formula, with the value that leaves it as it is. */
const PLAIN: Readonly<Record<string, unknown>> = {
  bias: 'none',
  fan_in_fan_out: false,
  layers_to_transform: null,
  modules_to_save: null,
  use_dora: false,
  use_rslora: false,
  rank_pattern: {},
  alpha_pattern: {},
  // Methods that PEFT 0.21 keeps under the same name.
  lora_bias: false,
  layer_replication: null,
  target_parameters: null,
  trainable_token_indices: null,
  alora_invocation_tokens: null,
  arrow_config: null,
  kasa_config: null,
  monteclora_config: null,
  velora_config: null,
  use_qalora: false,
  use_bdlora: false,
};

/**
 * Reads an adapter. Linear layers that it leaves out get matrices of zeros.
 * @throws UserError when a file is missing or damaged, for another method than plain LoRA, for targets outside of the
 * blocks' linear layers, and for a tensor that is missing, unexpected or of another shape
 */
export async function readAdapter(folder: string, config: ModelConfig): Promise<Adapter> {
  const file = path.join(folder, CONFIG);
  const parsed = schema.safeParse(await readJson(file));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${file}: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { r: rank, lora_alpha: alpha, target_modules: targets, ...others } = parsed.data;
  const refuse = refusalsOf(file);
  if (others.peft_type !== 'LORA') refuse('peft_type', others.peft_type, '"LORA"');
  for (const [field, plain] of Object.entries(PLAIN)) {
    const found = others[field] ?? plain;
    const isEmpty = typeof found === 'object' && found !== null && Object.keys(found).length === 0;
    if (found !== plain && !(isEmpty && typeof plain === 'object')) refuse(field, found, JSON.stringify(plain));
  }
  const targeted = targetsOf(targets, config, (name) =>
    refuse('target_modules', name, `some of ${MODULES.join(', ')}`),
  );

  const weights = new Map<string, Tensor>();
  for (const [name, shape] of adapterTensorShapes(config, rank))
    weights.set(name, { shape, data: new Float32Array(sizeOf(shape)) });
  const opened = await SafetensorsFile.open(path.join(folder, WEIGHTS));
  try {
    const found = new Map(opened.tensors.map(({ name, shape }) => [name, shape]));
    const complain = (name: string, expected: readonly number[] | undefined) => {
      const text = (shape: readonly number[] | undefined) => (shape ? `shape [${shape.join(', ')}]` : 'no such tensor');
      return new UserError(
        `${opened.file}: tensor "${name}": expected ${text(expected)}, found ${text(found.get(name))}`,
        {
          hint: 'Check that the adapter was made for this model.',
        },
      );
    };
    for (const [name, { shape, data }] of weights) {
      if (!targeted(name)) continue;
      if (found.get(name)?.join() !== shape.join()) throw complain(name, shape);
      await opened.read(name, data);
      found.delete(name);
    }
    for (const name of found.keys()) throw complain(name, undefined);
  } finally {
    await opened.close();
  }
  return { rank, alpha, weights };
}

/**
 * Whether a tensor belongs to a targeted layer. PEFT matches by the end of a layer's name: "q_proj" means that of every block,
 * "model.layers.0.self_attn.q_proj" (which PEFT itself writes for "all-linear" on small models) or "0.self_attn.q_proj" one.
 * @param refuse for a name that means no linear layer of a block
 */
function targetsOf(
  targets: readonly string[] | 'all-linear',
  config: ModelConfig,
  refuse: (name: string) => never,
): (tensor: string) => boolean {
  if (targets === 'all-linear') return () => true;
  const layers = Array.from({ length: config.layers }, (_, i) =>
    LINEAR_LAYERS.map((name) => `model.layers.${i}.${name}`),
  );
  const meant = new Set<string>();
  for (const target of targets) {
    const found = layers.flat().filter((layer) => layer === target || layer.endsWith(`.${target}`));
    if (found.length === 0) refuse(target);
    for (const layer of found) meant.add(layer);
  }
  return (tensor) => meant.has(tensor.replace(/^base_model\.model\.|\.lora_[AB]\.weight$/g, ''));
}
