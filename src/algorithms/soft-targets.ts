/**
 * The forward KL for engines that have no divergence: the teacher's likeliest tokens T, its probabilities p, as targets of a
 * cross-entropy. With P = Σ_T p and Q = Σ_T q, q the student's,
 *
 *   all        w = p on the whole vocabulary                  gradient by the logits  q − p, the method's own
 *   top-k      w_v = p_v on T, as they are                    P q − 1_T p; off by at most 2 (1 − P)
 *   tail       w_v = p_v − (1−P)/(1−Q) q_v                    that of the KL of K + 1 categories, the last of which is the rest:
 *                                                             −Σ_T p log q − (1−P) log (1−Q)
 *   draws      w = 1/M on M draws of p                        that of top-k in expectation, with noise
 *   sampled    the student's own token y with the advantage   q − p in expectation, with much noise; the clip removes what
 *              clip(p(y)/q(y), 0, c) − 1                      teaches most
 *
 * The top K are never renormalised to 1: that is off by exactly 2 (1 − P), and may be worse than no step.
 */
import { UserError } from '../base/errors.ts';
import { type StreamKey, uniformAt } from '../base/random.ts';
import type {
  Capabilities,
  Divergence,
  PolicyGradientBatch,
  SoftCrossEntropyBatch,
  TopLogprobs,
} from '../policy/policy.ts';
import type { PromptedPair } from './distill.ts';

/** How the student is taught: by the engine's divergence, or by one of the above. */
export type Lesson =
  | { readonly kind: 'distribution' }
  | { readonly kind: 'top-k' | 'tail'; readonly k: number }
  | { readonly kind: 'draws'; readonly k: number; readonly draws: number }
  | { readonly kind: 'sampled' };

export const LESSONS = ['auto', 'distribution', 'top-k', 'tail', 'draws', 'sampled'] as const;

export interface LessonSettings {
  readonly objective: Divergence | 'cross-entropy';
  readonly targets: (typeof LESSONS)[number];
  /** K, and M. */
  readonly topK: number;
  readonly draws: number;
  /** τ; null is none. */
  readonly clip: number | null;
  readonly teacherTemperature: number;
}

/** c of `sampled`. */
const MOST_RATIO = 10;
/** A clip from here on is met only where the student gives a token less than 4.5e-5 that the teacher is near certain of. */
const HARMLESS_CLIP = 10;

/**
 * What the engine can teach by, in the order of what is lost: nothing, the tail's shape, the tail, much.
 * @throws UserError that names setting and way out where the engine cannot do what is set
 */
export function lessonFor(
  settings: LessonSettings,
  { divergences, pointwiseClip, softTargets, topLogprobs }: Capabilities,
  vocabulary: number,
): Lesson {
  const { objective, targets, clip, teacherTemperature: temperature } = settings;
  if (objective === 'cross-entropy') return { kind: 'distribution' };
  const refuse = (what: string, hint: string) => {
    throw new UserError(`${what}, which this engine cannot do`, { hint });
  };
  const has = divergences.includes(objective);
  if (targets === 'distribution' || (targets === 'auto' && has)) {
    if (!has)
      refuse(`distill.targets=distribution computes ${objective} inside of the engine`, 'Set distill.targets=auto.');
    if (clip !== null && !pointwiseClip) refuse(`distill.clip=${clip} cuts single entries`, 'Set distill.clip=null.');
    return { kind: 'distribution' };
  }
  if (objective !== 'forward-kl')
    refuse(`distill.objective=${objective} needs whole distributions`, 'Set distill.objective=forward-kl.');
  const k = Math.min(settings.topK, vocabulary, topLogprobs);
  // Where all of the student's distribution is to be had, so is q on T, and with it the tail and an exact clip.
  const seesStudent = topLogprobs >= vocabulary;
  const signed = softTargets === 'signed' && seesStudent;
  const tables = softTargets === 'signed' || softTargets === 'non-negative';
  const auto =
    k === 0 || softTargets === 'none' ? 'sampled' : !tables ? 'draws' : signed && k < vocabulary ? 'tail' : 'top-k';
  const kind = targets === 'auto' ? auto : targets;
  const needs: Readonly<Record<typeof kind, boolean>> = {
    'top-k': tables && k > 0,
    tail: signed,
    draws: softTargets !== 'none' && k > 0,
    sampled: true,
  };
  if (!needs[kind]) refuse(`distill.targets=${kind} is set`, `Set distill.targets=auto, which is ${auto} here.`);
  if (clip !== null && clip < HARMLESS_CLIP && !(seesStudent && kind !== 'sampled' && kind !== 'draws'))
    refuse(
      `distill.clip=${clip} needs the student's probabilities at the teacher's tokens`,
      `Set distill.clip=null, or ${HARMLESS_CLIP}, which is hardly ever met.`,
    );
  if (temperature > 1 && k < vocabulary)
    refuse(
      `distill.teacherTemperature=${temperature} flattens a distribution of which only ${k} tokens are known`,
      'Set it to 1 or less.',
    );
  if (temperature !== 1 && kind === 'sampled')
    refuse(`distill.teacherTemperature=${temperature} needs more than the probability of one token`, 'Set it to 1.');
  if (kind === 'sampled') return { kind };
  return kind === 'draws' ? { kind, k, draws: settings.draws } : { kind, k };
}

/** Whether each step needs the student's whole distributions. */
export function needsStudent(lesson: Lesson, { clip }: LessonSettings): boolean {
  return lesson.kind === 'tail' || (lesson.kind === 'top-k' && clip !== null && clip < HARMLESS_CLIP);
}

/** A teacher's table with its temperature applied: probabilities of T by rows, and of each row P. */
export interface TeacherTable {
  readonly k: number;
  /** [N, k]. */
  readonly tokens: Int32Array;
  readonly p: Float32Array;
  /** [N]: what the teacher itself, at temperature 1, gives to T. */
  readonly mass: Float32Array;
}

/** p^(1/θ), at θ < 1 normalised over T, whose mass below is then as good as all. */
export function teacherTable({ tokens, logprobs }: TopLogprobs, k: number, temperature: number): TeacherTable {
  const p = logprobs.map((logprob) => Math.exp(logprob / temperature));
  const mass = Float32Array.from({ length: p.length / k }, (_, row) =>
    sum(logprobs.subarray(row * k, (row + 1) * k).map(Math.exp)),
  );
  if (temperature !== 1)
    for (let row = 0; row < p.length; row += k) {
      const all = sum(p.subarray(row, row + k));
      for (let i = row; i < row + k; i++) p[i] = p[i]! / all;
    }
  return { k, tokens, p, mass };
}

export interface SoftLesson {
  readonly batch: SoftCrossEntropyBatch;
  /** What the teacher, at temperature 1, gives to T: the mean over masked rows. */
  readonly teacherMass: number;
  /** Share of masked rows with an entry cut at τ. */
  readonly clipFraction: number;
  /** Of each row of each pair Σ_T p log p: added to the row's loss −Σ_T p log q it gives the KL on T alone. 0 where masked. */
  readonly negativeEntropies: readonly Float32Array[];
  /** Of each row the divergence that is taught, where q is known: the KL on T, in `tail` with the rest as one more category. */
  readonly divergences: readonly Float32Array[] | undefined;
}

/** A pair with what is known of its rows (the student's tokens). */
export interface TaughtPair {
  readonly pair: PromptedPair;
  readonly teacher: TeacherTable;
  /** log q of every token of the vocabulary, by rows, where `needsStudent` says so. */
  readonly student?: Float32Array | undefined;
  /** Of its draws. */
  readonly key: StreamKey;
}

/** The batch of a step, the mean taken over all masked tokens. */
export function softLesson(
  pairs: readonly TaughtPair[],
  lesson: Exclude<Lesson, { kind: 'distribution' | 'sampled' }>,
  { clip, vocabulary }: { readonly clip: number | null; readonly vocabulary: number },
): SoftLesson {
  const totals = { rows: 0, mass: 0, clipped: 0 };
  const taught = pairs.map(({ pair: { studentPrompt, student: trajectory, mask }, teacher, student, key }) => {
    const { k, tokens, p, mass } = teacher;
    const rows = trajectory.ids.length;
    const weights = new Float32Array(rows * k);
    const negativeEntropy = new Float32Array(rows);
    const divergence = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      if (mask[row] !== 1) continue;
      const at = row * k;
      const own = p.subarray(at, at + k);
      const logq = student && own.map((_, v) => student[row * vocabulary + tokens[at + v]!]!);
      const P = sum(own);
      const taughtRow = weightsOfRow(own, P, logq, lesson.kind === 'tail', clip);
      weights.set(taughtRow.weights, at);
      negativeEntropy[row] = sum(own.map((mass) => (mass > 0 ? mass * Math.log(mass) : 0)));
      divergence[row] = taughtRow.divergence;
      totals.rows += 1;
      totals.mass += mass[row]!;
      totals.clipped += taughtRow.cut ? 1 : 0;
    }
    const targets = { k, tokens, weights };
    const sequence = {
      ids: [...studentPrompt, ...trajectory.ids],
      start: studentPrompt.length,
      mask: Uint8Array.from(mask),
      ...(lesson.kind === 'draws' ? drawn(targets, lesson.draws, key) : targets),
    };
    return { sequence, negativeEntropy, divergence };
  });
  const rows = Math.max(1, totals.rows);
  return {
    batch: { loss: 'soft-cross-entropy', sequences: taught.map(({ sequence }) => sequence), denominator: rows },
    teacherMass: totals.mass / rows,
    clipFraction: totals.clipped / rows,
    negativeEntropies: taught.map(({ negativeEntropy }) => negativeEntropy),
    divergences: pairs.every(({ student }) => student !== undefined)
      ? taught.map(({ divergence }) => divergence)
      : undefined,
  };
}

/** Weights of one row, and its divergence where log q is known (else 0). */
function weightsOfRow(
  p: Float32Array,
  P: number,
  logq: Float32Array | undefined,
  tail: boolean,
  clip: number | null,
): { readonly weights: Float32Array; readonly divergence: number; readonly cut: boolean } {
  if (logq === undefined) return { weights: p, divergence: 0, cut: false };
  const Q = logq.reduce((all, x) => all + Math.exp(x), 0);
  const [restP, restQ] = [Math.max(0, 1 - P), Math.max(1e-6, 1 - Q)];
  let cut = false;
  let divergence = tail && restP > 0 ? restP * Math.log(restP / restQ) : 0;
  const weights = p.map((mass, v) => {
    const l = mass > 0 ? mass * (Math.log(mass) - logq[v]!) : 0;
    divergence += l;
    // An entry above τ counts τ, without a gradient.
    const isCut = clip !== null && l > clip;
    cut ||= isCut;
    return (isCut ? 0 : mass) - (tail ? (restP / restQ) * Math.exp(logq[v]!) : 0);
  });
  return { weights, divergence, cut };
}

type Targets = { readonly k: number; readonly tokens: Int32Array; readonly weights: Float32Array };

/** M draws of each row's weights, each of weight 1/M; a draw from the mass that no token of T has is an unused slot. */
function drawn({ k, tokens, weights }: Targets, draws: number, key: StreamKey): Targets {
  const rows = tokens.length / k;
  const out = { k: draws, tokens: new Int32Array(rows * draws), weights: new Float32Array(rows * draws) };
  for (let row = 0; row < rows; row++)
    for (let n = 0; n < draws; n++) {
      let point = uniformAt(key, row * draws + n);
      for (let v = row * k; v < (row + 1) * k; v++) {
        point -= weights[v]!;
        if (point >= 0) continue;
        out.tokens[row * draws + n] = tokens[v]!;
        out.weights[row * draws + n] = 1 / draws;
        break;
      }
    }
  return out;
}

/**
 * The student's own tokens y, judged by the teacher: the advantage clip(p(y)/q(y), 0, c) − 1 at ratios to the policy b that
 * sampled them. Streams over prompt and response; log b stands in the trajectory.
 */
export function sampledTokenBatch(
  pairs: readonly { readonly pair: PromptedPair; readonly teacher: Float32Array; readonly student: Float32Array }[],
): PolicyGradientBatch {
  const sequences = pairs.map(
    ({ pair: { studentPrompt, teacherPrompt, student: trajectory, mask }, teacher, student }) => {
      const offset = studentPrompt.length;
      const length = offset + trajectory.ids.length;
      const sequence = {
        ids: [...studentPrompt, ...trajectory.ids],
        mask: new Uint8Array(length),
        advantages: new Float32Array(length),
        oldLogprobs: new Float32Array(length),
      };
      sequence.mask.set(mask, offset);
      sequence.oldLogprobs.set(trajectory.logprobs, offset);
      for (const [n, own] of mask.entries())
        if (own === 1) {
          const ratio = Math.exp(teacher[teacherPrompt.length + n]! - student[offset + n]!);
          sequence.advantages[offset + n] = Math.min(MOST_RATIO, ratio) - 1;
        }
      return sequence;
    },
  );
  const tokens = sequences.reduce((all, { mask }) => all + mask.reduce((own, m) => own + m, 0), 0);
  return {
    loss: 'policy-gradient',
    sequences,
    clipLow: 1,
    clipHigh: Number.POSITIVE_INFINITY,
    klCoefficient: 0,
    denominator: Math.max(1, tokens),
  };
}

function sum(values: Float32Array): number {
  return values.reduce((all, x) => all + x, 0);
}
