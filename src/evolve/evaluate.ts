/**
 * Evaluation of one stage: every suite, sampled and greedy, at every search budget.
 *
 * All of it is rolled out at once, and each rollout gives its trajectory at every budget (rollout/budgets.ts). A training stage
 * that kept the weights at which it started is not asked again.
 */
import type { EvolveState } from './journal.ts';
import { meanOfSuites, measureSuite } from './measure.ts';
import type { EvaluationMode, StageMeasurement } from './results.ts';
import type { Groups, Run } from './run.ts';
import type { Settings } from './settings.ts';
import { evaluationShard } from './shards.ts';
import { type AnyStage, rollsOut, type StageKind } from './stage.ts';

export function evaluationModes(evaluation: Settings['evaluation']): EvaluationMode[] {
  return evaluation.searches.flatMap((searches) => evaluation.decoding.map((decoding) => ({ decoding, searches })));
}

export interface EvaluateStage extends AnyStage {
  readonly kind: 'evaluate';
  /** The training stage that it measures, or the base. */
  readonly of: string;
}

export const evaluateKind: StageKind<EvaluateStage> = {
  ...rollsOut,
  names: {},
  decides: ({ rollout, evaluation }) => ({ rollout, evaluation }),
  work(_, { suites }, { evaluation }) {
    const questions = suites.reduce((sum, s) => sum + Math.min(s.questions, evaluation.questions), 0);
    const samples = evaluation.decoding.reduce((sum, d) => sum + (d === 'greedy' ? 1 : evaluation.samples), 0);
    return { rollouts: questions * samples, trained: 0, steps: 1 };
  },
  stepsAreRollouts: true,
  run: evaluateStage,
};

type EvaluationStage = Pick<EvaluateStage, 'name' | 'of'>;

export async function evaluateStage(run: Run, stage: EvaluationStage, state: EvolveState): Promise<EvolveState> {
  const { results } = state;
  const untrained = results.outcomes.some(({ stage: name, keptStep }) => name === stage.of && keptStep === 0);
  const before = results.measurements.findLast((measurement) => measurement.stage !== stage.of)?.stage;
  const measured =
    untrained && before !== undefined ? await repeated(run, stage, state, before) : await measureAll(run, stage);
  for (const [i, { mode, mean }] of measured.entries())
    await run.journal.metric({
      stage: stage.name,
      step: i + 1,
      decoding: mode.decoding,
      budget: mode.searches,
      exactMatch: mean.exactMatch?.mean ?? null,
      searches: mean.searches?.mean ?? null,
    });
  const others = results.measurements.filter((measurement) => measurement.stage !== stage.of);
  const all = { ...results, measurements: [...others, ...measured] };
  run.emit({ kind: 'measured', stage: stage.of, results: all });
  return { ...state, results: all };
}

async function measureAll(run: Run, { of }: EvaluationStage): Promise<StageMeasurement[]> {
  const { evaluation } = run.settings;
  const suites = run.setup.suites.map(({ name, questions }) => ({
    name,
    questions: questions.slice(0, evaluation.questions),
  }));
  const rolledOut = await run.rollOutTogether(
    evaluation.decoding.map((decoding) => ({
      questions: suites.flatMap((suite) => suite.questions),
      measured: true,
      perQuestion: decoding === 'greedy' ? 1 : evaluation.samples,
      // The same draws for every stage: what differs between stages is the policy alone.
      stage: 'evaluation',
      step: 0,
      temperature: decoding === 'greedy' ? 0 : 1,
      budgets: evaluation.searches,
    })),
  );
  const measured: StageMeasurement[] = [];
  for (const mode of evaluationModes(evaluation)) {
    const [d, b] = [evaluation.decoding.indexOf(mode.decoding), evaluation.searches.indexOf(mode.searches)];
    const groups = rolledOut[d]![b]!;
    await run.journal.writeTrajectories(evaluationShard(of, mode), groups.flat());
    measured.push(measure(of, mode, suites, groups));
  }
  return measured;
}

function measure(of: string, mode: EvaluationMode, suites: Run['setup']['suites'], groups: Groups): StageMeasurement {
  let offset = 0;
  const measured = suites.map(({ name, questions }) => {
    const part = groups.slice(offset, offset + questions.length);
    offset += questions.length;
    return measureSuite(name, questions, part.flat());
  });
  return { stage: of, mode, suites: measured, mean: meanOfSuites(measured) };
}

/** The measurements and trajectories of the stage before, which has the same weights, under this stage's name. */
async function repeated(
  run: Run,
  { of }: EvaluationStage,
  { results }: EvolveState,
  before: string,
): Promise<StageMeasurement[]> {
  const measured = results.measurements.filter(({ stage }) => stage === before);
  for (const { mode } of measured) {
    const trajectories = await run.journal.readTrajectories(evaluationShard(before, mode));
    if (trajectories === undefined) throw new Error(`the trajectories ${evaluationShard(before, mode)} are missing`);
    await run.journal.writeTrajectories(evaluationShard(of, mode), trajectories);
  }
  return measured.map((measurement) => ({ ...measurement, stage: of }));
}
