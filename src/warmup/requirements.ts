/** What memory a warm-up of a pretrained model takes, before any of it is taken; and what to change where it does not fit. */
import os from 'node:os';
import { gigabytes } from '../base/bytes.ts';
import { UserError } from '../base/errors.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { type MemoryPart, samplingMemory, trainingMemory } from '../engines/open-engine.ts';
import type { PretrainedRecipe } from './recipe.ts';

/** Node, graphs, and an index of passages: .53 GB were measured with 69,550, before the engine. */
const PROCESS_BYTES = 600e6;
/** Sequences that are sampled at a time when the finished policy is asked. */
export const MEASURED_AT_A_TIME = 16;

type Load = Pick<PretrainedRecipe, 'adapter' | 'contextTokens'>;

/** Parts of the peak: of training, or of measuring in the end, whichever takes more; each gives back what the other needs. */
export function warmUpMemory(
  config: ModelConfig,
  { adapter, contextTokens }: Load,
  threads: number = os.availableParallelism(),
): MemoryPart[] {
  const training = trainingMemory(config, {
    adapterRank: adapter?.rank ?? null,
    frozen: false,
    sequenceTokens: contextTokens,
    threads,
    losses: 1,
  });
  const weights = training.find(({ name }) => name === 'weights')!.bytes;
  const sampling = { sequences: MEASURED_AT_A_TIME, sequenceTokens: contextTokens, bits: 32, threads };
  const program = { name: 'program', bytes: PROCESS_BYTES };
  const measuring = [
    // What a step needs alone has been given back.
    ...training.filter(({ name }) => !STEP_PARTS.includes(name)),
    { name: 'policy that was written', bytes: weights },
    ...samplingMemory(config, sampling),
    program,
  ];
  const learning = [...training, program];
  return bytesOf(measuring) > bytesOf(learning) ? measuring : learning;
}

const STEP_PARTS = ['activations', 'logits', 'gradients of micro-batches'];

export const bytesOf = (parts: readonly MemoryPart[]) => parts.reduce((sum, { bytes }) => sum + bytes, 0);

/** @throws UserError when a warm-up exceeds `available` bytes, with the settings that would make it fit */
export function refuseUnfitPretrained(
  config: ModelConfig,
  recipe: Load,
  { threads, available = process.availableMemory() }: { readonly threads?: number; readonly available?: number } = {},
): void {
  const parts = warmUpMemory(config, recipe, threads);
  if (bytesOf(parts) <= available) return;
  const lora = { ...recipe, adapter: recipe.adapter ?? { rank: 16, alpha: 32 } };
  const short = { ...lora, contextTokens: Math.ceil(recipe.contextTokens / 2) };
  const remedies = [
    ...(recipe.adapter === null ? [{ option: `--set 'adapter={"rank":16,"alpha":32}'`, load: lora }] : []),
    { option: `--set contextTokens=${short.contextTokens}`, load: short },
  ];
  const enough = remedies.findIndex(({ load }) => bytesOf(warmUpMemory(config, load, threads)) <= available);
  const largest = parts
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, 3)
    .map(({ name, bytes }) => `${name} ${gigabytes(bytes)}`);
  throw new UserError(
    `the warm-up would take ${gigabytes(bytesOf(parts))} of memory (${largest.join(', ')}, …), ${gigabytes(available)} are available`,
    {
      hint:
        enough < 0
          ? 'No setting makes it fit: take a smaller model, or a machine with more memory.'
          : `It would fit with ${remedies
              .slice(0, enough + 1)
              .map(({ option }) => option)
              .join(' ')}.`,
    },
  );
}
