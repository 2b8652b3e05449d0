/**
 * How a distillation round teaches: by the engine's own divergence, or by what algorithms/soft-targets.ts makes of the teacher's
 * likeliest tokens. Those tables are computed for all pairs before the first step, while the frozen weights are the present
 * ones, which every engine can ask.
 */
import { divergenceBatch, type PromptedPair } from '../algorithms/distill.ts';
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
import { type CallOptions, type Divergence, DRY_STEP, type LossBatch, type LossResult } from '../policy/policy.ts';
import type { Run } from './run.ts';
import type { Figures } from './training-round.ts';

export interface Teaching {
  /** Asks the teacher, where it is not asked at every step: at the round's start, see `Round.atStart`. */
  readonly atStart: () => Promise<void>;
  /** What the engine reads for a step on these pairs. */
  readonly reads: (pairs: readonly PromptedPair[]) => { readonly length: number }[];
  readonly step: (pairs: readonly PromptedPair[], watch: CallOptions) => Promise<TaughtStep>;
}

/** The loss of a step, and what to record of it once it is known. */
export interface TaughtStep {
  readonly batch: LossBatch;
  /** Divergence of each token of each pair; undefined where it is not known. */
  divergences(result: LossResult): readonly Float32Array[] | undefined;
  metrics(result: LossResult): Figures['metrics'];
}

/** @param pairs all of the round */
export function teachingOf(run: Run, stage: string, objective: Divergence, pairs: readonly PromptedPair[]): Teaching {
  const { policy } = run.setup;
  const { distill } = run.settings;
  const lesson = lessonFor(distill, policy.capabilities, policy.info.vocabulary);
  switch (lesson.kind) {
    case 'distribution':
      return {
        atStart: async () => {},
        reads: (batch) => {
          const once = batch.flatMap((pair) => [teacherSide(pair), studentSide(pair)]);
          return clipsPositions(run) ? [...once, ...once] : once;
        },
        step: async (batch, watch) =>
          clipsPositions(run)
            ? clippedByPosition(run, objective, batch, watch)
            : {
                batch: divergenceBatch(objective, batch, distill),
                divergences: ({ perToken }) => perToken,
                metrics: lossFigures,
              },
      };
    case 'sampled':
      return sampledTokens(run, pairs);
    default:
      return softTargets(run, stage, pairs, lesson);
  }
}

function clipsPositions({ settings: { distill } }: Run): boolean {
  return distill.clip !== null && distill.clipForm === 'position';
}

/**
 * L = Σ_n m_n min(Σ_v l(n,v), τ) / Σ_n m_n: positions above τ count τ and have no gradient. Which they are is asked of the engine
 * first, by a step that moves nothing.
 */
async function clippedByPosition(
  run: Run,
  objective: Divergence,
  pairs: readonly PromptedPair[],
  watch: CallOptions,
): Promise<TaughtStep> {
  const { policy } = run.setup;
  const { settings } = run;
  const whole = divergenceBatch(objective, pairs, { ...settings.distill, clip: null });
  const { losses } = await policy.train([whole], DRY_STEP, watch);
  const perToken = losses[0]!.perToken!;
  const clip = settings.distill.clip!;
  let cut = 0;
  const kept = whole.pairs.map((pair, i) => ({
    ...pair,
    mask: pair.mask.map((own, n) => {
      if (own === 1 && perToken[i]![n]! > clip) {
        cut += 1;
        return 0;
      }
      return own;
    }),
  }));
  return {
    batch: { ...whole, pairs: kept },
    divergences: () => perToken,
    metrics: (result) => ({
      ...lossFigures(result),
      loss: result.loss + (cut * clip) / whole.denominator,
      kl: losses[0]!.metrics.divergence ?? null,
      clipFraction: cut / whole.denominator,
    }),
  };
}

/** The figures of a loss, with null for what was not measured. */
export function lossFigures({ loss, metrics }: LossResult): Record<string, number | null> {
  return {
    loss,
    kl: metrics.divergence ?? null,
    clipFraction: metrics.clipFraction ?? null,
    entropy: metrics.entropy ?? null,
    teacherEntropy: metrics.teacherEntropy ?? null,
  };
}

function softTargets(
  run: Run,
  stage: string,
  pairs: readonly PromptedPair[],
  lesson: Exclude<Lesson, { kind: 'distribution' | 'sampled' }>,
): Teaching {
  const { policy } = run.setup;
  const { distill, seed } = run.settings;
  const { vocabulary } = policy.info;
  const seesStudent = needsStudent(lesson, distill);
  const tables = new Map<PromptedPair, TeacherTable>();
  return {
    async atStart() {
      const rows = pairs.map((pair) => ({ ids: teacherSide(pair), start: pair.teacherPrompt.length }));
      const found = await run.training(
        rows.map(({ ids }) => ids),
        (watch) => policy.topLogprobs(rows, lesson.k, 'frozen', watch),
      );
      for (const [i, pair] of pairs.entries())
        tables.set(pair, teacherTable(found[i]!, lesson.k, distill.teacherTemperature));
    },
    // Where the student is seen, once for its distributions and once for the loss.
    reads: (batch) =>
      batch.flatMap((pair) => (seesStudent ? [studentSide(pair), studentSide(pair)] : [studentSide(pair)])),
    async step(batch, watch) {
      const students = seesStudent ? await wholeStudents(run, batch, watch) : undefined;
      const taught = softLesson(
        batch.map((pair, i) => ({
          pair,
          teacher: tables.get(pair)!,
          student: students?.[i],
          key: streamKey(seed, stage, 'draws', pair.student.questionId, pair.student.rollout),
        })),
        lesson,
        { clip: distill.clip, vocabulary },
      );
      const { negativeEntropies, teacherMass, clipFraction, divergences } = taught;
      const total = (streams: readonly Float32Array[]) =>
        streams.reduce((all, stream) => stream.reduce((sum, x) => sum + x, all), 0) / taught.batch.denominator;
      // Of the teacher's K likeliest tokens alone: less than the KL.
      const truncatedKl = (loss: number) => {
        if (divergences) return total(divergences);
        return lesson.kind === 'top-k' ? loss + total(negativeEntropies) : null;
      };
      return {
        batch: taught.batch,
        divergences: ({ perToken }) =>
          divergences ??
          (lesson.kind === 'top-k'
            ? perToken?.map((losses, i) => losses.map((loss, row) => loss + negativeEntropies[i]![row]!))
            : undefined),
        metrics: (result) => ({
          ...lossFigures(result),
          lesson: nameOf(lesson),
          truncatedKl: truncatedKl(result.loss),
          teacherMass,
          clipFraction,
        }),
      };
    },
  };
}

function sampledTokens(run: Run, pairs: readonly PromptedPair[]): Teaching {
  const { policy } = run.setup;
  const teachers = new Map<PromptedPair, Float32Array>();
  return {
    async atStart() {
      const sequences = pairs.map(teacherSide);
      const found = await run.training(sequences, (watch) => policy.logprobs(sequences, 'frozen', watch));
      for (const [i, pair] of pairs.entries()) teachers.set(pair, found[i]!);
    },
    reads: (batch) => batch.flatMap((pair) => [studentSide(pair), studentSide(pair)]),
    async step(batch, watch) {
      const students = await policy.logprobs(batch.map(studentSide), 'present', watch);
      return {
        batch: sampledTokenBatch(
          batch.map((pair, i) => ({ pair, teacher: teachers.get(pair)!, student: students[i]! })),
        ),
        divergences: () => undefined,
        metrics: (result) => ({ ...lossFigures(result), lesson: 'sampled' }),
      };
    },
  };
}

const teacherSide = ({ teacherPrompt, student }: PromptedPair) => [...teacherPrompt, ...student.ids];
const studentSide = ({ studentPrompt, student }: PromptedPair) => [...studentPrompt, ...student.ids];

/** log q of every token, by rows of the response, in the order of the ids. */
async function wholeStudents(run: Run, pairs: readonly PromptedPair[], watch: CallOptions): Promise<Float32Array[]> {
  const { policy } = run.setup;
  const { vocabulary } = policy.info;
  const rows = pairs.map((pair) => ({ ids: studentSide(pair), start: pair.studentPrompt.length }));
  const tables = await policy.topLogprobs(rows, vocabulary, 'present', watch);
  return tables.map(({ tokens, logprobs }) => {
    const dense = new Float32Array(logprobs.length);
    for (const [i, logprob] of logprobs.entries()) dense[i - (i % vocabulary) + tokens[i]!] = logprob;
    return dense;
  });
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
