/** What a distillation round and a supervised round share: the batch of a step, and the step itself. */
import { Random, type StreamKey } from '../base/random.ts';
import { type AdamWStep, type LossBatch, type LossResult, NonFiniteError, type StepResult } from '../policy/policy.ts';
import type { Run } from './run.ts';

/** The items of one step (from 1): passes over all items, `perStep` at a time, each pass in an order of its own. */
export function batchOfStep<T>(
  items: readonly T[],
  step: number,
  perStep: number,
  key: (epoch: number) => StreamKey,
): T[] {
  const perEpoch = Math.ceil(items.length / perStep);
  const order = new Random(key(Math.floor((step - 1) / perEpoch))).shuffle(items);
  const position = ((step - 1) % perEpoch) * perStep;
  return order.slice(position, position + perStep);
}

export type Trained = { readonly result: LossResult; readonly update: StepResult } | { readonly stopped: string };

/** One step on a batch. When loss or gradient is not finite, the stage's start is brought back, and the reason is returned. */
export async function trainStep(
  run: Run,
  stage: { readonly name: string; readonly from: string },
  step: number,
  /** `reads`: what the engine reads for it, for the count of trained tokens. */
  { batch, reads }: { readonly batch: LossBatch; readonly reads: readonly { readonly length: number }[] },
  adamW: AdamWStep,
): Promise<Trained> {
  const { policy } = run.setup;
  try {
    const { losses, update } = await run.training(reads, (watch) => policy.train([batch], adamW, watch));
    return { result: losses[0]!, update };
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    const text = `${stage.name} stopped at step ${step}: ${error.message}; ${stage.from} is kept`;
    run.emit({ kind: 'note', text });
    await run.journal.restoreKept(stage.from, policy);
    return { stopped: error.message };
  }
}
