/** For tests: trainers that one test after the other takes, since to open a session takes longer than what most of them compute. */
import { afterAll, afterEach } from 'vitest';
import { sharedCopy } from '../../../onnx/shared-floats.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { Trainer, type TrainerOptions } from './training.ts';

/**
 * What opens a trainer in this file: one that no test holds is taken again, with these weights, a fresh optimiser and no adapter.
 * Whoever needs frozen weights freezes them; those of an earlier test may still be there.
 */
export function spareTrainers(defaults: TrainerOptions) {
  const free = new Map<string, Trainer[]>();
  const held: [key: string, trainer: Trainer][] = [];

  afterEach(() => {
    for (const [key, trainer] of held.splice(0)) free.set(key, [...(free.get(key) ?? []), trainer]);
  });
  afterAll(async () => {
    for (const trainer of [...free.values()].flat()) await trainer.close();
  });

  return async (model: ModelConfig, weights: Float32Array, options: Partial<TrainerOptions> = {}): Promise<Trainer> => {
    const { workerThreads, ...rest } = { ...defaults, ...options };
    const key = JSON.stringify([model, rest]);
    const trainer = free.get(key)?.pop() ?? new Trainer(model, sharedCopy(weights), { ...defaults, ...options });
    held.push([key, trainer]);
    await trainer.restore({ weights });
    return trainer;
  };
}
