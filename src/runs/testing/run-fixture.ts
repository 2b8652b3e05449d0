/** A made-up run for tests: results, metrics, trajectories and pairs of the right form, with figures that follow a formula. */
import type { Estimate } from '../../benchmarks/statistics.ts';
import type { EvolveState, MetricRecord, PairRecord } from '../../evolve/journal.ts';
import { presets } from '../../evolve/presets.ts';
import type { Results, StageMeasurement, Timing } from '../../evolve/results.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { presentVersions, type RunConfig } from '../config-record.ts';

export const fixtureStages = ['base', 'grpo-1', 'e1-1', 'grpo-2', 'e1-2'] as const;
export const fixtureSuites = ['single', 'paraphrased', 'long-tail', 'bridge', 'compositional', 'deep', 'small-hard'];

function estimate(mean: number, standardError = 0.0213): Estimate {
  return { mean, standardError };
}

function measurement(stage: string, index: number, decoding: 'sampled' | 'greedy', searches: number): StageMeasurement {
  const values = (exact: number) => ({
    exactMatch: estimate(exact),
    f1: estimate(exact + 0.05),
    searches: estimate(2.5 - 0.2 * index, 0.05),
    policyTokens: estimate(61.3 - 3 * index, 0.9),
    wellFormed: estimate(1, 0),
    grounded: index === 0 ? null : estimate(0.8),
  });
  return {
    stage,
    mode: { decoding, searches },
    suites: fixtureSuites.map((suite, row) => ({
      suite,
      questions: 40,
      samplesPerQuestion: 1,
      failures: 0,
      ...values(0.3 + 0.1 * index - 0.03 * row),
    })),
    mean: values(0.3 + 0.1 * index),
  };
}

export function fixtureResults(): Results {
  const modes = [4, 2].flatMap((searches) =>
    (['sampled', 'greedy'] as const).map((decoding) => ({ decoding, searches })),
  );
  return {
    schema: 1,
    measurements: fixtureStages.flatMap((stage, index) =>
      modes.map((mode) => measurement(stage, index, mode.decoding, mode.searches)),
    ),
    pools: [
      {
        stage: 'e1-1',
        questions: 192,
        rollouts: 960,
        exactMatch: 0.61,
        pairs: 84,
        wrongStudents: 31,
        expertSearches: 1.7,
        studentSearches: 2.6,
        expertsWithoutSearch: 2,
      },
    ],
    gates: [
      {
        stage: 'e1-1',
        questions: 48,
        plain: { exactMatch: estimate(0.6), searches: estimate(2.3), wellFormed: estimate(0.99) },
        privileged: { exactMatch: estimate(0.8), searches: estimate(1.9), wellFormed: estimate(0.98) },
        exactMatchGap: { mean: 0.2, standardError: 0.05 },
        searchesSaved: { mean: 0.4, standardError: 0.1 },
        open: true,
      },
    ],
    outcomes: [
      { stage: 'grpo-1', steps: 30, stoppedBy: 'steps', keptStep: 20 },
      { stage: 'e1-1', steps: 6, stoppedBy: 'steps', keptStep: 6 },
      { stage: 'grpo-2', steps: 7, stoppedBy: 'guard', reason: 'entropy 0.004 is below 0.005', keptStep: 5 },
      { stage: 'e1-2', steps: 0, stoppedBy: 'gate', reason: 'the privileged prompt helps by 0.01', keptStep: 0 },
    ],
  };
}

export const fixtureTiming: Timing = {
  totalSeconds: 540.2,
  samplingSeconds: 300,
  retrievalSeconds: 12.5,
  trainingSeconds: 200,
  otherSeconds: 27.7,
  trajectories: 9000,
  searches: 18000,
  cachedSearches: 4500,
  sampledTokens: 500000,
  trainedTokens: 240000,
  byStage: fixtureStages.map((stage, index) => ({
    stage,
    seconds: 100 + index,
    sampledTokens: 5000,
    trainedTokens: 7000,
  })),
};

export function fixtureMetrics(): MetricRecord[] {
  const records: MetricRecord[] = [];
  for (let step = 1; step <= 30; step++)
    records.push({
      stage: 'grpo-1',
      step,
      loss: Math.sin(step) * 0.01,
      reward: 0.35 + 0.01 * step,
      searches: 2.4 - 0.02 * step,
      policyTokens: 60 - 0.3 * step,
      entropy: 0.8 * Math.exp(-step / 20),
      kl: 0.0004 * step,
    });
  for (const step of [0, 10, 20, 30]) records.push({ stage: 'grpo-1-held-out', step, exactMatch: 0.4 + 0.008 * step });
  for (let step = 1; step <= 6; step++)
    records.push({ stage: 'e1-1', step, loss: 0.3 / step, entropy: 0.3, kl: 0.6 / step });
  return records;
}

export function fixtureState(stage: number, step: number): EvolveState {
  return {
    stage,
    step,
    best: step === 0 ? null : { step, score: 0.1 + step / 3 },
    recent: [{ entropy: 0.5, zeroVariance: 0.25, wellFormed: { bridge: { good: step, all: step + 1 } } }],
    results: fixtureResults(),
    timing: fixtureTiming,
  };
}

export function fixtureTrajectory(questionId: string, rollout: number, correct: 0 | 1 = 1): Trajectory {
  const ids = [5, 6, 7, 8, 9, 10, 11, 12];
  return {
    questionId,
    dataset: 'bridge',
    rollout,
    prompt: [1, 2, 3, 4],
    ids,
    mask: [1, 1, 0, 0, 0, 1, 1, 1],
    logprobs: [-0.1, -1 / 3, 0, 0, 0, -2.5, -1e-7, -0.25].map(Math.fround),
    searches: [{ query: 'where', passages: [{ id: 'p1', title: 'A <place>', score: 3.25 }] }],
    stop: 'answered',
    answer: 'a & b',
    correct,
    reward: correct,
    wellFormed: true,
    grounded: true,
  };
}

export function fixturePair(questionId: string): PairRecord {
  return {
    questionId,
    expert: { questionId, rollout: 1 },
    student: { rollout: 3, correct: false },
    teacherPrompt: [1, 2, 9, 9, 3, 4],
    studentPrompt: [1, 2, 3, 4],
    ids: [5, 6, 7, 8, 9, 10, 11, 12],
    mask: [1, 1, 0, 0, 0, 1, 1, 1],
    kl: [0.001, 1.25, 0, 0, 0, 0.3, 0, 2.5].map(Math.fround),
  };
}

export function smallConfig(): RunConfig {
  const hash = (digit: string) => digit.repeat(64);
  return {
    schema: 1,
    preset: 'default',
    settings: presets.default,
    inputs: {
      questions: null,
      corpus: null,
      tokenizer: null,
      model: null,
      template: null,
      evaluate: [],
      threads: null,
    },
    hashes: {
      questions: hash('1'),
      corpus: hash('2'),
      evaluation: hash('3'),
      template: hash('4'),
      tokenizer: hash('5'),
      weights: hash('6'),
    },
    engine: { kind: 'embedded', capabilities: null, devices: ['cpu'] },
    versions: presentVersions(),
  };
}
