/** A model as one GGUF file, for llama.cpp and what is built on it: names, order of rows and metadata as its converter writes them. */
import { UserError } from '../../base/errors.ts';
import type { ModelConfig } from '../config.ts';
import type { Tensor } from '../safetensors.ts';
import type { TokenizerFiles } from '../tokenizer.types.ts';
import { ggufName, ROPE_FACTORS, reorderedHeads, reorderRows, ropeFactorsOf } from './architecture.ts';
import { STORAGE } from './storage-types.ts';
import { tokenizerMetadata } from './tokenizer-metadata.ts';
import { type TypedValue, type WrittenTensor, type WrittenType, writeGgufFile } from './write.ts';

export interface GgufSource {
  readonly config: ModelConfig;
  /** Under Hugging Face's names. */
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly tokenizer: TokenizerFiles;
  /** For people. */
  readonly name: string;
}

/** llama.cpp's numbers for what most tensors of a file are. */
const FILE_TYPES: Readonly<Record<WrittenType, number>> = { F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, BF16: 32 };

/**
 * Writes the file, whole or not at all. Norms and biases stay in float32. Of the types of 4 bits, embedding and head are Q8_0: they
 * suffer most. Rows that are no whole blocks are float16.
 * @throws UserError for a tokenizer that llama.cpp has no form for, and for values that the type cannot hold
 */
export async function writeGguf(file: string, source: GgufSource, type: WrittenType): Promise<void> {
  const { config, weights, tokenizer, name } = source;
  const metadata = new Map<string, TypedValue>([
    ['general.architecture', { type: 'STRING', value: config.family }],
    ['general.type', { type: 'STRING', value: 'model' }],
    ['general.name', { type: 'STRING', value: name }],
    ['general.file_type', { type: 'UINT32', value: FILE_TYPES[type] }],
    ['general.quantization_version', { type: 'UINT32', value: 2 }],
    ...architectureMetadata(config),
    ...tokenizerMetadata(tokenizer, config),
  ]);
  const tensors: WrittenTensor[] = [];
  for (const [hfName, tensor] of weights)
    tensors.push({
      ...rowsInOrder(hfName, tensor, config),
      name: ggufName(hfName),
      type: typeOf(hfName, tensor, type),
    });
  const factors = ropeFactorsOf(config);
  if (factors) tensors.push({ name: ROPE_FACTORS, type: 'F32', shape: [factors.length], data: factors });
  await writeGgufFile(file, metadata, tensors);
}

function architectureMetadata(config: ModelConfig): [string, TypedValue][] {
  const { family, ropeScaling } = config;
  if (ropeScaling?.type === 'llama3' && family !== 'llama')
    throw new UserError(`rotary scaling of type llama3: GGUF has it for llama models only, this is ${family}`);
  const count = (name: string, value: number): [string, TypedValue] => [`${family}.${name}`, { type: 'UINT32', value }];
  const real = (name: string, value: number): [string, TypedValue] => [`${family}.${name}`, { type: 'FLOAT32', value }];
  return [
    count('block_count', config.layers),
    count('context_length', config.contextLength),
    count('embedding_length', config.hidden),
    count('feed_forward_length', config.intermediate),
    count('attention.head_count', config.heads),
    count('attention.head_count_kv', config.keyValueHeads),
    count('attention.key_length', config.headSize),
    count('attention.value_length', config.headSize),
    real('attention.layer_norm_rms_epsilon', config.rmsEpsilon),
    count('rope.dimension_count', config.headSize),
    real('rope.freq_base', config.ropeTheta),
    ...(ropeScaling?.type === 'linear'
      ? [
          [`${family}.rope.scaling.type`, { type: 'STRING', value: 'linear' }] satisfies [string, TypedValue],
          real('rope.scaling.factor', ropeScaling.factor),
        ]
      : []),
    ...(ropeScaling?.type === 'llama3'
      ? [count('rope.scaling.original_context_length', ropeScaling.originalContextLength)]
      : []),
    count('vocab_size', config.vocabulary),
  ];
}

function rowsInOrder(name: string, { shape, data }: Tensor, config: ModelConfig): Tensor {
  const heads = reorderedHeads(name, config);
  if (heads === 0) return { shape, data };
  const own = Float32Array.from(data);
  reorderRows(own, heads, config.headSize, 'ggml');
  return { shape, data: own };
}

function typeOf(name: string, { shape }: Tensor, asked: WrittenType): WrittenType {
  if (shape.length === 1) return 'F32';
  const isOutside = !name.startsWith('model.layers.');
  const type = isOutside && (asked === 'Q4_0' || asked === 'Q4_1') ? 'Q8_0' : asked;
  return shape.at(-1)! % STORAGE[type].elements === 0 ? type : 'F16';
}
