/** One finished run of an experiment: its figures by stage, and its last stage's scores by question. */
import { UserError } from '../base/errors.ts';
import { type Estimate, mean } from '../benchmarks/statistics.ts';
import { evaluationModes } from '../evolve/evaluate.ts';
import type { MetricRecord } from '../evolve/journal.ts';
import type { SetupHashes } from '../evolve/open.ts';
import type { EvaluationMode, MeanMeasurement, Results, Timing } from '../evolve/results.ts';
import type { Settings } from '../evolve/settings.ts';
import { evaluationShard } from '../evolve/shards.ts';
import { isStage, planStages } from '../evolve/stages.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';
import type { RunFiles } from '../runs/run-files.ts';
import { type Measure, measures, type RunSummary } from './schema.ts';

/** Of one question, a mean over its samples; NaN where nothing can be said. */
export type Score = Readonly<Record<Measure, number>>;
/** By question id, within suite. */
export type SuiteScores = ReadonlyMap<string, ReadonlyMap<string, Score>>;

export interface CollectedRun {
  readonly summary: RunSummary;
  readonly settings: Settings;
  readonly hashes: SetupHashes;
  /** Of the last stage, by `modeKey`. */
  readonly scores: ReadonlyMap<string, SuiteScores>;
}

export function modeKey({ decoding, searches }: EvaluationMode): string {
  return `${decoding}-${searches}`;
}

/**
 * Undefined while the run is not finished: when an evaluation of its plan is missing.
 * @throws UserError when files of a finished run are missing or damaged
 */
export async function collectRun(files: RunFiles, seed: string, arm: string): Promise<CollectedRun | undefined> {
  const results = await files.results();
  if (results === undefined) return undefined;
  const { settings, hashes } = await files.config();
  const modes = evaluationModes(settings.evaluation);
  const stages = planStages(settings).flatMap((stage) => (stage.kind === 'evaluate' ? [stage.of] : []));
  const measured = new Set(results.measurements.map(({ stage, mode }) => `${stage}-${modeKey(mode)}`));
  if (!stages.every((stage) => modes.every((mode) => measured.has(`${stage}-${modeKey(mode)}`)))) return undefined;

  const last = stages.at(-1)!;
  const scores = new Map<string, SuiteScores>();
  for (const mode of modes) {
    const shard = evaluationShard(last, mode);
    const trajectories = await files.trajectories(shard);
    if (trajectories === undefined)
      throw new UserError(`${files.folder}: trajectories/${shard}.jsonl.gz is missing, though the run is finished`, {
        hint: 'Bring it back; answers are compared question by question.',
      });
    scores.set(modeKey(mode), scoresOf(trajectories));
  }
  const summary = summarizeRun(results, await files.metrics(), await files.timing());
  return { summary: { seed, arm, ...summary }, settings, hashes, scores };
}

/** Means over the samples of each question; rollouts that failed for outside reasons are left out. */
export function scoresOf(trajectories: readonly Trajectory[]): SuiteScores {
  const suites = new Map<string, Map<string, Score>>();
  for (const [id, samples] of Map.groupBy(trajectories, ({ questionId }) => questionId)) {
    const answered = valid(samples);
    const suite = samples[0]!.dataset;
    if (!suites.has(suite)) suites.set(suite, new Map());
    suites.get(suite)!.set(id, {
      exactMatch: mean(answered.map(({ correct }) => correct)),
      searches: mean(answered.map(({ searches }) => searches.length)),
      policyTokens: mean(answered.map(policyTokenCount)),
      wellFormed: mean(answered.map(({ wellFormed }) => Number(wellFormed))),
      grounded: mean(answered.flatMap(({ grounded }) => (grounded === null ? [] : [Number(grounded)]))),
    });
  }
  return suites;
}

function summarizeRun(
  { measurements, gates, pools, outcomes }: Results,
  metrics: readonly MetricRecord[],
  timing: Timing | undefined,
): Omit<RunSummary, 'seed' | 'arm'> {
  const trained = timing?.byStage.filter(({ stage }) => !isStage(stage, 'evaluate')) ?? [];
  const total = (of: (stage: (typeof trained)[number]) => number) =>
    timing === undefined ? null : round(trained.reduce((sum, stage) => sum + of(stage), 0));
  return {
    seconds: timing === undefined ? null : round(timing.totalSeconds),
    trainingSeconds: total(({ seconds }) => seconds),
    trainingTokens: total(({ sampledTokens, trainedTokens }) => sampledTokens + trainedTokens),
    stages: measurements.map(({ stage, mode, mean: measured, suites }) => ({
      stage,
      mode,
      mean: meansOf(measured),
      suites: Object.fromEntries(suites.map(({ suite, exactMatch }) => [suite, figure(exactMatch)])),
    })),
    gates: gates.map(({ stage, exactMatchGap, searchesSaved, open }) => ({
      stage,
      exactMatchGap: figure(exactMatchGap),
      searchesSaved: figure(searchesSaved),
      open,
    })),
    pools: pools.map(({ stage, questions, pairs, wrongStudents, exactMatch }) => ({
      stage,
      questions,
      pairs,
      wrongStudents,
      exactMatch: round(exactMatch),
    })),
    training: outcomes.map(({ stage }) => summarizeTraining(stage, metrics)),
  };
}

function meansOf(measured: Omit<MeanMeasurement, 'f1'>): RunSummary['stages'][number]['mean'] {
  const { exactMatch, searches, policyTokens, wellFormed, grounded } = measured;
  return {
    exactMatch: figure(exactMatch),
    searches: figure(searches),
    policyTokens: figure(policyTokens),
    wellFormed: figure(wellFormed),
    grounded: figure(grounded),
  };
}

/** Means over the steps of one training stage. */
export function summarizeTraining(stage: string, metrics: readonly MetricRecord[]): RunSummary['training'][number] {
  const steps = metrics.filter((record) => record.stage === stage);
  const valuesOf = (name: string) => steps.map((step) => step[name]).filter((value) => typeof value === 'number');
  const meanOf = (name: string) => roundOrNull(mean(valuesOf(name)));
  const losses = valuesOf('loss').map(Math.abs);
  return {
    stage,
    steps: steps.length,
    skippedSteps: valuesOf('skipped').filter((value) => value === 1).length,
    loss: meanOf('loss'),
    // Exactly: the control without privilege must have 0.
    largestLoss: losses.length === 0 ? null : Math.max(...losses),
    klThink: meanOf('kl.think'),
    klSearch: meanOf('kl.search'),
    klAnswer: meanOf('kl.answer'),
    klTag: meanOf('kl.tag'),
    clipFraction: meanOf('clipFraction'),
    entropy: meanOf('entropy'),
  };
}

/** To five decimals: finer than any interval here, and short in a file. */
export function round(value: number): number {
  return Number(value.toFixed(5));
}

/** The mean of an estimate; null where nothing was measured. */
function figure(estimate: Estimate | null): number | null {
  return estimate && round(estimate.mean);
}

function roundOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : round(value);
}

/**
 * The scores of several runs of one seed as lists in a common order, by run, measure and suite; NaN where a run has no score.
 * Suites and questions are those that any of the runs has.
 */
export function alignScores(runs: readonly SuiteScores[]): Readonly<Record<Measure, readonly Float64Array[]>>[] {
  const suites = [...new Set(runs.flatMap((run) => [...run.keys()]))].sort();
  const ids = suites.map((suite) => [...new Set(runs.flatMap((run) => [...(run.get(suite)?.keys() ?? [])]))].sort());
  const listsOf = (run: SuiteScores, measure: Measure) =>
    suites.map((suite, i) => Float64Array.from(ids[i]!, (id) => run.get(suite)?.get(id)?.[measure] ?? Number.NaN));
  return runs.map(
    (run) =>
      Object.fromEntries(measures.map((measure) => [measure, listsOf(run, measure)])) as Record<
        Measure,
        Float64Array[]
      >,
  );
}
