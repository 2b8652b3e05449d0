/** Settings held against what the engine can do, before anything is computed: what it cannot is refused in a sentence. */
import { lessonFor } from '../algorithms/soft-targets.ts';
import { UserError } from '../base/errors.ts';
import type { Capabilities, Policy } from '../policy/policy.ts';
import type { Settings } from './settings.ts';

/** @throws UserError naming the setting that asks for too much, and what to set instead */
export function refuseUnable(
  engine: string,
  { capabilities: can, info }: Pick<Policy, 'capabilities' | 'info'>,
  settings: Settings,
): void {
  const { method, cycles, grpo, distill } = settings;
  const refuse = (setting: string, reason: string, hint: string) => {
    throw new UserError(`${setting}: the engine "${engine}" ${reason}`, { hint });
  };
  if (cycles > 0 && can.checkpoints === 'one handle')
    refuse(
      'engine.loraRank',
      'keeps only the first state of a model whose weights are all trained, and a run has several checkpoints',
      'Train a LoRA, e.g. engine.loraRank=32.',
    );
  if (reinforces(settings) && grpo.klCoefficient > 0) {
    if (can.frozen === 'none')
      refuse('grpo.klCoefficient', 'cannot keep the weights at which a round starts', 'Set grpo.klCoefficient=0.');
    // A second round starts at weights that the engine was not opened with.
    if (can.frozen === 'initial' && cycles > 1)
      refuse(
        'grpo.klCoefficient',
        'can keep the weights that it was opened with, and no later ones, at which the second cycle starts',
        'Set grpo.klCoefficient=0, or cycles=1.',
      );
  }
  if (reinforces(settings) && grpo.routed !== null) {
    const way = 'Set grpo.routed=null.';
    if (can.topLogprobs === 0 || (can.softTargets !== 'signed' && can.softTargets !== 'non-negative'))
      refuse('grpo.routed', "cannot be taught a teacher's likeliest tokens", way);
    if (can.frozen === 'none' || (can.frozen === 'initial' && cycles > 1))
      refuse('grpo.routed', 'cannot keep the weights at which a round starts as a teacher', way);
  }
  if (cycles === 0 || method !== 'search-e1') return;
  if (distill.adapter !== null && can.adapter === 'never')
    refuse('distill.adapter', 'cannot attach an adapter', 'Set distill.adapter=null.');
  if (distill.clip !== null && distill.clipForm === 'position') {
    if (!can.dryRun)
      refuse('distill.clipForm', 'cannot tell which positions exceed a bound', 'Set distill.clipForm=entry.');
    if (lessonFor(distill, can, info.vocabulary).kind !== 'distribution')
      refuse('distill.clipForm', 'does not teach whole distributions', 'Set distill.clipForm=entry.');
  }
  // A divergence is taken from the frozen weights at every step; other lessons ask them before the first one.
  const lesson = lessonFor(distill, can, info.vocabulary);
  if (distill.objective !== 'cross-entropy' && lesson.kind === 'distribution' && can.frozen !== 'any')
    refuse('method', 'cannot keep a teacher', 'Use another method, e.g. method=grpo.');
}

/** In what the engine departs from the settings where that is no reason to refuse them; for the user and the record. */
export function shortcomings(engine: string, can: Capabilities, settings: Settings): string[] {
  const { method, cycles, distill } = settings;
  const notes: string[] = [];
  const distils = cycles > 0 && method === 'search-e1' && distill.objective !== 'cross-entropy';
  if (!can.optimizer.fresh)
    notes.push(`the engine "${engine}" cannot begin a stage with a fresh optimiser: moments of the stage before go on`);
  if (!can.optimizer.clip)
    notes.push(`the engine "${engine}" clips gradients as its server is configured, not by clipNorm`);
  if (!can.optimizer.betasPerStep)
    notes.push(`the engine "${engine}" keeps to the betas and epsilon that its server is configured with`);
  if (distils && can.adapter === 'always' && distill.adapter !== null)
    notes.push(
      'distill.adapter: the server has one adapter from the first step on, which every stage trains; rank and alpha are its own',
    );
  if (reinforces(settings) && can.sampler === 'approximate')
    notes.push(
      `the engine "${engine}" samples with other arithmetic than it trains: old log-probabilities are computed again at each step, and samplerGap is recorded`,
    );
  return notes;
}

function reinforces({ cycles, method }: Settings): boolean {
  return cycles > 0 && (method === 'grpo' || method === 'search-e1');
}
