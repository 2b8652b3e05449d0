/** summary.json of an experiment: every figure that its report shows and its verdicts rest on. Small enough to commit as evidence. */
import { z } from 'zod';

/** What is measured on each evaluated question. Shares are in [0, 1]; searches and tokens are counts. */
export const measures = ['exactMatch', 'searches', 'policyTokens', 'wellFormed', 'grounded'] as const;
export type Measure = (typeof measures)[number];

const count = z.int().min(0);
const mode = z.strictObject({ decoding: z.enum(['sampled', 'greedy']), searches: count });
/** Of each measure; null where it could not be asked of any answer. */
const means = z.strictObject({
  exactMatch: z.number().nullable(),
  searches: z.number().nullable(),
  policyTokens: z.number().nullable(),
  wellFormed: z.number().nullable(),
  grounded: z.number().nullable(),
});

/** An estimate with its 95 % interval (intervals.ts). */
const range = z.strictObject({ estimate: z.number(), low: z.number(), high: z.number() });
/** And the estimate of each seed alone. */
const interval = z.strictObject({
  ...range.shape,
  bySeed: z.array(z.strictObject({ seed: z.string(), value: z.number() })),
});

/** Means over a training stage's steps; null where the stage has no such metric. `largestLoss` is the largest |loss|. */
const training = z.strictObject({
  stage: z.string(),
  steps: count,
  /** Steps whose gradient was too small to move anything. */
  skippedSteps: count,
  loss: z.number().nullable(),
  largestLoss: z.number().nullable(),
  klThink: z.number().nullable(),
  klSearch: z.number().nullable(),
  klAnswer: z.number().nullable(),
  klTag: z.number().nullable(),
  clipFraction: z.number().nullable(),
  entropy: z.number().nullable(),
});

/** One finished run. */
export const runSchema = z.strictObject({
  seed: z.string(),
  arm: z.string(),
  seconds: z.number().nullable(),
  /** Everything but evaluation. */
  trainingSeconds: z.number().nullable(),
  trainingTokens: z.number().nullable(),
  /** `suites`: exact match of each; older summaries have none. */
  stages: z.array(
    z.strictObject({
      stage: z.string(),
      mode,
      mean: means,
      suites: z.record(z.string(), z.number().nullable()).default({}),
    }),
  ),
  gates: z.array(
    z.strictObject({
      stage: z.string(),
      exactMatchGap: z.number().nullable(),
      searchesSaved: z.number().nullable(),
      open: z.boolean(),
    }),
  ),
  pools: z.array(
    z.strictObject({ stage: z.string(), questions: count, pairs: count, wrongStudents: count, exactMatch: z.number() }),
  ),
  training: z.array(training),
});

const verdict = z.strictObject({
  claim: z.string(),
  /** no look: figures alone, at a number of seeds at which none is registered. */
  verdict: z.enum(['supported', 'equivalent', 'contrary', 'undecided', 'no look', 'not run']),
  /** Why, with the figures. */
  sentence: z.string(),
});

export const summarySchema = z.strictObject({
  schema: z.literal(1),
  name: z.string(),
  /** In the experiment's order. */
  arms: z.array(z.string()),
  seeds: z.array(z.string()),
  /** Arms of one's own among them. */
  own: z
    .array(z.strictObject({ name: z.string(), says: z.string(), forksAt: z.enum(['start', 'grpo', 'pool', 'gate']) }))
    .exactOptional(),
  /** Of each seed: its world, and the beginning of the SHA-256 of its base policy's weights. */
  worlds: z.array(count).default([]),
  bases: z.array(z.string()).default([]),
  /** "seed-003/e1": runs that are not finished and count nowhere. */
  missing: z.array(z.string()),
  /** Of the bootstrap, where one is taken: over the questions of a single seed, and over seeds for the law. */
  resamples: count,
  runs: z.array(runSchema),
  /** The last stage of each arm over its seeds. */
  means: z.array(z.strictObject({ arm: z.string(), mode, measure: z.enum(measures), seeds: count, ...range.shape })),
  /** Exact match of the last stage by suite, mean over seeds. */
  suites: z.array(z.strictObject({ arm: z.string(), mode, suite: z.string(), exactMatch: z.number() })),
  /** arm − reference, paired by seed and question, over the seeds that have both. */
  differences: z.array(
    z.strictObject({
      arm: z.string(),
      reference: z.string(),
      mode,
      measure: z.enum(measures),
      ...interval.shape,
    }),
  ),
  /** Gain of exact match since the first round against the first teacher gap; null without enough points. */
  laws: z.array(
    z.strictObject({
      mode,
      points: z.array(z.strictObject({ seed: z.string(), arm: z.string(), gap: z.number(), gain: z.number() })),
      fit: z
        .strictObject({
          slope: z.number(),
          intercept: z.number(),
          correlation: z.number(),
          /** 95 %, over resampled seeds; null with fewer than five. */
          correlationInterval: z.strictObject({ low: z.number(), high: z.number() }).nullable(),
        })
        .nullable(),
    }),
  ),
  verdicts: z.array(verdict),
});

export type Summary = z.infer<typeof summarySchema>;
export type RunSummary = Summary['runs'][number];
export type Interval = z.infer<typeof interval>;
export type ArmMean = Summary['means'][number];
export type Difference = Summary['differences'][number];
export type Law = Summary['laws'][number];
export type Verdict = Summary['verdicts'][number];
