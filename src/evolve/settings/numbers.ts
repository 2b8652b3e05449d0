/** What fields of several groups of settings share: ranges, and AdamW's own. */
import { z } from 'zod';

// Nobody means more than these; a slip of the keyboard must not fill memory with plans and tasks.
export const count = z.int().min(1).max(1e9);
export const natural = z.int().min(0).max(1e9);
/** Rollouts of one question, passes over the data, searches. */
export const few = 1000;
export const positive = z.number().positive();
export const share = z.number().min(0).max(1);

/** Fields of every group that trains. */
export const optimizer = {
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

/** AdamW as all presets begin. */
export const adamW = {
  schedule: 'constant',
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: 1e-6,
} as const;
