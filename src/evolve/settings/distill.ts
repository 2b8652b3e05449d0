/** Settings of self-distillation: pairs, divergence, what the teacher is shown, and what contradicts what. */
import { z } from 'zod';
import { LESSONS } from '../../algorithms/soft-targets.ts';
import { count, few, natural, optimizer, positive, share } from './numbers.ts';

/** Method §1, 4-6. */
const distillFields = z.strictObject({
  epochs: count.max(few),
  pairsPerStep: count,
  /** Upper bound on steps; 0 = no bound. */
  maxSteps: natural,
  /** τ, the upper clip of each vocabulary entry of the divergence; null takes none. */
  clip: positive.nullable(),
  /** Divides the teacher's logits inside the divergence. */
  teacherTemperature: positive,
  /** What of the expert trajectory the teacher is shown, within a budget of tokens. */
  expertView: z.enum(['whole', 'policy', 'searches-and-answer', 'searches']),
  expertTokens: count,
  /** A control in place of the expert trajectory (algorithms/controls.ts). */
  teacherSees: z
    .enum(['expert', 'nothing', 'other-question', 'random-correct', 'any-sibling', 'wrong-sibling', 'demonstration'])
    .default('expert'),
  /** Which siblings are taught (algorithms/pairs.ts). */
  students: z.enum(['wrong-first', 'wrong', 'right']).default('wrong-first'),
  /** λ of generalised distillation: so much of the divergence, the rest cross-entropy on the expert's words. */
  mix: share.default(1),
  /** Each pair alike, or by √(p̂(1 − p̂)) of its question's share of right rollouts. */
  questionWeight: z.enum(['equal', 'spread']).default('equal'),
  /** What τ bounds: each entry of the divergence, or its sum at a position. */
  clipForm: z.enum(['entry', 'position']).default('entry'),
  /**
   * forward-kl: the method. Controls: reverse-kl and jsd, other divergences from the teacher (policy/policy.ts); cross-entropy,
   * supervised training on the expert trajectories themselves.
   */
  objective: z.enum(['forward-kl', 'reverse-kl', 'jsd', 'cross-entropy']).default('forward-kl'),
  /**
   * How much of the teacher's distribution is taught (algorithms/soft-targets.ts). auto: all of it where the engine can, else
   * the most that it can.
   */
  targets: z.enum(LESSONS).default('auto'),
  /** The teacher's likeliest tokens, where not all are taught; draws of them, where they are drawn. */
  topK: count.default(20),
  draws: count.default(8),
  /** Tokens of the policy's that the loss is taken on: all of them, those inside search tags, or those from its first wrong turn on. */
  tokens: z.enum(['all', 'queries', 'from-first-wrong-turn']).default('all'),
  /**
   * The weights that a round leaves: the last, as in the paper, or those that answered most held-out training questions right
   * (asked every guards.every steps), the round's start among them.
   */
  keep: z.enum(['last', 'best']).default('last'),
  /** LoRA on all linear layers, merged afterwards; null trains all weights against a frozen copy. */
  adapter: z.strictObject({ rank: count, alpha: positive }).nullable(),
  ...optimizer,
});

export const distillSettings = distillFields.superRefine((distill, context) => {
  const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  const { objective, mix, questionWeight, clipForm, clip, tokens } = distill;
  const learnsWords = objective === 'cross-entropy' || mix < 1;
  if (objective === 'cross-entropy' && mix < 1)
    refuse('mix', 'with distill.objective=cross-entropy there is no divergence to mix: leave it at 1');
  if (objective === 'cross-entropy' && questionWeight === 'spread')
    refuse('questionWeight', 'weighs divergences: with distill.objective=cross-entropy there are none');
  if (learnsWords && tokens === 'from-first-wrong-turn')
    refuse(
      'tokens',
      "has no meaning for the expert's own words, which have no wrong turn: set distill.mix=1 and a divergence",
    );
  if (clipForm === 'position' && clip === null)
    refuse('clipForm', 'says what distill.clip bounds, which is null: set a bound');
});
