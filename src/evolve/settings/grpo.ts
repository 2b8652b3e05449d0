/** Settings of reinforcement learning: reward, advantage, credit, rollouts of a step, and what contradicts what. */
import { z } from 'zod';
import type { AdvantageForm } from '../../algorithms/advantages.ts';
import { contradictionIn } from '../../algorithms/credit.ts';
import type { RewardPart } from '../../algorithms/reward.ts';
import { chainsOf } from '../../rollout/tree.ts';
import { count, few, natural, optimizer, positive, share } from './numbers.ts';

/** A retriever that is at times a bad one, in training rollouts (rollout/noise.ts). */
const noiseSettings = z.strictObject({
  by: z.literal('corrupted-query'),
  from: share,
  to: share,
  base: z.number().gt(1),
});

/** One part of the reward (algorithms/reward.ts). */
const worth = z.number();
const rewardPart: z.ZodType<RewardPart> = z.discriminatedUnion('part', [
  z.strictObject({
    part: z.literal('answer'),
    by: z.enum(['exact-match', 'f1', 'contains']),
    right: worth,
    wrong: worth,
  }),
  z.strictObject({
    part: z.literal('form'),
    valid: worth,
    invalid: worth,
    when: z.enum(['always', 'wrong']),
    decides: z.boolean(),
  }),
  z.strictObject({ part: z.literal('answered'), worth }),
  z.strictObject({ part: z.literal('searched'), worth }),
  z.strictObject({
    part: z.literal('evidence'),
    worth,
    in: z.enum(['passages', 'thoughts']),
    when: z.enum(['always', 'wrong']),
  }),
  z.strictObject({ part: z.literal('keys'), worth }),
  z.strictObject({ part: z.literal('path'), worth }),
  z.strictObject({ part: z.literal('price'), perSearch: worth, when: z.enum(['always', 'right']) }),
]);

/** How a step's rewards become advantages (algorithms/advantages.ts). */
const advantageForm: z.ZodType<AdvantageForm> = z.discriminatedUnion('form', [
  z.strictObject({ form: z.literal('trajectory') }),
  /** ω and γ of GiGPO (algorithms/gigpo.ts). */
  z.strictObject({ form: z.literal('state'), weight: z.number().min(0), discount: share }),
  /** algorithms/turn-advantage.ts. */
  z.strictObject({
    form: z.literal('turn'),
    of: z.enum(['gain', 'gain-less-repeats', 'critic', 'answer-likelihood']),
    discount: share,
    mix: z.discriminatedUnion('by', [
      z.strictObject({ by: z.literal('add'), add: z.number(), norm: z.enum(['returns', 'values']) }),
      z.strictObject({ by: z.literal('share'), share }),
    ]),
  }),
  /** algorithms/tree-advantage.ts; its rollouts: grpo.tree. */
  z.strictObject({ form: z.literal('tree') }),
]);

/** Credit by privilege (algorithms/credit.ts). */
const creditSettings = z
  .strictObject({
    sees: z.enum(['right-sibling', 'wrong-sibling', 'other-question', 'gold-answer']),
    against: z.enum(['plain', 'wrong-sibling', 'reference-alone']).default('plain'),
    apply: z.discriminatedUnion('by', [
      /** λ and ε. */
      z.strictObject({ by: z.literal('weight'), weight: share, clip: share }),
      z.strictObject({ by: z.literal('add'), add: z.number() }),
      /** λ, β, and what is taken off the gate. */
      z.strictObject({ by: z.literal('gate'), gate: z.number(), slope: positive, less: share.default(0) }),
    ]),
    over: z.enum(['token', 'turn']).default('token'),
    /** Steps over which λ falls to 0; 0: it stays. */
    fallsOver: natural.default(0),
  })
  .superRefine((credit, context) => {
    const message = contradictionIn(credit);
    if (message !== undefined) context.addIssue({ code: 'custom', path: ['sees'], message });
  });

/** What the paper trains on, and all that runs of 0.4 could train on: exact match, normalised over the group. */
export const paperReward: RewardPart[][] = [[{ part: 'answer', by: 'exact-match', right: 1, wrong: 0 }]];
export const paperAdvantage: AdvantageForm = { form: 'trajectory' };

/** Method §4. */
const grpoFields = z.strictObject({
  /** Optimiser steps of each cycle's round; the last entry serves later cycles. */
  steps: z.array(natural).min(1).max(few),
  /** A round ends with the step that brings its tokens, generated and trained, to so many; 0 = no bound. */
  tokens: z.int().min(0).default(0),
  questionsPerStep: count,
  /** G, rollouts per question. */
  groupSize: z.int().min(2).max(few),
  /** The parts whose sum is the reward, for each cycle's round; the last entry serves later cycles. */
  reward: z.array(z.array(rewardPart).min(1)).min(1).default(paperReward),
  /** What centred rewards are divided by. */
  scale: z.enum(['deviation', 'none']).default('deviation'),
  advantage: advantageForm.default(paperAdvantage),
  credit: creditSettings.nullable().default(null),
  /** mixed-groups: groups of equal rewards are left out, KL and all (DAPO's filter; evolve/mixed-groups.ts). */
  filter: z.enum(['none', 'mixed-groups']).default('none'),
  /**
   * DAPO's dynamic sampling: so many times at most, further questions are rolled out in the place of the groups that the filter
   * left out. Their tokens count like all others.
   */
  resample: z.int().min(0).max(few).default(0),
  /** ε of the ratio clip, below and above 1. */
  clipLow: share,
  clipHigh: z.number().min(0),
  /** β of the k3 KL to the round's start. */
  klCoefficient: z.number().min(0),
  noise: noiseSettings.nullable().default(null),
  /** M, N and L of rollouts that share beginnings (rollout/tree.ts); of each tree groupSize / M leaves are kept. */
  tree: z
    .strictObject({ trees: count.max(few), expansions: count.max(few), rounds: count.max(few) })
    .nullable()
    .default(null),
  /** Of groups that failed so much, one rollout at least and not all, is made under a prompt that shows more (rollout/hinted.ts). */
  hint: z
    .strictObject({ sees: z.literal('gold-answer'), share: z.number().gt(0).lt(1) })
    .nullable()
    .default(null),
  /** λ and K of distillation in place of reinforcement for wrong rollouts (algorithms/routed.ts). */
  routed: z
    .strictObject({ weight: z.number().min(0), topK: count })
    .nullable()
    .default(null),
  /** Optimiser steps on the rollouts of one step, all on the same batch. */
  updates: count.max(few).default(1),
  /** λ of LLDS (algorithms/preserve.ts). */
  preserve: z
    .strictObject({ weight: z.number().min(0) })
    .nullable()
    .default(null),
  ...optimizer,
});

export const grpoSettings = grpoFields.superRefine((grpo, context) => {
  const { updates, preserve, tree, hint, advantage, credit, routed, groupSize } = grpo;
  const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if (preserve !== null && updates === 1)
    refuse(
      'preserve',
      'preserves nothing at one update a batch, where the policy is still the one that sampled: set grpo.updates=2 or more',
    );
  if (tree === null && advantage.form === 'tree')
    refuse('advantage', 'compares leaves of trees, of which there are none: set grpo.tree');
  if (routed !== null && (credit !== null || updates > 1))
    refuse(
      'routed',
      `takes wrong rollouts from what ${credit === null ? 'grpo.updates trains on again' : 'grpo.credit weighs'}: leave one of the two out`,
    );
  if (hint !== null) {
    const other =
      (tree !== null && 'tree') ||
      (credit !== null && 'credit') ||
      (routed !== null && 'routed') ||
      (preserve !== null && 'preserve') ||
      (advantage.form !== 'trajectory' && `advantage (form ${advantage.form})`);
    if (other)
      refuse('hint', `goes with plain advantages of chains alone: expected no grpo.${other}; leave one of the two out`);
  }
  if (tree !== null) {
    const leaves = groupSize / tree.trees;
    const chains = chainsOf(tree);
    if (!Number.isInteger(leaves))
      refuse(
        'groupSize',
        `is shared by ${tree.trees} trees (grpo.tree.trees), each with as many leaves: expected a multiple of ${tree.trees}, found ${groupSize}`,
      );
    else if (leaves > chains)
      refuse(
        'groupSize',
        `asks for ${leaves} leaves of each tree, which has ${chains} (1 + grpo.tree.expansions · grpo.tree.rounds): set ${tree.trees * chains} or less`,
      );
  }
});
