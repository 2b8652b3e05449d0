/** A step of training all weights, one of an adapter, and one of sampling, as they are on a GPU, each with what it takes there. */
import type { ModelConfig } from '../../src/checkpoint/config.ts';
import { DeviceDecoder } from '../../src/engines/onnx/decoding/device-decoder.ts';
import { layoutOf } from '../../src/engines/onnx/model/parameters.ts';
import { DeviceTrainer } from '../../src/engines/onnx/training/device-trainer.ts';
import type { LossBatch } from '../../src/policy/policy.ts';
import { onProcessor, type Tensors } from './on-processor.ts';
import { adamW } from './record.ts';
import { type Traffic, TrafficCounter } from './traffic.ts';

export interface CountedStep {
  readonly name: string;
  /** By graph. */
  readonly graphs: ReadonlyMap<Uint8Array, Traffic>;
  /** Bytes of tensors on the GPU when it has ended. */
  readonly residentBytes: number;
}

export interface StepShape {
  /** Of a batch for training, and of those that are sampled at a time. */
  readonly sequences: number;
  /** Of a sequence. */
  readonly tokens: number;
  /** The last ones of a sequence, which the loss reads. */
  readonly rows: number;
  /** Of the adapter. */
  readonly rank: number;
}

/** @param onGraph called with each graph, and what it is first fed, which that run may write into */
export async function countSteps(
  config: ModelConfig,
  shape: StepShape,
  onGraph: (model: Uint8Array, feeds: Tensors) => void = () => {},
): Promise<CountedStep[]> {
  const counter = new TrafficCounter();
  const seen = new Set<Uint8Array>();
  const steps: CountedStep[] = [];
  const count = async (name: string, work: () => Promise<unknown>) => {
    counter.take();
    await work();
    steps.push({ name, graphs: counter.take(), residentBytes: counter.residentBytes });
  };
  const work = async () => {
    // Counts depend on no weight.
    const weights = new Float32Array(layoutOf(config).total).fill(0.01);
    const trainer = await DeviceTrainer.open(config, weights);
    await trainer.freeze();
    const batch = batchOf(config, shape);
    // The second step has moments to go on from.
    for (const name of ['first', 'training all weights']) {
      await count(`${name}: gradients`, () => trainer.accumulate(batch));
      await count(`${name}: step`, () => trainer.step(adamW));
    }
    const decoder = new DeviceDecoder(config);
    await decoder.load(trainer.effectiveWeights());
    const rows = batch.sequences.map(({ ids }) => ({ row: { pages: [], length: 0 }, ids }));
    const rule = { temperature: 1, uniform: 0.5 };
    await count('sampling: prompts', () => decoder.read(rows.map(({ row, ids }) => ({ row, ids: [...ids], rule }))));
    await count('sampling: step', () => decoder.read(rows.map(({ row }) => ({ row, ids: [1], rule }))));
    await decoder.close();
    await trainer.freeze();
    await trainer.attachAdapter({ rank: shape.rank, alpha: 2 * shape.rank, key: [1, 2] });
    for (const name of ['first', 'training an adapter']) {
      await count(`${name}: gradients`, () => trainer.accumulate(batch));
      await count(`${name}: step`, () => trainer.step(adamW));
    }
    await trainer.close();
  };
  await onProcessor(work, async (session, run) => {
    if (!seen.has(session.model)) onGraph(session.model, session.feeds);
    seen.add(session.model);
    return counter.watch(session, run);
  });
  return steps.filter(({ name }) => !name.startsWith('first'));
}

/** Sequences that have nothing in common. */
function batchOf({ vocabulary }: ModelConfig, { sequences, tokens, rows }: StepShape) {
  const of = (value: number) => new Float32Array(tokens).fill(value);
  return {
    loss: 'policy-gradient',
    sequences: Array.from({ length: sequences }, (_, n) => ({
      ids: Array.from({ length: tokens }, (_, i) => (n + i) % vocabulary),
      mask: Uint8Array.from({ length: tokens }, (_, i) => (i >= tokens - rows ? 1 : 0)),
      advantages: of(n % 2 === 0 ? 1 : -1),
      oldLogprobs: of(-Math.log(vocabulary)),
      referenceLogprobs: of(-Math.log(vocabulary)),
    })),
    clipLow: 0.2,
    clipHigh: 0.2,
    klCoefficient: 0.001,
    denominator: sequences * rows,
  } satisfies LossBatch;
}
