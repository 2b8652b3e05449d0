/** The stages of a run, in order: evaluate the base, then per cycle GRPO, evaluation, pool, gate, distillation, evaluation. */

export type Stage =
  | { readonly kind: 'evaluate'; readonly name: string; readonly of: string }
  /** `from` is the kept checkpoint at which a training stage starts; its own name is kept at its end. */
  | { readonly kind: 'grpo'; readonly name: string; readonly cycle: number; readonly from: string }
  | { readonly kind: 'pool'; readonly name: string; readonly cycle: number }
  | { readonly kind: 'gate'; readonly name: string; readonly cycle: number }
  | { readonly kind: 'distill'; readonly name: string; readonly cycle: number; readonly from: string };

/** The checkpoint kept before anything is trained. */
export const BASE = 'base';

export function planStages(cycles: number): Stage[] {
  const stages: Stage[] = [{ kind: 'evaluate', name: 'evaluate-base', of: BASE }];
  let from = BASE;
  for (let cycle = 1; cycle <= cycles; cycle++) {
    const [grpo, e1] = [`grpo-${cycle}`, `e1-${cycle}`];
    stages.push(
      { kind: 'grpo', name: grpo, cycle, from },
      { kind: 'evaluate', name: `evaluate-${grpo}`, of: grpo },
      { kind: 'pool', name: `pool-${cycle}`, cycle },
      { kind: 'gate', name: `gate-${cycle}`, cycle },
      { kind: 'distill', name: e1, cycle, from: grpo },
      { kind: 'evaluate', name: `evaluate-${e1}`, of: e1 },
    );
    from = e1;
  }
  return stages;
}
