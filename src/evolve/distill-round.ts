/**
 * One distillation round: the pool's pairs, teacher and student prompts over the student's tokens, forward KL into a fresh
 * LoRA adapter (or all weights), merged at the end. Method §1.3-6.
 */
import { forwardKlBatch, type PromptedPair } from '../algorithms/distill.ts';
import { Random, streamKey } from '../base/random.ts';
import { type LossResult, NonFiniteError, type StepResult } from '../policy/policy.ts';
import { studentPrompt, teacherPrompt } from '../protocol/prompts.ts';
import type { EvolveState, MetricRecord, PairRecord } from './journal.ts';
import { readPairs } from './pool.ts';
import type { StageOutcome } from './results.ts';
import { expertIds, optimizerStep, type Run } from './run.ts';

type DistillStage = { readonly name: string; readonly cycle: number; readonly from: string };

export async function distillRound(run: Run, stage: DistillStage, start: EvolveState): Promise<EvolveState> {
  const { policy, tokenizer, template } = run.setup;
  const { distill, gate, seed } = run.settings;
  const ended = (outcome: Omit<StageOutcome, 'stage'>): EvolveState => ({
    ...start,
    results: { ...start.results, outcomes: [...start.results.outcomes, { stage: stage.name, ...outcome }] },
  });

  const measured = start.results.gates.find((g) => g.stage === `gate-${stage.cycle}`);
  if (measured && !measured.open && gate.whenClosed === 'skip')
    return ended({ steps: 0, stoppedBy: 'gate', reason: 'the privileged prompt showed no gap to distil', keptStep: 0 });

  const mined: PromptedPair[] = (await readPairs(run, stage.cycle)).map(({ question, expert, student }) => ({
    expert,
    student,
    studentPrompt: studentPrompt(tokenizer, template, question.question),
    teacherPrompt: teacherPrompt(tokenizer, template, question.question, expertIds(run, expert)),
  }));
  // The teacher's prompt is longer than the one that the student trajectory was sampled under.
  const context = policy.info.contextLength;
  const pairs = mined.filter((p) => p.teacherPrompt.length + p.student.ids.length <= context);
  if (pairs.length < mined.length)
    run.emit({
      kind: 'note',
      text: `${stage.name}: ${mined.length - pairs.length} of ${mined.length} pairs left out, their teacher side exceeds the model's context of ${context} tokens (lower distill.expertTokens)`,
    });
  if (pairs.length === 0) {
    const reason = mined.length === 0 ? 'the pool gave no pair' : 'no pair fits the context';
    return ended({ steps: 0, stoppedBy: 'no-pairs', reason, keptStep: 0 });
  }

  const perEpoch = Math.ceil(pairs.length / distill.pairsPerStep);
  const steps = Math.min(distill.epochs * perEpoch, distill.maxSteps || Number.POSITIVE_INFINITY);

  // Teacher: the checkpoint as GRPO left it, adapter off. Student: the same with the adapter on; B = 0, so they start equal.
  await run.journal.restoreKept(stage.from, policy);
  await policy.freeze();
  if (start.step > 0) await run.journal.restoreLatest(policy);
  else {
    await policy.resetOptimizer();
    if (distill.adapter)
      await policy.attachAdapter({ ...distill.adapter, key: streamKey(seed, stage.name, 'adapter') });
  }

  for (let step = start.step + 1; step <= steps; step++) {
    run.throwIfCancelled();
    const epoch = Math.floor((step - 1) / perEpoch);
    const order = new Random(streamKey(seed, stage.name, 'epoch', epoch)).shuffle(pairs);
    const position = ((step - 1) % perEpoch) * distill.pairsPerStep;
    const batch = order.slice(position, position + distill.pairsPerStep);

    const sequences = batch.flatMap((p) => [
      { length: p.teacherPrompt.length + p.student.ids.length },
      { length: p.studentPrompt.length + p.student.ids.length },
    ]);
    let result: LossResult;
    let update: StepResult;
    try {
      [result, update] = await run.training(sequences, async () => {
        const loss = await policy.accumulate(forwardKlBatch(batch, distill));
        return [loss, await policy.step(optimizerStep(distill, step, steps))] as const;
      });
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      run.emit({
        kind: 'note',
        text: `${stage.name} stopped at step ${step}: ${error.message}; ${stage.from} is kept`,
      });
      await run.journal.restoreKept(stage.from, policy);
      return ended({ steps: step - 1, stoppedBy: 'guard', reason: error.message, keptStep: 0 });
    }

    const record: MetricRecord = {
      stage: stage.name,
      step,
      steps,
      loss: result.loss,
      kl: result.metrics.unclippedKl ?? null,
      clipFraction: result.metrics.clipFraction ?? null,
      entropy: result.metrics.entropy ?? null,
      teacherEntropy: result.metrics.teacherEntropy ?? null,
      gradientNorm: update.gradientNorm,
      skipped: update.skipped ? 1 : 0,
    };
    await run.journal.metric(record);
    if (epoch === 0)
      await run.journal.writePairs(`${stage.name}-${String(step).padStart(4, '0')}`, pairRecords(batch, result));
    run.emit({ kind: 'step', stage: stage.name, step, steps, metrics: record });
    if (step % run.settings.checkpointEvery === 0) await run.checkpoint({ ...start, step });
  }
  if (distill.adapter) await policy.mergeAdapter();
  return ended({ steps, stoppedBy: 'steps', keptStep: steps });
}

function pairRecords(batch: readonly PromptedPair[], result: LossResult): PairRecord[] {
  return batch.map(({ expert, student, teacherPrompt, studentPrompt }, i) => ({
    questionId: student.questionId,
    expert: { rollout: expert.rollout },
    student: { rollout: student.rollout, correct: student.reward === 1 },
    teacherPrompt,
    studentPrompt,
    ids: student.ids,
    mask: student.mask,
    kl: [...(result.perToken?.[i] ?? [])],
  }));
}
