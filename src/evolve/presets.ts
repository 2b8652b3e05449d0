/** Whole settings by name: the embedded world's, a toy's, the paper's. */
import { EMBEDDED } from '../engines/open-engine.ts';
import { paperAdvantage, paperReward } from './settings/grpo.ts';
import { adamW } from './settings/numbers.ts';
import { embeddedSft, type LocalSettings } from './settings.ts';

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
