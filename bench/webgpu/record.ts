/**
 * The graphs for WebGPU as they are in use: a tiny model is trained, scored and sampled with them on the processor, and what every session
 * was opened with and first fed is kept, for tools that look into graphs.
 */
import { Tensor } from 'onnxruntime-node';
import { Random, streamKey } from '../../src/base/random.ts';
import type { ModelConfig } from '../../src/checkpoint/config.ts';
import { DeviceDecoder } from '../../src/engines/onnx/decoding/device-decoder.ts';
import { DeviceTrainer } from '../../src/engines/onnx/training/device-trainer.ts';
import { lossBatches } from '../../src/engines/onnx/training/loss-batches.testing.ts';
import { randomWeights } from '../../src/engines/onnx/training/reference.testing.ts';
import type { AdamWStep } from '../../src/policy/policy.ts';
import { onProcessor, type Tensors } from './on-processor.ts';

export const tiny: ModelConfig = {
  family: 'qwen2',
  vocabulary: 60,
  hidden: 16,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediate: 24,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 64,
};

export const adamW: AdamWStep = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
  minGradientNorm: 0,
};

export interface Recorded {
  readonly model: Uint8Array;
  readonly feeds: Tensors;
}

/** Every graph of training all weights and an adapter, of scoring, and of sampling. */
export function recordAll(config = tiny): Promise<Recorded[]> {
  return recorded(async () => {
    const trainer = await DeviceTrainer.open(config, randomWeights(config, streamKey('record', 'weights')), {
      rows: 16,
    });
    await trainer.freeze();
    const shape = { vocabulary: config.vocabulary, lengths: [9, 12, 17], teacherPrompt: 5, denominator: 10 };
    const [first, ...others] = lossBatches(new Random(streamKey('record')), shape);
    // The teacher is another policy than the student: where both are the same, a divergence is all rounding.
    await trainer.accumulate(first!);
    await trainer.step(adamW);
    for (const batch of others) await trainer.accumulate(batch);
    const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    await trainer.logprobs([ids], 'present');
    await trainer.topLogprobs([{ ids, start: 2 }], 3, 'present');

    const decoder = new DeviceDecoder(config);
    await decoder.load(trainer.effectiveWeights());
    const rows = [ids, ids.slice(4)].map((prompt) => ({ row: { pages: [], length: 0 }, prompt }));
    const rule = { temperature: 0.7, uniform: 0.5 };
    await decoder.read(rows.map(({ row, prompt }) => ({ row, ids: prompt, rule })));
    await decoder.close();

    await trainer.attachAdapter({ rank: 2, alpha: 4, key: [1, 2] });
    for (const batch of lossBatches(new Random(streamKey('record')), shape)) await trainer.accumulate(batch);
    await trainer.step(adamW);
    await trainer.close();
  });
}

async function recorded(work: () => Promise<void>): Promise<Recorded[]> {
  const kept = new Map<string, Recorded>();
  await onProcessor(work, async ({ model, feeds }, run) => {
    const key = Buffer.from(model).toString('base64');
    if (!kept.has(key)) kept.set(key, { model, feeds: copied(feeds) });
    return run();
  });
  return [...kept.values()];
}

/** What a run may write into is copied before it. */
export function copied(feeds: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new Tensor(type as 'float32', (data as Float32Array).slice(), dims),
    ]),
  );
}
