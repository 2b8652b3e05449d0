/**
 * One distillation round: the pool's pairs, teacher and student prompts over the student's tokens, forward KL (or a control in
 * its place) into a fresh LoRA adapter (or all weights), merged at the end. Method §1.3-6.
 */
import { shownToTeacher } from '../algorithms/controls.ts';
import type { PromptedPair } from '../algorithms/distill.ts';
import { streamKey } from '../base/random.ts';
import { studentPrompt, teacherPrompt } from '../protocol/prompts.ts';
import { policyClasses, type TokenClass, tokenClasses } from '../protocol/token-classes.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import type { EvolveState, MetricRecord, PairRecord } from './journal.ts';
import { readPairs } from './pool.ts';
import type { StageOutcome } from './results.ts';
import { expertIds, optimizerStep, type Run } from './run.ts';
import { prepareTeaching } from './teaching.ts';
import { batchOfStep, trainStep } from './train-step.ts';

type DistillStage = { readonly name: string; readonly cycle: number; readonly from: string };

export async function distillRound(run: Run, stage: DistillStage, start: EvolveState): Promise<EvolveState> {
  const { policy } = run.setup;
  const { distill, gate, seed } = run.settings;
  const ended = (outcome: Omit<StageOutcome, 'stage'>): EvolveState => ({
    ...start,
    results: { ...start.results, outcomes: [...start.results.outcomes, { stage: stage.name, ...outcome }] },
  });

  const measured = start.results.gates.find((g) => g.stage === `gate-${stage.cycle}`);
  if (measured && !measured.open && gate.whenClosed === 'skip')
    return ended({ steps: 0, stoppedBy: 'gate', reason: 'the privileged prompt showed no gap to distil', keptStep: 0 });

  const mined = await promptedPairs(run, stage);
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
  const teaching = await prepareTeaching(run, stage.name, pairs);
  if (start.step > 0) await run.journal.restoreLatest(policy);
  else if (distill.adapter)
    await policy.attachAdapter({ ...distill.adapter, key: streamKey(seed, stage.name, 'adapter') });

  const isDistilled = distill.objective !== 'cross-entropy';
  for (let step = start.step + 1; step <= steps; step++) {
    run.throwIfCancelled();
    const batch = batchOfStep(pairs, step, distill.pairsPerStep, (epoch) =>
      streamKey(seed, stage.name, 'epoch', epoch),
    );
    const taught = await teaching.step(batch);
    const trained = await trainStep(run, stage, step, taught, optimizerStep(distill, step, steps));
    if ('stopped' in trained)
      return ended({ steps: step - 1, stoppedBy: 'guard', reason: trained.stopped, keptStep: 0 });
    const { result, update } = trained;

    const record: MetricRecord = {
      stage: stage.name,
      step,
      steps,
      loss: result.loss,
      ...taught.metrics(result),
      gradientNorm: update.gradientNorm,
      skipped: update.skipped ? 1 : 0,
      ...(isDistilled ? klByClass(run, batch, taught.divergences(result)) : {}),
    };
    await run.journal.metric(record);
    if (step <= perEpoch && isDistilled) {
      const shard = `${stage.name}-${String(step).padStart(4, '0')}`;
      await run.journal.writePairs(shard, pairRecords(batch, taught.divergences(result)));
    }
    run.emit({ kind: 'step', stage: stage.name, step, steps, metrics: record });
    if (step % run.settings.checkpointEvery === 0) await run.checkpoint({ ...start, step });
  }
  if (distill.adapter) await policy.mergeAdapter();
  return ended({ steps, stoppedBy: 'steps', keptStep: steps });
}

/** The pool's pairs with both prompts; those without anything to show to the teacher are left out. */
async function promptedPairs(run: Run, stage: DistillStage): Promise<PromptedPair[]> {
  const { tokenizer, template } = run.setup;
  const { distill, seed } = run.settings;
  const pairs = await readPairs(run, stage.cycle);
  const shown = shownToTeacher(pairs, distill.teacherSees, (id) => streamKey(seed, stage.name, 'teacher-sees', id));
  return pairs.flatMap(({ question: { question }, expert, student }, i): PromptedPair[] => {
    const seen = shown[i];
    if (seen === undefined) return [];
    const ordinary = studentPrompt(tokenizer, template, question);
    // Supervised training reads the expert where the method reads the student.
    const learned = distill.objective === 'cross-entropy' ? expert : student;
    return [
      {
        shown: seen,
        student: learned,
        mask: distill.tokens === 'all' ? learned.mask : queryMask(run, learned),
        studentPrompt: ordinary,
        teacherPrompt: seen === null ? ordinary : teacherPrompt(tokenizer, template, question, expertIds(run, seen)),
      },
    ];
  });
}

/** 1 on tokens inside search tags that the policy wrote. */
function queryMask(run: Run, trajectory: Trajectory): (0 | 1)[] {
  return tokenClasses(run.setup.tokenizer, trajectory).map((each) => (each === 'search' ? 1 : 0));
}

/**
 * Mean KL (or what is taken in its place) of the masked tokens of each class, in nats; null where the batch has none of a class,
 * or the engine did not report it token by token.
 */
function klByClass(
  run: Run,
  batch: readonly PromptedPair[],
  perToken: readonly Float32Array[] | undefined,
): Record<string, number | null> {
  const sums = new Map(policyClasses.map((name) => [name as TokenClass, { sum: 0, count: 0 }]));
  for (const [i, { student, mask }] of batch.entries())
    for (const [n, name] of tokenClasses(run.setup.tokenizer, student).entries()) {
      const total = sums.get(name);
      if (total === undefined || mask[n] !== 1 || perToken === undefined) continue;
      total.sum += perToken[i]![n]!;
      total.count += 1;
    }
  return Object.fromEntries(
    [...sums].map(([name, { sum, count }]) => [`kl.${name}`, count === 0 ? null : sum / count]),
  );
}

function pairRecords(batch: readonly PromptedPair[], perToken: readonly Float32Array[] | undefined): PairRecord[] {
  return batch.map(({ shown, student, mask, teacherPrompt, studentPrompt }, i) => ({
    questionId: student.questionId,
    expert: shown && { questionId: shown.questionId, rollout: shown.rollout },
    student: { rollout: student.rollout, correct: student.reward === 1 },
    teacherPrompt,
    studentPrompt,
    ids: student.ids,
    mask,
    kl: perToken ? [...perToken[i]!] : null,
  }));
}
