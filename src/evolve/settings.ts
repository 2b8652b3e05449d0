/**
 * The settings of a run: one schema for file, command line, record and API. Defaults are the embedded world's, which were
 * vetted on it; presets change them. Units and ranges stand beside each field.
 */
import { z } from 'zod';
import type { AdvantageForm } from '../algorithms/advantages.ts';
import { contradictionIn } from '../algorithms/credit.ts';
import type { RewardPart } from '../algorithms/reward.ts';
import { LESSONS } from '../algorithms/soft-targets.ts';
import { EMBEDDED, engineSettingsSchema, type LocalEngine } from '../engines/open-engine.ts';
import { chainsOf } from '../rollout/tree.ts';
import { firstWarmUpWorld } from '../world/generate.ts';

// Nobody means more than these; a slip of the keyboard must not fill memory with plans and tasks.
const count = z.int().min(1).max(1e9);
const natural = z.int().min(0).max(1e9);
/** Rollouts of one question, passes over the data, searches. */
const few = 1000;
const positive = z.number().positive();
const share = z.number().min(0).max(1);

const optimizer = {
  /** Peak learning rate of AdamW; linear warm-up over so many steps. */
  learningRate: positive,
  warmupSteps: natural,
  /** After the warm-up: as it is, or down to zero by a cosine over the steps of the round. */
  schedule: z.enum(['constant', 'cosine']).default('constant'),
  beta1: z.number().min(0).lt(1),
  beta2: z.number().min(0).lt(1),
  epsilon: positive,
  weightDecay: z.number().min(0),
  /** The gradient's global norm is scaled down to this. */
  clipNorm: positive,
  /** Below this global norm a step moves nothing. */
  minGradientNorm: z.number().min(0),
};

/** A retriever that is at times a bad one, in training rollouts (rollout/noise.ts). */
const noiseSettings = z.strictObject({
  by: z.literal('corrupted-query'),
  from: share,
  to: share,
  base: z.number().gt(1),
});

/** How rollouts are made. Method §1, §3. */
const rolloutSettings = z.strictObject({
  /** Searches allowed per question. */
  searches: z.int().min(0).max(few),
  /** Turns without an action that are answered by a message; the next one ends the rollout. */
  invalidTurns: z.int().min(0).max(few),
  /** Passages per search (k). */
  passages: count.max(few),
  /** Limits in tokens: one turn, all policy tokens, one observation, prompt and response together. */
  turnTokens: count,
  responseTokens: count,
  observationTokens: count,
  contextTokens: count,
  /** Rollouts kept open at once. */
  concurrency: count,
  /** Where `engine.decodeBits` stood before 0.5. */
  decodeBits: z.literal([32, 8, 4]).exactOptional(),
  /** Deadline of one search and of one sampled turn, in seconds. */
  searchSeconds: positive,
  sampleSeconds: positive,
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
const paperReward: RewardPart[][] = [[{ part: 'answer', by: 'exact-match', right: 1, wrong: 0 }]];
const paperAdvantage: AdvantageForm = { form: 'trajectory' };

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

const grpoSettings = grpoFields.superRefine((grpo, context) => {
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

/** Method §1, 2-3. */
const poolSettings = z.strictObject({
  /** Training questions rolled out again; K rollouts each. */
  questions: count,
  rollouts: z.int().min(2).max(few),
  /** An expert trajectory must have searched at least this often. */
  minExpertSearches: z.int().min(0).max(few),
  /** So many more of each question that has no expert among them. */
  retry: z
    .strictObject({ rollouts: count.max(few) })
    .nullable()
    .default(null),
});

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

const distillSettings = distillFields.superRefine((distill, context) => {
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

/** Supervised training on chosen responses: the training baselines. */
const sftSettings = z.strictObject({
  /** What method sft learns: gold answers, or a perfect agent's demonstrations. */
  on: z.enum(['answers', 'demonstrations']).default('answers'),
  epochs: count.max(few),
  sequencesPerStep: count,
  /** Upper bound on steps; 0 = no bound. */
  maxSteps: natural,
  ...optimizer,
});

/** The gate before distilling: is there anything to learn from the privileged prompt? */
const gateSettings = z.strictObject({
  /** Held-out training questions asked under both prompts; 0 switches the gate off. */
  questions: natural,
  /** Open when the privileged prompt raises exact match by at least this (and one standard error) … */
  minGap: z.number(),
  /** … or saves searches (by one standard error) and costs no more exact match than this (and one standard error). */
  tolerance: z.number().min(0),
  /** What happens when it is closed: skip the distillation round or only warn. */
  whenClosed: z.enum(['skip', 'warn']),
});

const evaluationSettings = z.strictObject({
  /** Questions per suite (fewer when a suite is smaller). */
  questions: count,
  /** Samples per question in sampled decoding (temperature 1). */
  samples: count.max(few),
  /** Search budgets; the first is the main one. */
  searches: z.array(z.int().min(0).max(few)).min(1).max(10),
  decoding: z
    .array(z.enum(['sampled', 'greedy']))
    .min(1)
    .max(2),
});

/** Signs of collapse that stop a GRPO round and bring back the best checkpoint. */
const guardSettings = z.strictObject({
  /** Held-out training questions for choosing the best checkpoint, asked every so many steps. */
  heldOutQuestions: count,
  every: count,
  /** Mean entropy in nats below which the round stops. */
  minEntropy: z.number().min(0),
  /** Share of well-formed rollouts, of any training suite with at least ten rollouts in the window, below which it stops. */
  minWellFormed: share,
  /** Share of groups without variance above which it stops (nothing left to learn from). */
  maxZeroVariance: share,
  /** The last three are averaged over this many steps. */
  window: count.max(few),
});

const adamW = {
  schedule: 'constant',
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: 1e-6,
} as const;

/** Runs recorded before these settings existed trained without them. */
const embeddedSft = {
  on: 'answers' as const,
  epochs: 2,
  sequencesPerStep: 32,
  maxSteps: 0,
  learningRate: 3e-4,
  warmupSteps: 3,
  ...adamW,
};

export const methods = ['search-e1', 'grpo', 'rejection-sampling', 'sft'] as const;

const fields = z.strictObject({
  /** Everything random follows from it. */
  seed: z.int().min(0),
  /** How the policy is trained: the paper's method, or a baseline of its table (stages.ts). */
  method: z.enum(methods).default('search-e1'),
  cycles: z.int().min(0).max(few),
  /** The embedded world, where no files are given. */
  world: z.strictObject({
    seed: z
      .int()
      .min(0)
      .max(firstWarmUpWorld - 1),
    /** So many training questions are drawn from it, of each of these numbers of hops alike. */
    trainingQuestions: count,
    hops: z
      .array(z.literal([1, 2, 3]))
      .min(1)
      .default([1, 2, 3]),
    /** So many times the usual 674 articles. */
    size: count.max(20).default(1),
  }),
  /** Training questions used (the first so many after a seeded shuffle); 0 = all. */
  trainingQuestions: natural,
  /** Weights are checkpointed every so many training steps, and at the end of stages and pool shards. */
  checkpointEvery: count,
  engine: engineSettingsSchema.default(EMBEDDED),
  rollout: rolloutSettings,
  grpo: grpoSettings,
  pool: poolSettings,
  gate: gateSettings,
  distill: distillSettings,
  sft: sftSettings.default(embeddedSft),
  evaluation: evaluationSettings,
  guards: guardSettings,
});

/** What a list with an entry a cycle says for a cycle (from 1): the last entry serves later ones. */
export function ofCycle<T>(list: readonly T[], cycle: number): T {
  return list[Math.min(cycle, list.length) - 1]!;
}

/** Settings of before 0.5 are read too: what has moved since is put in its place. */
export const settingsSchema = fields.transform(({ rollout: { decodeBits, ...rollout }, engine, ...rest }) => ({
  ...rest,
  engine: decodeBits === undefined ? engine : { ...EMBEDDED, decodeBits },
  rollout,
}));

export type Settings = z.infer<typeof settingsSchema>;
/** Of a run whose engine computes on this machine. */
export type LocalSettings = Settings & { readonly engine: LocalEngine };
export type RolloutSettings = Settings['rollout'];
export type PresetName = 'default' | 'smoke' | 'paper';

/** The embedded world and its tiny policy: see docs/method.md for why clip and teacher temperature differ from the paper. */
const embedded: LocalSettings = {
  seed: 1,
  method: 'search-e1',
  cycles: 2,
  world: { seed: 2605, trainingQuestions: 1500, hops: [1, 2, 3], size: 1 },
  trainingQuestions: 0,
  checkpointEvery: 1,
  engine: EMBEDDED,
  rollout: {
    searches: 4,
    invalidTurns: 2,
    passages: 2,
    turnTokens: 40,
    responseTokens: 110,
    observationTokens: 120,
    contextTokens: 448,
    concurrency: 96,
    searchSeconds: 30,
    sampleSeconds: 300,
  },
  grpo: {
    steps: [30, 12],
    tokens: 0,
    questionsPerStep: 16,
    groupSize: 5,
    reward: paperReward,
    scale: 'deviation',
    advantage: paperAdvantage,
    credit: null,
    filter: 'none',
    resample: 0,
    clipLow: 0.2,
    clipHigh: 0.2,
    klCoefficient: 0.001,
    noise: null,
    tree: null,
    hint: null,
    routed: null,
    updates: 1,
    preserve: null,
    learningRate: 3e-4,
    warmupSteps: 3,
    ...adamW,
  },
  pool: { questions: 192, rollouts: 5, minExpertSearches: 0, retry: null },
  gate: { questions: 48, minGap: 0.02, tolerance: 0.02, whenClosed: 'warn' },
  distill: {
    epochs: 2,
    pairsPerStep: 32,
    maxSteps: 0,
    clip: 1,
    teacherTemperature: 0.3,
    expertView: 'policy',
    expertTokens: 120,
    teacherSees: 'expert',
    students: 'wrong-first',
    mix: 1,
    questionWeight: 'equal',
    clipForm: 'entry',
    objective: 'forward-kl',
    targets: 'auto',
    topK: 20,
    draws: 8,
    tokens: 'all',
    keep: 'last',
    adapter: { rank: 64, alpha: 128 },
    learningRate: 3e-4,
    warmupSteps: 3,
    ...adamW,
  },
  sft: embeddedSft,
  evaluation: { questions: 40, samples: 1, searches: [4, 2], decoding: ['sampled', 'greedy'] },
  guards: { heldOutQuestions: 48, every: 10, minEntropy: 0.005, minWellFormed: 0.5, maxZeroVariance: 0.95, window: 5 },
};

/** Toy size: every part of the default runs, in under a minute; its figures mean nothing. */
const smoke: LocalSettings = {
  ...embedded,
  cycles: 1,
  grpo: { ...embedded.grpo, steps: [3], questionsPerStep: 8 },
  pool: { ...embedded.pool, questions: 32 },
  gate: { ...embedded.gate, questions: 16 },
  distill: { ...embedded.distill, epochs: 1, pairsPerStep: 8, maxSteps: 3 },
  sft: { ...embedded.sft, epochs: 1, sequencesPerStep: 8, maxSteps: 3 },
  evaluation: { ...embedded.evaluation, questions: 6 },
  guards: { ...embedded.guards, heldOutQuestions: 12, every: 3 },
};

/** The paper's settings and, where it is silent, those of the works it builds on (docs/method.md names each source). */
const paper: LocalSettings = {
  ...embedded,
  rollout: {
    ...embedded.rollout,
    passages: 3,
    turnTokens: 500,
    responseTokens: 2500,
    observationTokens: 500,
    contextTokens: 4096,
    concurrency: 256,
  },
  grpo: {
    ...embedded.grpo,
    steps: [250, 100],
    questionsPerStep: 256,
    learningRate: 1e-6,
    warmupSteps: 10,
    beta2: 0.999,
    weightDecay: 0.01,
  },
  pool: { ...embedded.pool, questions: 10_000 },
  gate: { ...embedded.gate, questions: 256 },
  distill: {
    ...embedded.distill,
    epochs: 1,
    maxSteps: 300,
    clip: 10,
    teacherTemperature: 1,
    expertView: 'whole',
    expertTokens: 1500,
    learningRate: 5e-6,
    warmupSteps: 10,
  },
  sft: { ...embedded.sft, epochs: 1, sequencesPerStep: 64, learningRate: 1e-5, warmupSteps: 10 },
  evaluation: { questions: 1_000_000, samples: 1, searches: [4], decoding: ['greedy'] },
  checkpointEvery: 10,
  guards: { ...embedded.guards, heldOutQuestions: 256, every: 25 },
};

export const presets: Readonly<Record<PresetName, LocalSettings>> = { default: embedded, smoke, paper };
