/** Evaluation of one stage: every suite, sampled and greedy, at every search budget. One mode is one step of the stage. */
import type { EvolveState, MetricRecord } from './journal.ts';
import { macroMean, measureSuite } from './measure.ts';
import type { EvaluationMode, StageMeasurement } from './results.ts';
import type { Run } from './run.ts';
import type { Settings } from './settings.ts';

export function evaluationModes(evaluation: Settings['evaluation']): EvaluationMode[] {
  return evaluation.searches.flatMap((searches) => evaluation.decoding.map((decoding) => ({ decoding, searches })));
}

export async function evaluateStage(
  run: Run,
  stage: { readonly name: string; readonly of: string },
  start: EvolveState,
): Promise<EvolveState> {
  const modes = evaluationModes(run.settings.evaluation);
  let state = start;
  for (const mode of modes.slice(start.step)) {
    run.throwIfCancelled();
    const measurement = await evaluateMode(run, stage.of, mode);
    const step = state.step + 1;
    const record: MetricRecord = {
      stage: stage.name,
      step,
      decoding: mode.decoding,
      budget: mode.searches,
      exactMatch: measurement.mean.exactMatch.mean,
      searches: measurement.mean.searches.mean,
    };
    await run.journal.metric(record);
    const results = { ...state.results, measurements: [...state.results.measurements, measurement] };
    state = { ...state, step, results };
    await run.checkpoint(state);
    run.emit({ kind: 'step', stage: stage.name, step, steps: modes.length, metrics: record });
    run.emit({ kind: 'measured', stage: stage.of, results });
  }
  return state;
}

async function evaluateMode(run: Run, of: string, mode: EvaluationMode): Promise<StageMeasurement> {
  const { evaluation } = run.settings;
  const suites = run.setup.suites.map(({ name, questions }) => ({
    name,
    questions: questions.slice(0, evaluation.questions),
  }));
  const questions = suites.flatMap((suite) => suite.questions);
  const groups = await run.rollOut(questions, {
    perQuestion: mode.decoding === 'greedy' ? 1 : evaluation.samples,
    // The same draws for every stage: what differs between stages is the policy alone.
    stage: 'evaluation',
    step: 0,
    searches: mode.searches,
    temperature: mode.decoding === 'greedy' ? 0 : 1,
  });
  await run.journal.writeTrajectories(`${of}-${mode.decoding}-${mode.searches}`, groups.flat());

  let offset = 0;
  const measured = suites.map((suite) => {
    const part = groups.slice(offset, offset + suite.questions.length);
    offset += suite.questions.length;
    return measureSuite(suite.name, suite.questions, part.flat());
  });
  return { stage: of, mode, suites: measured, mean: macroMean(measured) };
}
