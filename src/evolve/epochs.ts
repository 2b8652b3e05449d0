/** Passes over a fixed set of items, so many a step: how supervised and distillation rounds go through their data. */
import { Random, type StreamKey } from '../base/random.ts';

export interface Passes {
  readonly epochs: number;
  readonly perStep: number;
  /** Upper bound on steps; 0 = none. */
  readonly maxSteps: number;
}

/** Steps of one pass over so many items. */
export function stepsPerEpoch(items: number, { perStep }: Pick<Passes, 'perStep'>): number {
  return Math.ceil(items / perStep);
}

/** Steps of all passes, within the bound. */
export function stepsOfPasses(items: number, passes: Passes): number {
  return Math.min(passes.epochs * stepsPerEpoch(items, passes), passes.maxSteps || Number.POSITIVE_INFINITY);
}

/** The items of one step (from 1): each pass in an order of its own, drawn from the stream of its number (from 0). */
export function itemsOfStep<T>(
  items: readonly T[],
  step: number,
  passes: Pick<Passes, 'perStep'>,
  key: (epoch: number) => StreamKey,
): T[] {
  const perEpoch = stepsPerEpoch(items.length, passes);
  const order = new Random(key(Math.floor((step - 1) / perEpoch))).shuffle(items);
  const position = ((step - 1) % perEpoch) * passes.perStep;
  return order.slice(position, position + passes.perStep);
}
