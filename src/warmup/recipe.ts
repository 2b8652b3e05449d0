/**
 * The recipe of a warm-up as data: model, optimiser and phases. Together with its source of examples it determines the
 * resulting weights (on one kind of machine, to the bit). One makes a model from nothing, the other goes on from a pretrained one.
 */
import { z } from 'zod';
import { EMBEDDED, engineSettingsSchema } from '../engines/open-engine.ts';
import { usualHabits } from '../world/demonstrations.ts';

// A slip of the keyboard must not fill memory.
const count = z.int().min(1).max(1e9);
const small = z.int().min(1).max(1000);
const positive = z.number().positive();
const share = z.number().min(0).max(1);

/** A stretch of training on one kind of example, so many optimiser steps long. */
const phaseSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    /** Articles, then statements and questions about them: dense practice in reading and copying. */
    kind: z.literal('reading'),
    steps: count,
    /** Articles in one example, and statements after them. */
    articles: small,
    statements: small,
  }),
  z.strictObject({
    /** Whole trajectories with searches. */
    kind: z.literal('demonstrations'),
    steps: count,
    /** Share of examples under the teacher's prompt, which imitate the expert trajectory shown in it. */
    imitation: share,
    /** When given, the phase begins a new course: a fresh optimiser, and a schedule of its own with this peak learning rate. */
    restart: positive.exactOptional(),
  }),
  z.strictObject({
    /** Own text: a question, the gold passage among others, and the answer in its words (reader.ts). */
    kind: z.literal('reader'),
    steps: count,
    passages: small,
    /** Share of examples in which no passage has the answer: "unknown". */
    unknown: share,
  }),
  z.strictObject({
    /** Own text: whole trajectories, mostly with the question itself as query (real-demonstrations.ts). */
    kind: z.literal('agent'),
    steps: count,
    /** Share of trajectories that find nothing and answer "unknown". */
    unknown: share,
    /**
     * Share of the others that are shown an answer by a later search only; as it comes when absent. At one in eight, as on Wikipedia's
     * passages, a greedy policy never searches twice, and a second search costs nothing where the answer would be wrong anyway.
     */
    later: share.exactOptional(),
    /** As in demonstrations. */
    imitation: share,
    /** Share of examples that are the reader's, with as many passages as a search shows: what it has learned is not to be forgotten. */
    reader: share.exactOptional(),
    restart: positive.exactOptional(),
  }),
]);

const common = {
  /** Everything random follows from it. */
  seed: z.int().min(0),
  /** Tokens in one batch. */
  batchTokens: count,
  optimizer: z.strictObject({
    /** Peak learning rate of AdamW. */
    learningRate: positive,
    /** Linear rise over so many steps, then a cosine over the course's phases down to this share of the peak. */
    warmupSteps: count,
    finalShare: share,
    beta1: share,
    beta2: share,
    epsilon: positive,
    weightDecay: z.number().min(0),
    clipNorm: positive,
  }),
  phases: z.array(phaseSchema).min(1).max(1000),
  /** How demonstrations look things up (in the embedded world always by 4 searches of 2 passages). */
  lookup: z.strictObject({ searches: small, passages: small, observationTokens: count }),
  /** Progress is saved every so many steps. */
  checkpointEvery: count,
};

const habit = (usual: { readonly there: number; readonly elsewhere: number }) =>
  z
    .strictObject({ there: share.default(usual.there), elsewhere: share.default(usual.elsewhere) })
    .default({ ...usual });

export const recipeSchema = z.strictObject({
  ...common,
  /** Those of the agent that embedded worlds' demonstrations show (world/demonstrations.ts); what is left out is as usual. */
  habits: z
    .strictObject({
      vague: habit(usualHabits.vague),
      check: habit(usualHabits.check),
      early: habit(usualHabits.early),
      misread: share.default(usualHabits.misread),
      astray: share.default(usualHabits.astray),
      guess: share.default(usualHabits.guess),
    })
    .exactOptional(),
  model: z.strictObject({
    hidden: count.max(2 ** 16),
    layers: small,
    heads: small,
    keyValueHeads: small,
    headSize: small,
    intermediate: count.max(2 ** 18),
    ropeTheta: positive,
    /** Longest sequence in tokens. */
    contextLength: count.max(2 ** 20),
    /** Start with the copying head (induction.ts) or with plain random weights. */
    copyingHead: z.boolean(),
  }),
});

export const pretrainedRecipeSchema = z.strictObject({
  ...common,
  /** What trains: this machine, or a training server with its own base model. */
  engine: engineSettingsSchema.default(EMBEDDED),
  /** Longest example, in tokens; longer ones are left out. */
  contextTokens: count.max(2 ** 20),
  /** LoRA on all linear layers, merged in the end; null trains all weights. A server's is `engine.loraRank`. */
  adapter: z.strictObject({ rank: count.max(2 ** 12), alpha: positive }).nullable(),
  /**
   * The weights that stay are those of least loss on examples of the last phase over so many questions that are kept from
   * training; asked as that phase begins, every so many steps, and at its end.
   */
  heldOut: z.strictObject({ questions: small, every: count }),
  /** What they have learned is asked of so many further questions, kept from training too: greedily, and so many samples each. */
  measured: z.strictObject({ questions: z.int().min(0).max(1e6), samples: z.int().min(1).max(1000) }),
});

export type Recipe = z.infer<typeof recipeSchema>;
export type PretrainedRecipe = z.infer<typeof pretrainedRecipeSchema>;
/** What both have in common. */
export type AnyRecipe = Pick<Recipe, keyof typeof common>;
export type Phase = Recipe['phases'][number];

/** The embedded world's base policy: 0.76 million parameters. */
export const worldRecipe: Recipe = {
  seed: 1,
  model: {
    hidden: 128,
    layers: 4,
    heads: 4,
    keyValueHeads: 2,
    headSize: 32,
    intermediate: 344,
    ropeTheta: 1e6,
    contextLength: 512,
    copyingHead: true,
  },
  // Small batches learn far more from each token here.
  batchTokens: 1500,
  optimizer: {
    learningRate: 2e-3,
    warmupSteps: 50,
    finalShare: 0.05,
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-8,
    weightDecay: 0.01,
    clipNorm: 1,
  },
  phases: [
    { kind: 'reading', steps: 150, articles: 1, statements: 4 },
    { kind: 'reading', steps: 150, articles: 2, statements: 6 },
    { kind: 'reading', steps: 150, articles: 3, statements: 8 },
    { kind: 'demonstrations', steps: 2600, imitation: 0.3 },
    { kind: 'demonstrations', steps: 600, imitation: 0.5 },
    // Following a shown trajectory is learned last, and needs many steps of full size (docs/log.md).
    { kind: 'demonstrations', steps: 1200, imitation: 0.6, restart: 1e-3 },
    { kind: 'demonstrations', steps: 1200, imitation: 0.6, restart: 1e-3 },
  ],
  lookup: { searches: 4, passages: 2, observationTokens: 120 },
  checkpointEvery: 250,
};

/** For a model of about 135 million parameters on a laptop (docs/pretrained.md says what was measured with it). */
export const pretrainedRecipe: PretrainedRecipe = {
  seed: 1,
  engine: EMBEDDED,
  batchTokens: 4000,
  optimizer: {
    learningRate: 5e-4,
    warmupSteps: 5,
    finalShare: 0.1,
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-8,
    weightDecay: 0,
    clipNorm: 1,
  },
  phases: [
    { kind: 'reader', steps: 60, passages: 2, unknown: 0.15 },
    { kind: 'agent', steps: 300, unknown: 0.1, imitation: 0 },
  ],
  lookup: { searches: 2, passages: 2, observationTokens: 320 },
  checkpointEvery: 10,
  contextTokens: 1200,
  adapter: { rank: 32, alpha: 64 },
  heldOut: { questions: 32, every: 30 },
  measured: { questions: 60, samples: 8 },
};

/** Optimiser steps of all phases together. */
export function totalSteps(recipe: Pick<AnyRecipe, 'phases'>): number {
  return recipe.phases.reduce((sum, phase) => sum + phase.steps, 0);
}

/** The peak learning rate of a phase that begins with a fresh optimiser and a schedule of its own; undefined for others. */
export function restartOf(phase: Phase): number | undefined {
  return 'restart' in phase ? phase.restart : undefined;
}

/**
 * Learning rate of a step (from 0 within its course of so many steps):
 * peak · min(1, (step+1)/warmup) · (f + (1−f) ½ (1 + cos(π step / steps))).
 */
export function learningRate(recipe: Pick<AnyRecipe, 'phases' | 'optimizer'>, step: number): number {
  const { warmupSteps, finalShare } = recipe.optimizer;
  const course = courseAt(recipe, step);
  const within = step - course.start;
  const cosine = 0.5 * (1 + Math.cos((Math.PI * within) / course.steps));
  return course.peak * Math.min(1, (within + 1) / warmupSteps) * (finalShare + (1 - finalShare) * cosine);
}

/** The course that a step (from 0, of all) belongs to. */
function courseAt({ phases, optimizer }: Pick<AnyRecipe, 'phases' | 'optimizer'>, step: number) {
  let course = { start: 0, steps: 0, peak: optimizer.learningRate };
  for (const phase of phases) {
    const peak = restartOf(phase);
    if (peak !== undefined) {
      const start = course.start + course.steps;
      if (step < start) break;
      course = { start, steps: 0, peak };
    }
    course.steps += phase.steps;
  }
  return course;
}

/** A phase in a few words, for status and errors. */
export function phaseName(phase: Phase): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  switch (phase.kind) {
    case 'reading':
      return `reading ${phase.articles} ${phase.articles === 1 ? 'article' : 'articles'}`;
    case 'demonstrations':
      return `demonstrations, ${percent(phase.imitation)} imitation`;
    case 'reader':
      return `reader, ${phase.passages} ${phase.passages === 1 ? 'passage' : 'passages'}`;
    case 'agent':
      return phase.imitation === 0 ? 'agent' : `agent, ${percent(phase.imitation)} imitation`;
  }
}
