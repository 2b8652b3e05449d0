/**
 * One round of supervised fine-tuning of all weights: the training baselines of the paper's table.
 *
 *   rejection sampling  the policy's own correct trajectories from the pool (Search-R1, arXiv 2503.09516, appendix)
 *   sft                 question and gold answer, without reasoning or search
 */
import { acceptedTrajectories, crossEntropyBatch, type Response } from '../algorithms/sft.ts';
import { streamKey } from '../base/random.ts';
import { studentPrompt } from '../protocol/prompts.ts';
import type { EvolveState, MetricRecord } from './journal.ts';
import type { SftStage } from './plan.ts';
import { readPool } from './pool.ts';
import type { StageOutcome } from './results.ts';
import { optimizerStep, type Run } from './run.ts';
import { batchOfStep, trainStep } from './train-step.ts';

export async function sftRound(run: Run, stage: SftStage, start: EvolveState): Promise<EvolveState> {
  const { policy } = run.setup;
  const { sft, seed } = run.settings;
  const ended = (outcome: Omit<StageOutcome, 'stage'>): EvolveState => ({
    ...start,
    results: { ...start.results, outcomes: [...start.results.outcomes, { stage: stage.name, ...outcome }] },
  });

  const all = stage.on === 'answers' ? goldAnswers(run) : acceptedTrajectories(await readPool(run, stage.cycle));
  const responses = all.filter(({ prompt, ids }) => prompt.length + ids.length <= policy.info.contextLength);
  if (responses.length < all.length)
    run.emit({
      kind: 'note',
      text: `${stage.name}: ${all.length - responses.length} of ${all.length} responses exceed the model's context and are left out`,
    });
  if (responses.length === 0)
    return ended({ steps: 0, stoppedBy: 'no-data', reason: 'there is no response to learn from', keptStep: 0 });

  const perEpoch = Math.ceil(responses.length / sft.sequencesPerStep);
  const steps = Math.min(sft.epochs * perEpoch, sft.maxSteps || Number.POSITIVE_INFINITY);
  if (start.step > 0) await run.journal.restoreLatest(policy);
  else await run.journal.restoreKept(stage.from, policy);

  for (let step = start.step + 1; step <= steps; step++) {
    run.throwIfCancelled();
    const batch = batchOfStep(responses, step, sft.sequencesPerStep, (epoch) =>
      streamKey(seed, stage.name, 'epoch', epoch),
    );
    const loss = crossEntropyBatch(batch);
    const reads = loss.sequences.map(({ ids }) => ids);
    const trained = await trainStep(run, stage, step, { batch: loss, reads }, optimizerStep(sft, step, steps));
    if ('stopped' in trained)
      return ended({ steps: step - 1, stoppedBy: 'guard', reason: trained.stopped, keptStep: 0 });
    const { result, update } = trained;
    const record: MetricRecord = {
      stage: stage.name,
      step,
      steps,
      loss: result.loss,
      gradientNorm: update.gradientNorm,
      skipped: update.skipped ? 1 : 0,
    };
    await run.journal.metric(record);
    run.emit({ kind: 'step', stage: stage.name, step, steps, metrics: record });
    if (step % run.settings.checkpointEvery === 0) await run.checkpoint({ ...start, step });
  }
  return ended({ steps, stoppedBy: 'steps', keptStep: steps });
}

/** Each training question with its first gold answer, as a response of one turn. */
function goldAnswers(run: Run): Response[] {
  const { tokenizer, template } = run.setup;
  return run.slices.training.map(({ question, answers }) => {
    const ids = tokenizer.encode(`<answer> ${answers[0]} </answer>`);
    return { prompt: studentPrompt(tokenizer, template, question), ids, mask: ids.map(() => 1 as const) };
  });
}
