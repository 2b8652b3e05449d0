/** Settings held against what the engine can do, before anything is computed: what it cannot is refused in a sentence. */
import { UserError } from '../base/errors.ts';
import type { Capabilities } from '../policy/policy.ts';
import type { Settings } from './settings.ts';

/** @throws UserError naming the setting that asks for too much, and what to set instead */
export function refuseUnable(engine: string, can: Capabilities, settings: Settings): void {
  const { method, cycles, grpo, distill } = settings;
  const refuse = (setting: string, reason: string, hint: string) => {
    throw new UserError(`${setting}: the engine "${engine}" ${reason}`, { hint });
  };
  const reinforces = cycles > 0 && (method === 'grpo' || method === 'search-e1');
  if (reinforces && grpo.klCoefficient > 0 && can.frozen !== 'any')
    refuse('grpo.klCoefficient', 'cannot keep the weights at which a round starts', 'Set grpo.klCoefficient=0.');
  if (cycles === 0 || method !== 'search-e1') return;
  if (distill.adapter !== null && can.adapter !== 'attachable')
    refuse('distill.adapter', 'cannot attach an adapter', 'Set distill.adapter=null.');
  const { objective } = distill;
  if (objective === 'cross-entropy') return;
  if (can.frozen !== 'any') refuse('method', 'cannot keep a teacher', 'Use another method, e.g. method=grpo.');
  if (!can.divergences.includes(objective))
    refuse(
      'distill.objective',
      `does not compute ${objective}`,
      `It has: ${[...can.divergences, 'cross-entropy'].join(', ')}.`,
    );
  if (distill.clip !== null && !can.pointwiseClip)
    refuse('distill.clip', 'does not cut a divergence entry by entry', 'Set distill.clip=null.');
}
