/**
 * The gate before distilling: held-out training questions under the ordinary and under the privileged prompt. A policy that
 * does no better when it is shown an expert trajectory has nothing to distil, and the run says so. (arXiv 2605.30070 finds
 * the final gain linear in this first gap.)
 */
import { findExpert } from '../algorithms/pairs.ts';
import type { Question } from '../base/question.ts';
import type { Estimate } from '../benchmarks/statistics.ts';
import { teacherPrompt } from '../protocol/prompts.ts';
import { isFailure, type Trajectory } from '../rollout/trajectory.ts';
import type { EvolveState } from './journal.ts';
import { overQuestions } from './measure.ts';
import type { GateMeasurement, GateSide } from './results.ts';
import { expertIds, type Groups, type Run } from './run.ts';
import { gateShard } from './shards.ts';
import { type AnyStage, rollsOut, type StageKind } from './stage.ts';

/** Samples per question and prompt. */
export const GATE_SAMPLES = 2;

export interface GateStage extends AnyStage {
  readonly kind: 'gate';
}

export const gateKind: StageKind<GateStage> = {
  ...rollsOut,
  names: { gate: 'gate' },
  decides: ({ rollout, gate, pool, distill }) => ({
    rollout,
    gate,
    'pool.rollouts': pool.rollouts,
    'pool.minExpertSearches': pool.minExpertSearches,
    'distill.teacherTemperature': distill.teacherTemperature,
    'distill.expertView': distill.expertView,
    'distill.expertTokens': distill.expertTokens,
  }),
  work: (_, __, { gate, pool }) => ({
    rollouts: gate.questions * (pool.rollouts + 2 * GATE_SAMPLES),
    trained: 0,
    steps: 1,
  }),
  // Experts first, then both prompts: two calls.
  stepsAreRollouts: false,
  run: measureGate,
};

/** The gate before the distillation of a cycle. */
export const gateName = (cycle: number): string => `gate-${cycle}`;

export async function measureGate(
  run: Run,
  stage: Pick<GateStage, 'name' | 'cycle'>,
  state: EvolveState,
): Promise<EvolveState> {
  const { gate, pool } = run.settings;
  if (gate.questions === 0) return state;
  const { tokenizer, template } = run.setup;

  // The experts come from rollouts of their own, so that the plain samples are not chosen by their luck.
  const groups = await run.rollOut(run.slices.gate, {
    perQuestion: pool.rollouts,
    stage: `${stage.name}-experts`,
    step: 0,
  });
  await run.journal.writeTrajectories(gateShard(stage.name, 'experts'), groups.flat());
  const asked = run.slices.gate.flatMap((question, i) => {
    const expert = findExpert(groups[i]!, pool.minExpertSearches);
    return expert ? [{ question, expert }] : [];
  });
  const experts = new Map(asked.map(({ question, expert }) => [question.id, expert]));
  const questions = asked.map(({ question }) => question);
  // The same draws for both prompts, at the temperature at which the loss reads the teacher.
  const common = {
    questions,
    measured: true,
    perQuestion: GATE_SAMPLES,
    stage: stage.name,
    step: 0,
    temperature: run.settings.distill.teacherTemperature,
  };
  const shown = {
    prompt: (q: Question) => teacherPrompt(tokenizer, template, q.question, expertIds(run, experts.get(q.id)!)),
    extraContext: run.settings.distill.expertTokens,
  };
  const [[plain], [privileged]] = (await run.rollOutTogether([common, { ...common, ...shown }])) as [
    [Groups],
    [Groups],
  ];
  await run.journal.writeTrajectories(gateShard(stage.name, 'plain'), plain.flat());
  await run.journal.writeTrajectories(gateShard(stage.name, 'privileged'), privileged.flat());

  const gap = difference(privileged.flat(), plain.flat(), (t) => t.correct);
  const saved = difference(plain.flat(), privileged.flat(), (t) => t.searches.length);
  const measurement: GateMeasurement = {
    stage: stage.name,
    questions: questions.length,
    plain: summary(plain.flat()),
    privileged: summary(privileged.flat()),
    exactMatchGap: gap,
    searchesSaved: saved,
    open: isWorthDistilling(gap, saved, gate),
  };
  await run.journal.metric({
    stage: stage.name,
    step: 0,
    exactMatchGap: gap?.mean ?? null,
    searchesSaved: saved?.mean ?? null,
    open: measurement.open ? 1 : 0,
  });
  if (!measurement.open) {
    const then =
      gate.whenClosed === 'skip' ? 'this round of self-distillation is left out' : 'it goes on, as the paper does';
    run.emit({ kind: 'note', text: `${closedBecause(measurement)}; ${then} (gate.whenClosed=${gate.whenClosed})` });
  }
  return { ...state, results: { ...state.results, gates: [...state.results.gates, measurement] } };
}

/** Shown an expert, the policy is right more often, or as often with fewer searches; by more than chance would have it. */
function isWorthDistilling(
  gap: Estimate | null,
  saved: Estimate | null,
  { minGap, tolerance }: { readonly minGap: number; readonly tolerance: number },
): boolean {
  // With fewer than two questions nothing is known of chance.
  if (gap?.standardError == null || saved?.standardError == null) return false;
  const raisesExactMatch = gap.mean >= Math.max(minGap, gap.standardError);
  const savesSearches = saved.mean > saved.standardError && gap.mean >= -(tolerance + gap.standardError);
  return raisesExactMatch || savesSearches;
}

function closedBecause({ stage, questions, exactMatchGap: gap, searchesSaved: saved }: GateMeasurement): string {
  // The note stands in a status that nobody has read a manual for: "gate" is told with what it asks.
  const asks = `${stage} (is there anything to distil?)`;
  if (questions < 2)
    return `${asks}: cannot be told, only ${questions} held-out questions were ever answered rightly and well formed`;
  const figure = (measured: Estimate | null) =>
    measured === null ? 'nothing' : `${measured.mean.toFixed(3)} ± ${measured.standardError?.toFixed(3) ?? '?'}`;
  return (
    `${asks}: not that ${questions} questions could tell; shown an efficient trajectory, ` +
    `the policy gains ${figure(gap)} exact match and saves ${figure(saved)} searches`
  );
}

/** Mean over questions of a − b, with the standard error of the paired differences; pairs of which one failed are left out. */
function difference(
  a: readonly Trajectory[],
  b: readonly Trajectory[],
  of: (t: Trajectory) => number,
): Estimate | null {
  const other = new Map(a.map((t, i) => [t, b[i]!]));
  return overQuestions(a, (t) => (isFailure(other.get(t)!.stop) ? null : of(t) - of(other.get(t)!)));
}

function summary(all: readonly Trajectory[]): GateSide {
  return {
    exactMatch: overQuestions(all, (t) => t.correct),
    searches: overQuestions(all, (t) => t.searches.length),
    wellFormed: overQuestions(all, (t) => (t.wellFormed ? 1 : 0)),
  };
}
