/**
 * Tensors that a file need not hold, since they repeat what is known: the head of a model whose head is the embedding, and
 * the rotary frequencies that config.json gives. They are passed over, but not unread: where such a tensor says something
 * else, the model is another one than config.json describes.
 */
import { UserError } from '../base/errors.ts';
import type { ModelConfig } from './config.ts';
import { rotaryFrequencies } from './rotary-frequencies.ts';
import { isStoredType, type SafetensorsFile, sizeOf } from './safetensors.ts';
import { HEAD, isRepetition } from './tensor-check.ts';

/** Values that are compared at a time. */
const PIECE = 2 ** 20;

/**
 * @param embedding as it was read
 * @throws UserError for a tensor that differs from what it is said to repeat
 */
export async function checkRepetitions(
  opened: SafetensorsFile,
  config: ModelConfig,
  embedding: Float32Array,
): Promise<void> {
  for (const entry of opened.tensors) {
    const { name, shape } = entry;
    if (!isRepetition(name, config)) continue;
    if (name === HEAD) {
      opened.requireNumbers(entry);
      await checkHead(opened, embedding);
    } else if (isStoredType(entry.dtype) || entry.dtype === 'F64')
      await checkFrequencies(opened, name, sizeOf(shape), config);
  }
}

async function checkHead(opened: SafetensorsFile, embedding: Float32Array): Promise<void> {
  const piece = new Float32Array(Math.min(PIECE, embedding.length));
  for (let first = 0; first < embedding.length; first += piece.length) {
    const expected = embedding.subarray(first, first + piece.length);
    const found = piece.subarray(0, expected.length);
    await opened.read(HEAD, found, first);
    if (found.some((value, i) => !Object.is(value, expected[i]) && value !== expected[i]))
      throw new UserError(
        `${opened.file}: tensor "${HEAD}" differs from the embedding, though config.json says that the head is the embedding (tie_word_embeddings)`,
        {
          hint: 'Set tie_word_embeddings to false in config.json to use this head, or remove the tensor to use the embedding.',
        },
      );
  }
}

/**
 * Frequencies may be rounded to 16 bits, and are stored as they are before any scaling. transformers reads none of them: what
 * is no series of frequencies says nothing, but that of another rope_theta says that config.json has the wrong one.
 */
async function checkFrequencies(
  opened: SafetensorsFile,
  name: string,
  size: number,
  config: ModelConfig,
): Promise<void> {
  const { ropeScaling: _, ...unscaled } = config;
  const expected = rotaryFrequencies(unscaled);
  if (size !== expected.length) return;
  const found = new Float32Array(size);
  await opened.read(name, found);
  const wrong = found.findIndex((value, i) => Math.abs(value - expected[i]!) > 0.01 * expected[i]! + 1e-7);
  if (wrong < 0 || !isGeometric(found)) return;
  throw new UserError(
    `${opened.file}: tensor "${name}" holds the rotary frequencies of another rope_theta than config.json's ${config.ropeTheta}: value ${wrong} is ${found[wrong]}, expected ${expected[wrong]}`,
    { hint: 'Correct rope_theta in config.json, or remove the tensor if it is a remnant.' },
  );
}

/** From 1 on, each the same part of the one before, as far as 16 bits show it. */
function isGeometric(values: Float32Array): boolean {
  const ratio = values[1]! / values[0]!;
  return (
    values[0] === 1 &&
    values.every((value, i) => i === 0 || value < 1e-4 || Math.abs(value / (ratio * values[i - 1]!) - 1) < 0.02)
  );
}
