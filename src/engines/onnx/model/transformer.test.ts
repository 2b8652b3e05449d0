import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { streamKey } from '../../../base/random.ts';
import { readModel } from '../../../checkpoint/model-directory.ts';
import { type ExpectedOfModel, referenceModels } from '../../../checkpoint/shared.testing.ts';
import { createSession, floats } from '../../../onnx/session.ts';
import { forEachRow, microBatch } from '../training/micro-batches.ts';
import { largestDifference, randomWeights, referenceLogits } from '../training/reference.testing.ts';
import { batchTensors } from '../training/whole-graph.ts';
import { Tape } from './autodiff.ts';
import { layoutOf, type ModelConfig, viewOf } from './parameters.ts';
import { transformer } from './transformer.ts';

/** Logits of every position of every sequence, computed together: [sequence][position][vocabulary]. */
async function logitsOf(config: ModelConfig, weights: Float32Array, batch: number[][]): Promise<Float32Array[][]> {
  const tape = new Tape();
  const { logits } = transformer(tape, config, 'nothing');
  tape.graph.output('logits', 'float32', ['R', config.vocabulary], logits);
  const session = await createSession(tape.graph.build(), 1);
  const layout = layoutOf(config);
  const micro = microBatch(batch.map((ids, index) => ({ index, ids, positions: [...ids.keys()] })));
  const results = await session.run({
    ...Object.fromEntries(
      layout.entries.map(({ name, shape }) => [name, floats(viewOf(layout, weights, name), shape)]),
    ),
    ...batchTensors(micro),
  });
  await session.release();
  const data = results.logits!.data as Float32Array;
  const sequences = batch.map((): Float32Array[] => []);
  forEachRow(micro, (row, index) =>
    sequences[index]!.push(data.slice(row * config.vocabulary, (row + 1) * config.vocabulary)),
  );
  return sequences;
}

const small: ModelConfig = {
  family: 'qwen2',
  vocabulary: 17,
  hidden: 12,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediate: 20,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 32,
};

/** With theta 10,000, original context 12 and heads of 8: one frequency stays, one is blended, two are divided. */
const llama3 = {
  type: 'llama3',
  factor: 8,
  lowFrequencyFactor: 0.1,
  highFrequencyFactor: 1,
  originalContextLength: 12,
} as const;

describe('transformer', () => {
  it.each([
    ['grouped heads, tied head', {}],
    ['untied head', { tiedHead: false }],
    ['one key-value head for all', { keyValueHeads: 1 }],
    ['as many key-value heads as heads', { keyValueHeads: 4 }],
    ['heads wider than the model', { headSize: 6, heads: 3, keyValueHeads: 3, ropeTheta: 500, rmsEpsilon: 1e-2 }],
    ['one layer', { layers: 1 }],
    ['Qwen3, heads wider than the model', { family: 'qwen3', headSize: 6 }],
    ['Qwen3, untied head, as many key-value heads as heads', { family: 'qwen3', tiedHead: false, keyValueHeads: 4 }],
    ['Llama', { family: 'llama', tiedHead: false }],
    ['Llama, linear positions', { family: 'llama', ropeScaling: { type: 'linear', factor: 4 } }],
    ['Llama 3, heads 3 to 1', { family: 'llama', heads: 6, headSize: 8, ropeScaling: llama3 }],
  ] satisfies [string, Partial<ModelConfig>][])(
    'agrees with the plain float64 implementation: %s',
    async (_, change) => {
      const config = { ...small, ...change };
      const weights = randomWeights(config, streamKey('transformer'));
      const batch = [
        [3, 1, 4, 1, 5, 9, 2],
        [16, 0, 0, 7, 3, 3, 1],
        // A second one of a group, longer than the first.
        [3, 1, 4, 1, 5, 8, 2, 6, 5, 3, 5],
      ];
      const logits = await logitsOf(config, weights, batch);
      for (const [n, ids] of batch.entries()) {
        const truth = referenceLogits(config, Float64Array.from(weights), ids);
        for (const [s, row] of truth.entries()) expect(largestDifference(logits[n]![s]!, row)).toBeLessThan(2e-5);
      }
    },
  );

  it.each(referenceModels)(
    'gives the logits of Hugging Face transformers for %s, and so does the float64 implementation',
    async (_, folder) => {
      const { config, weights } = await readModel(folder);
      const layout = layoutOf(config);
      const flat = new Float32Array(layout.total);
      for (const { name } of layout.entries) viewOf(layout, flat, name).set(weights.get(name)!.data);
      const expected = JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as ExpectedOfModel;
      const rows = [expected.input_ids[0]!, expected.input_ids[1]!.slice(-expected.logits_row1_valid_positions.length)];
      const truths = [expected.logits_row0_unpadded, expected.logits_row1_valid_positions];
      for (const [n, ids] of rows.entries()) {
        const [logits] = await logitsOf(config, flat, [ids]);
        const reference = referenceLogits(config, Float64Array.from(flat), ids);
        for (const [s, row] of truths[n]!.entries()) {
          expect(largestDifference(logits![s]!, row)).toBeLessThan(1e-4);
          expect(largestDifference(reference[s]!, row)).toBeLessThan(1e-4);
        }
      }
    },
  );
});
