/**
 * Several updates on the rollouts of one step: the same batch again, log π_old that of the sampler, so that ρ leaves 1 from the
 * second update on; and what is preserved meanwhile (algorithms/preserve.ts).
 */
import type { RolledOutStep, Weighted } from '../algorithms/grpo.ts';
import { preserveBatch } from '../algorithms/preserve.ts';
import type { LossBatch } from '../policy/policy.ts';
import type { Settings } from './settings.ts';

export interface FurtherUpdates {
  /** What each is trained on, in order, asked for once the one before is done. */
  readonly further: readonly (() => Promise<readonly LossBatch[]>)[];
  /** Once all are done: the loss of what is preserved, a mean over the updates that have one. */
  figures(): { readonly preserved?: number };
}

/** @param trained the batch of the first update, known once that is prepared */
export async function furtherUpdates(
  { updates, preserve }: Pick<Settings['grpo'], 'updates' | 'preserve'>,
  weighted: readonly Weighted[],
  step: RolledOutStep,
  trained: () => LossBatch,
): Promise<FurtherUpdates> {
  if (preserve === null)
    return { further: Array.from({ length: updates - 1 }, () => async () => [trained()]), figures: () => ({}) };
  const responses = weighted.map(({ trajectory }) => trajectory);
  const sampled = await step.own(responses);
  const old = responses.map(({ prompt, ids }, i) => {
    const stream = new Float64Array(prompt.length + ids.length);
    stream.set(sampled[i]!, prompt.length);
    return stream;
  });
  let lost = 0;
  const again = async () => {
    const present = await step.score(responses.map(({ prompt, ids }) => [...prompt, ...ids]));
    const { batch, loss } = preserveBatch(weighted, old, present, preserve.weight);
    lost += loss;
    return [trained(), batch];
  };
  return {
    further: Array.from({ length: updates - 1 }, () => again),
    figures: () => ({ preserved: lost / (updates - 1) }),
  };
}
