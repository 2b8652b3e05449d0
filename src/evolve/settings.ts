/**
 * The settings of a run: one schema for file, command line, record and API. Defaults are the embedded world's, which were
 * vetted on it; presets change them. Units and ranges stand beside each field.
 */
import { z } from 'zod';
import { EMBEDDED, engineSettingsSchema, type LocalEngine } from '../engines/open-engine.ts';
import { firstWarmUpWorld } from '../world/generate.ts';
import { distillSettings } from './settings/distill.ts';
import { grpoSettings } from './settings/grpo.ts';
import { adamW, count, few, natural, optimizer, positive, share } from './settings/numbers.ts';

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

/** Runs recorded before these settings existed trained without them. */
export const embeddedSft = {
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
