/** What a GRPO step made of its rollouts, token by token, for whoever looks at the run: nothing is computed from it. */
import type { Weighted } from '../algorithms/grpo.ts';
import type { TrainingView, Trajectory } from '../rollout/trajectory.ts';

/**
 * Of each trajectory that is trained on. `reference[i]` and `recomputed[i]` are log π_ref and, where the sampler is only
 * approximate, log π over prompt and response of `weighted[i]`.
 */
export function trainingViews(
  weighted: readonly Weighted[],
  reference: readonly Float32Array[] | undefined,
  recomputed?: readonly Float32Array[],
): Map<Trajectory, { readonly training: TrainingView }> {
  return new Map(
    weighted.map(({ trajectory, advantage }, i) => {
      const { prompt, plainPrompt, mask, logprobs } = trajectory;
      const spoken = mask.flatMap((author, t) => (author === 1 ? [t] : []));
      const kl = (t: number) => {
        const delta = reference![i]![prompt.length + t]! - (recomputed?.[i]?.[prompt.length + t] ?? logprobs[t]!);
        return Number((Math.exp(delta) - delta - 1).toPrecision(3));
      };
      const training = {
        advantage: typeof advantage === 'number' ? advantage : spoken.map((t) => advantage[t]!),
        // What was sampled under a hint has no log π of its own under the prompt that it is trained under.
        ...(reference && plainPrompt === undefined && { kl: spoken.map(kl) }),
      };
      return [trajectory, { training }];
    }),
  );
}
