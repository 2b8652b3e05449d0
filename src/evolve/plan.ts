/**
 * The stages of a run, in order, by its method.
 *
 *   search-e1           per cycle GRPO, pool, gate, distillation: the paper
 *   grpo                per cycle GRPO alone: Search-R1
 *   rejection-sampling  per cycle pool, then cross-entropy on its correct trajectories
 *   sft                 cross-entropy on gold answers, once
 *
 * The base and every trained stage are evaluated.
 */
import type { Settings } from './settings.ts';

export type Stage =
  | { readonly kind: 'evaluate'; readonly name: string; readonly of: string }
  /** `from` is the kept checkpoint at which a training stage starts; its own name is kept at its end. */
  | { readonly kind: 'grpo'; readonly name: string; readonly cycle: number; readonly from: string }
  | { readonly kind: 'pool'; readonly name: string; readonly cycle: number }
  | { readonly kind: 'gate'; readonly name: string; readonly cycle: number }
  | { readonly kind: 'distill'; readonly name: string; readonly cycle: number; readonly from: string }
  | SftStage;

export interface SftStage {
  readonly kind: 'sft';
  readonly name: string;
  readonly cycle: number;
  readonly from: string;
  readonly on: 'answers' | 'correct-trajectories';
}

/** The checkpoint kept before anything is trained. */
export const BASE = 'base';

export function planStages({ method, cycles }: Pick<Settings, 'method' | 'cycles'>): Stage[] {
  const stages: Stage[] = [{ kind: 'evaluate', name: 'evaluate-base', of: BASE }];
  let from = BASE;
  const train = (stage: Stage & { readonly from: string }) => {
    stages.push(stage, { kind: 'evaluate', name: `evaluate-${stage.name}`, of: stage.name });
    from = stage.name;
  };
  if (method === 'sft' && cycles > 0) train({ kind: 'sft', name: 'sft-1', cycle: 1, from, on: 'answers' });
  for (let cycle = 1; cycle <= cycles; cycle++) {
    const pool: Stage = { kind: 'pool', name: `pool-${cycle}`, cycle };
    switch (method) {
      case 'search-e1':
        train({ kind: 'grpo', name: `grpo-${cycle}`, cycle, from });
        stages.push(pool, { kind: 'gate', name: `gate-${cycle}`, cycle });
        train({ kind: 'distill', name: `e1-${cycle}`, cycle, from });
        break;
      case 'grpo':
        train({ kind: 'grpo', name: `grpo-${cycle}`, cycle, from });
        break;
      case 'rejection-sampling':
        stages.push(pool);
        train({ kind: 'sft', name: `rejection-${cycle}`, cycle, from, on: 'correct-trajectories' });
        break;
    }
  }
  return stages;
}
