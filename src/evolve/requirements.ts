/** What memory a run takes, by stage and part, before any of it is taken; and what to change where it does not fit. */

import os from 'node:os';
import { gigabytes } from '../base/bytes.ts';
import { UserError } from '../base/errors.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { type MemoryPart, samplingMemory, trainingMemory } from '../engines/open-engine.ts';
import type { LocalSettings } from './settings.ts';
import { trainingLoads } from './stages.ts';

export interface StageMemory {
  readonly stage: string;
  readonly parts: readonly MemoryPart[];
  readonly bytes: number;
}

/** A change of settings and what the run would take with it. */
export interface Remedy {
  /** As it is given to the command. */
  readonly option: string;
  readonly bytes: number;
}

/**
 * Measured on the embedded world: Node with world, index, trajectories and the graphs of two samplers is 340 MB before anything is
 * trained, the graphs of two losses on two threads are 90 (docs/log.md).
 */
const PROCESS_BYTES = 430e6;

/** The training stages that differ in memory. Each holds weights and sampler too. */
export function memoryOfRun(
  config: ModelConfig,
  settings: LocalSettings,
  threads = os.availableParallelism(),
): StageMemory[] {
  const { engine, rollout } = settings;
  const context = Math.min(rollout.contextTokens, config.contextLength);
  const sampling = samplingMemory(config, {
    sequences: rollout.concurrency,
    sequenceTokens: context,
    bits: engine.decodeBits,
    threads,
  });
  return trainingLoads(settings).map(({ title, adapterRank, frozen, extraTokens }, earlier) => {
    const training = trainingMemory(config, {
      losses: earlier + 1,
      adapterRank,
      frozen,
      sequenceTokens: Math.min(context + extraTokens, config.contextLength),
      threads,
    });
    const parts = [...training, ...sampling, { name: 'program', bytes: PROCESS_BYTES }];
    return { stage: title, parts, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) };
  });
}

export function peakOf(stages: readonly StageMemory[]): StageMemory {
  return stages.reduce((most, stage) => (stage.bytes > most.bytes ? stage : most));
}

/** Smallest share of the need that a change has to free to be worth its name: 8 bits do little for a small model. */
const WORTHWHILE = 0.01;

/** Changes that lower the peak noticeably, those of least harm first; together with all before it in the list. */
export function remedies(config: ModelConfig, settings: LocalSettings, threads = os.availableParallelism()): Remedy[] {
  const steps: { option: string; change: (s: LocalSettings) => LocalSettings }[] = [
    {
      option: 'rollout.concurrency=16',
      change: (s) => ({ ...s, rollout: { ...s.rollout, concurrency: Math.min(16, s.rollout.concurrency) } }),
    },
    {
      option: 'engine.decodeBits=8',
      // Products in 8 bits are the processor's alone.
      change: (s) =>
        s.engine.device === 'webgpu'
          ? s
          : { ...s, engine: { ...s.engine, decodeBits: s.engine.decodeBits === 4 ? 4 : 8 } },
    },
    {
      option: 'distill.adapter={"rank":16,"alpha":32}',
      change: (s) => ({ ...s, distill: { ...s.distill, adapter: { rank: 16, alpha: 32 } } }),
    },
    {
      option: `rollout.contextTokens=${Math.ceil(settings.rollout.contextTokens / 2)}`,
      change: (s) => ({
        ...s,
        rollout: { ...s.rollout, contextTokens: Math.ceil(settings.rollout.contextTokens / 2) },
      }),
    },
  ];
  const found: Remedy[] = [];
  let changed = settings;
  let bytes = peakOf(memoryOfRun(config, settings, threads)).bytes;
  for (const { option, change } of steps) {
    const next = change(changed);
    const lower = peakOf(memoryOfRun(config, next, threads)).bytes;
    if (lower > (1 - WORTHWHILE) * bytes) continue;
    found.push({ option, bytes: lower });
    [changed, bytes] = [next, lower];
  }
  return found;
}

/** @throws UserError when the run's peak exceeds `available` bytes, with the settings that would make it fit */
export function refuseUnfit(
  config: ModelConfig,
  settings: LocalSettings,
  { threads = os.availableParallelism(), available = process.availableMemory() } = {},
): void {
  const peak = peakOf(memoryOfRun(config, settings, threads));
  if (peak.bytes <= available) return;
  const list = remedies(config, settings, threads);
  const enough = list.findIndex(({ bytes }) => bytes <= available);
  const needed = list.slice(0, enough + 1).map(({ option }) => `--set '${option}'`);
  const parts = peak.parts
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, 4)
    .map(({ name, bytes }) => `${name} ${gigabytes(bytes)}`);
  throw new UserError(
    `${peak.stage} would take ${gigabytes(peak.bytes)} of memory (${parts.join(', ')}, …), ${gigabytes(available)} are available`,
    {
      hint:
        needed.length > 0
          ? `It would fit with ${needed.join(' ')}. \`search-e1 doctor\` shows every part.`
          : 'No setting makes it fit: take a smaller model, or a machine with more memory. `search-e1 doctor` shows every part.',
    },
  );
}
