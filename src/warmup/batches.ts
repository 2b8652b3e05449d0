/** The endless stream of batches of a phase, with a position from which it can be taken up again. */
import { Random, streamKey } from '../base/random.ts';
import type { Example, ExampleSource } from './examples.ts';
import type { Phase } from './recipe.ts';

/** Which batch of which chunk comes next. */
export interface Position {
  readonly chunk: number;
  readonly batch: number;
}

/**
 * Groups examples of similar length into batches of at most `batchTokens` tokens counted as if padded to the longest
 * (an example longer than that stands alone), in random order.
 */
export function makeBatches(examples: readonly Example[], batchTokens: number, random: Random): Example[][] {
  const sorted = random.shuffle(examples).sort((a, b) => a.ids.length - b.ids.length);
  const batches: Example[][] = [];
  let current: Example[] = [];
  for (const example of sorted) {
    if (current.length > 0 && (current.length + 1) * example.ids.length > batchTokens) {
      batches.push(current);
      current = [];
    }
    current.push(example);
  }
  if (current.length > 0) batches.push(current);
  return random.shuffle(batches);
}

/** Batches of a phase from a position on, each with the position after it. */
export async function* batchesOf(
  source: ExampleSource,
  phase: Phase,
  phaseIndex: number,
  batchTokens: number,
  seed: number,
  from: Position,
): AsyncGenerator<{ batch: readonly Example[]; next: Position }> {
  for (let chunk = from.chunk; ; chunk++) {
    const random = new Random(streamKey(seed, 'batches', phaseIndex, chunk));
    const batches = makeBatches(await source.chunk(phase, phaseIndex, chunk), batchTokens, random);
    for (let i = chunk === from.chunk ? from.batch : 0; i < batches.length; i++)
      yield {
        batch: batches[i]!,
        next: i + 1 < batches.length ? { chunk, batch: i + 1 } : { chunk: chunk + 1, batch: 0 },
      };
  }
}
