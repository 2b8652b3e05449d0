/**
 * How a distillation round teaches: by the engine's own divergence, or by what algorithms/soft-targets.ts makes of the teacher's
 * likeliest tokens. Those tables are computed for all pairs before the first step, while the frozen weights are the present
 * ones, which every engine can ask.
 */
import { divergenceBatch, type PromptedPair } from '../algorithms/distill.ts';
import { crossEntropyBatch } from '../algorithms/sft.ts';
import {
  type Lesson,
  lessonFor,
  needsStudent,
  sampledTokenBatch,
  softLesson,
  type TeacherTable,
  teacherTable,
} from '../algorithms/soft-targets.ts';
import { streamKey } from '../base/random.ts';
import type { LossBatch, LossResult } from '../policy/policy.ts';
import type { MetricRecord } from './journal.ts';
import type { Run } from './run.ts';

/** The loss of a step, and what to record of it once it is known. */
export interface TaughtStep {
  readonly batch: LossBatch;
  /** Tokens that the engine reads for it, sequence by sequence. */
  readonly reads: readonly { readonly length: number }[];
  /** Divergence of each token of each pair; undefined where it is not known. */
  divergences(result: LossResult): readonly Float32Array[] | undefined;
  metrics(result: LossResult): Omit<MetricRecord, 'stage' | 'step'>;
}

export interface Teaching {
  lesson: Lesson;
  step(pairs: readonly PromptedPair[]): Promise<TaughtStep>;
}

/** Call it between `freeze` and the first step, or the loading of a later checkpoint. */
export async function prepareTeaching(run: Run, stage: string, pairs: readonly PromptedPair[]): Promise<Teaching> {
  const { policy } = run.setup;
  const { distill } = run.settings;
  const lesson = lessonFor(distill, policy.capabilities, policy.info.vocabulary);
  switch (lesson.kind) {
    case 'distribution':
      return { lesson, step: async (batch) => wholeDistributions(batch, distill) };
    case 'sampled': {
      const teachers = await prepare(run, pairs, (watch) =>
        policy.logprobs(
          pairs.map(({ teacherPrompt, student }) => [...teacherPrompt, ...student.ids]),
          'frozen',
          watch,
        ),
      );
      return { lesson, step: (batch) => sampledTokens(run, batch, teachers) };
    }
    default: {
      const rows = pairs.map(({ teacherPrompt, student }) => ({
        ids: [...teacherPrompt, ...student.ids],
        start: teacherPrompt.length,
      }));
      const tables = await prepare(run, pairs, async (watch) => {
        const found = await policy.topLogprobs(rows, lesson.k, 'frozen', watch);
        return found.map((table) => teacherTable(table, lesson.k, distill.teacherTemperature));
      });
      return { lesson, step: (batch) => softTargets(run, stage, batch, tables, lesson) };
    }
  }
}

/** By pair, what the teacher says of it. */
async function prepare<T>(
  run: Run,
  pairs: readonly PromptedPair[],
  work: (watch: Parameters<Parameters<Run['training']>[1]>[0]) => Promise<readonly T[]>,
): Promise<ReadonlyMap<PromptedPair, T>> {
  const reads = pairs.map(({ teacherPrompt, student }) => ({ length: teacherPrompt.length + student.ids.length }));
  const found = await run.training(reads, work);
  return new Map(pairs.map((pair, i) => [pair, found[i]!]));
}

function wholeDistributions(pairs: readonly PromptedPair[], distill: Run['settings']['distill']): TaughtStep {
  const { objective } = distill;
  if (objective === 'cross-entropy') {
    const batch = crossEntropyBatch(
      pairs.map(({ studentPrompt: prompt, student, mask }) => ({ prompt, ids: student.ids, mask })),
    );
    const reads = batch.sequences.map(({ ids }) => ids);
    return { batch, reads, divergences: () => undefined, metrics: ({ metrics }) => measured(metrics) };
  }
  return {
    batch: divergenceBatch(objective, pairs, distill),
    reads: pairs.flatMap(({ teacherPrompt, studentPrompt, student }) => [
      { length: teacherPrompt.length + student.ids.length },
      { length: studentPrompt.length + student.ids.length },
    ]),
    divergences: ({ perToken }) => perToken,
    metrics: ({ metrics }) => measured(metrics),
  };
}

async function softTargets(
  run: Run,
  stage: string,
  pairs: readonly PromptedPair[],
  tables: ReadonlyMap<PromptedPair, TeacherTable>,
  lesson: Exclude<Lesson, { kind: 'distribution' | 'sampled' }>,
): Promise<TaughtStep> {
  const { policy } = run.setup;
  const { distill, seed } = run.settings;
  const { vocabulary } = policy.info;
  const students = needsStudent(lesson, distill) ? await wholeStudents(run, pairs) : undefined;
  const taught = softLesson(
    pairs.map((pair, i) => ({
      pair,
      teacher: tables.get(pair)!,
      student: students?.[i],
      key: streamKey(seed, stage, 'draws', pair.student.questionId, pair.student.rollout),
    })),
    lesson,
    { clip: distill.clip, vocabulary },
  );
  const { batch, negativeEntropies, teacherMass, clipFraction } = taught;
  const total = (streams: readonly Float32Array[]) =>
    streams.reduce((all, stream) => stream.reduce((sum, x) => sum + x, all), 0) / batch.denominator;
  return {
    batch,
    reads: batch.sequences.map(({ ids }) => ids),
    divergences: ({ perToken }) =>
      taught.divergences ??
      (lesson.kind === 'top-k'
        ? perToken?.map((losses, i) => losses.map((loss, row) => loss + negativeEntropies[i]![row]!))
        : undefined),
    metrics: (result) => ({
      ...measured(result.metrics),
      lesson: nameOf(lesson),
      // Of the teacher's K likeliest tokens alone: less than the KL.
      truncatedKl: taught.divergences
        ? total(taught.divergences)
        : lesson.kind === 'top-k'
          ? result.loss + total(negativeEntropies)
          : null,
      teacherMass,
      clipFraction,
    }),
  };
}

async function sampledTokens(
  run: Run,
  pairs: readonly PromptedPair[],
  teachers: ReadonlyMap<PromptedPair, Float32Array>,
): Promise<TaughtStep> {
  const sequences = pairs.map(({ studentPrompt, student }) => [...studentPrompt, ...student.ids]);
  const students = await run.training(sequences, (watch) => run.setup.policy.logprobs(sequences, 'present', watch));
  return {
    batch: sampledTokenBatch(pairs.map((pair, i) => ({ pair, teacher: teachers.get(pair)!, student: students[i]! }))),
    reads: sequences,
    divergences: () => undefined,
    metrics: (result) => ({ ...measured(result.metrics), lesson: 'sampled' }),
  };
}

/** log q of every token, by rows of the response, in the order of the ids. */
async function wholeStudents(run: Run, pairs: readonly PromptedPair[]): Promise<Float32Array[]> {
  const { policy } = run.setup;
  const { vocabulary } = policy.info;
  const rows = pairs.map(({ studentPrompt, student }) => ({
    ids: [...studentPrompt, ...student.ids],
    start: studentPrompt.length,
  }));
  const tables = await run.training(
    rows.map(({ ids }) => ids),
    (watch) => policy.topLogprobs(rows, vocabulary, 'present', watch),
  );
  return tables.map(({ tokens, logprobs }) => {
    const dense = new Float32Array(logprobs.length);
    for (const [i, logprob] of logprobs.entries()) dense[i - (i % vocabulary) + tokens[i]!] = logprob;
    return dense;
  });
}

/** What an engine measured, with null for what it did not. */
function measured(metrics: LossResult['metrics']) {
  return {
    kl: metrics.divergence ?? null,
    clipFraction: metrics.clipFraction ?? null,
    entropy: metrics.entropy ?? null,
    teacherEntropy: metrics.teacherEntropy ?? null,
  };
}

function nameOf(lesson: Lesson): string {
  switch (lesson.kind) {
    case 'top-k':
    case 'tail':
      return `${lesson.kind} ${lesson.k}`;
    case 'draws':
      return `${lesson.draws} draws of ${lesson.k}`;
    default:
      return lesson.kind;
  }
}
