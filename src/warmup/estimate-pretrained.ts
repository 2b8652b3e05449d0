/** How long the warm-up of a pretrained model will take on this machine: a batch or two of each phase is computed and not learned. */
import { streamKey } from '../base/random.ts';
import { DRY_STEP, type Policy } from '../policy/policy.ts';
import { batchesOf } from './batches.ts';
import type { Example, ExampleSource } from './examples.ts';
import type { PretrainedRecipe } from './recipe.ts';
import { crossEntropy } from './warm-up.ts';

/** Batches of each phase; the first one is left out of the count, since graphs are compiled in it. */
const BATCHES = 3;
/** Questions that are asked, a part of those that are measured in the end. */
const ASKED = 3;

/** Seconds of training, of reading held-out examples and of measuring, and the number of parameters. */
export async function estimatePretrained(
  recipe: PretrainedRecipe,
  source: ExampleSource,
  open: () => Promise<Policy>,
  signal?: AbortSignal,
): Promise<{ readonly seconds: number; readonly parameters: number | null }> {
  const { phases, heldOut, measured, adapter, batchTokens, seed } = recipe;
  const options = signal ? { signal } : {};
  const policy = await open();
  try {
    if (adapter !== null) await policy.attachAdapter({ ...adapter, key: streamKey(seed, 'adapter') });
    let seconds = 0;
    for (const [index, phase] of phases.entries()) {
      const batches: (readonly Example[])[] = [];
      for await (const { batch } of batchesOf(source, phase, index, batchTokens, seed, { chunk: 0, batch: 0 })) {
        batches.push(batch);
        if (batches.length === BATCHES) break;
      }
      const [first, ...rest] = batches;
      await policy.train([crossEntropy(first!)], DRY_STEP, options);
      const each = await secondsOf(async () => {
        for (const batch of rest) await policy.train([crossEntropy(batch)], DRY_STEP, options);
      });
      seconds += (phase.steps * each) / rest.length;
    }

    const last = phases.at(-1)!;
    const examples = source.heldOut?.(last).map(({ ids }) => ids) ?? [];
    const some = examples.slice(0, 8);
    const reading = await secondsOf(() => policy.logprobs(some, 'present', options));
    seconds += ((Math.floor(last.steps / heldOut.every) + 1) * reading * examples.length) / Math.max(1, some.length);

    if (measured.questions > 0) {
      const asking = await secondsOf(() => source.measure?.(policy, { signal, questions: ASKED }) ?? Promise.resolve());
      seconds += (asking * measured.questions) / Math.min(ASKED, measured.questions);
    }
    return { seconds, parameters: policy.info.parameters ?? null };
  } finally {
    await policy.close();
  }
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
