/**
 * One distillation round: the pool's pairs, teacher and student prompts over the student's tokens, forward KL (or a control in
 * its place) into a fresh LoRA adapter (or all weights), merged at the end. Method §1.3-6.
 */
import { shownToTeacher } from '../algorithms/controls.ts';
import type { PromptedPair } from '../algorithms/distill.ts';
import { firstWrongTurn } from '../algorithms/first-wrong-turn.ts';
import { crossEntropyBatch, type Response } from '../algorithms/sft.ts';
import type { Question } from '../base/question.ts';
import { type StreamKey, streamKey } from '../base/random.ts';
import { meanOf } from '../benchmarks/statistics.ts';
import type { CrossEntropyBatch, Divergence, LossBatch } from '../policy/policy.ts';
import { turnsOf } from '../protocol/authors.ts';
import { studentPrompt, teacherPrompt } from '../protocol/prompts.ts';
import { policyClasses, type TokenClass, tokenClasses } from '../protocol/token-classes.ts';
import { goldOfFile } from '../rollout/gold.ts';
import { segments } from '../rollout/segments.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';
import { demonstrated } from './demonstrated.ts';
import { itemsOfStep, type Passes, stepsOfPasses, stepsPerEpoch } from './epochs.ts';
import { gateName } from './gate.ts';
import type { EvolveState, PairRecord } from './journal.ts';
import { readPairs } from './pool.ts';
import { expertIds, type Run } from './run.ts';
import type { Settings } from './settings.ts';
import { bestName, pairShard } from './shards.ts';
import type { StageKind, TrainingStage } from './stage.ts';
import { lossFigures, type TaughtStep, teachingOf } from './teaching.ts';
import {
  type Figures,
  heldOutRollouts,
  type Round,
  type TrainingStep,
  thatFit,
  trainingRound,
  withOutcome,
} from './training-round.ts';

/** A pair is read once more by the teacher. */
const TRAINED_PAIR = 1.5;
/** Share of the pool's questions that give a pair, before it is known. */
const EXPECTED_YIELD = 0.65;

export interface DistillStage extends TrainingStage {
  readonly kind: 'distill';
}

export const distillKind: StageKind<DistillStage> = {
  names: { e1: 'E1' },
  decides: ({ distill, pool, gate, rollout, guards }) => ({
    distill,
    pool,
    'gate.whenClosed': gate.whenClosed,
    ...(distill.keep === 'best' && { rollout, 'guards.every': guards.every }),
  }),
  work(_, __, { pool, distill, guards }) {
    const steps = stepsOfPasses(pool.questions * EXPECTED_YIELD, passesOf(distill));
    const rollouts = distill.keep === 'best' ? heldOutRollouts(steps, guards) : 0;
    return { rollouts, trained: steps * distill.pairsPerStep * TRAINED_PAIR, steps };
  },
  load: ({ distill }) => ({
    title: 'distillation',
    adapterRank: distill.adapter?.rank ?? null,
    freezes: needsTeacher(distill),
    extraTokens: distill.expertTokens,
  }),
  kept: ({ name }, { distill }) => (distill.keep === 'best' ? [bestName(name), name] : [name]),
  stepsAreRollouts: false,
  run: distillRound,
};

type Stage = Pick<DistillStage, 'name' | 'cycle' | 'from'>;

export async function distillRound(run: Run, stage: Stage, start: EvolveState): Promise<EvolveState> {
  const { distill, gate, seed } = run.settings;
  const skipped = (stoppedBy: 'gate' | 'no-pairs', reason: string) =>
    withOutcome(start, stage, { steps: 0, stoppedBy, reason, keptStep: 0 });

  const measured = start.results.gates.find((g) => g.stage === gateName(stage.cycle));
  if (measured && !measured.open && gate.whenClosed === 'skip')
    return skipped('gate', 'shown an efficient trajectory, the policy did no better: there was nothing to distil');

  const { objective } = distill;
  const lessons =
    objective === 'cross-entropy' || distill.mix === 0
      ? await expertWords(run, stage)
      : await pairs(run, stage, objective);
  if (lessons.count === 0)
    return skipped(
      'no-pairs',
      lessons.mined === 0
        ? 'no question of the pool had a right, well-formed rollout and another one to learn from it'
        : 'no pair fits the context (rollout.contextTokens)',
    );

  return trainingRound(run, stage, start, {
    steps: stepsOfPasses(lessons.count, passesOf(distill)),
    optimizer: distill,
    // Teacher: the checkpoint as GRPO left it, adapter off. Student: the same with the adapter on; B = 0, so they start equal.
    freezes: needsTeacher(distill),
    adapter: distill.adapter && { ...distill.adapter, key: streamKey(seed, stage.name, 'adapter') },
    keep: distill.keep,
    atStart: lessons.atStart,
    prepare: lessons.prepare,
  });
}

type DistillSettings = Settings['distill'];

const needsTeacher = ({ objective, mix }: DistillSettings) => objective !== 'cross-entropy' && mix > 0;
const passesOf = ({ epochs, pairsPerStep: perStep, maxSteps }: DistillSettings): Passes => ({
  epochs,
  perStep,
  maxSteps,
});

/** What a round learns from: so many of the pool's pairs, those that the model can read. */
interface Lessons {
  readonly mined: number;
  readonly count: number;
  readonly atStart?: Round['atStart'];
  readonly prepare: Round['prepare'];
}

/** L = Σ_n m_n Σ_v min(l(n,v), τ) / Σ_n m_n over the student trajectories, each under both prompts (algorithms/distill.ts). */
async function pairs(run: Run, stage: Stage, objective: Divergence): Promise<Lessons> {
  const { distill } = run.settings;
  const mined = await promptedPairs(run, stage);
  // The teacher's prompt is longer than the one that the student trajectory was sampled under.
  const longest = ({ teacherPrompt, student }: PromptedPair) => teacherPrompt.length + student.ids.length;
  const fit = thatFit(run, stage.name, 'pairs', mined, longest, 'lower distill.expertTokens');
  const firstPass = stepsPerEpoch(fit.length, passesOf(distill));
  const teaching = teachingOf(run, stage.name, objective, fit);
  const prepare = (step: number): TrainingStep => {
    const batch = itemsOfStep(fit, step, passesOf(distill), orderOf(run, stage));
    // Pairs of one weight have one loss; by default that is all of them.
    const parts = [...Map.groupBy(batch, weightOf)].map(([weight, pairs]) => ({ weight, pairs }));
    const inOrder = parts.flatMap((part) => part.pairs);
    const words = distill.mix < 1 ? crossEntropyBatch(inOrder.map((pair) => pair.words)) : undefined;
    let taught: TaughtStep[];
    return {
      read: [...parts.flatMap((part) => teaching.reads(part.pairs)), ...(words?.sequences ?? []).map(({ ids }) => ids)],
      async batches(watch) {
        taught = [];
        for (const { pairs } of parts) taught.push(await teaching.step(pairs, watch));
        return mixed(taught, parts, words, distill.mix);
      },
      async record(results) {
        const ofParts = taught.map((one, i) => one.divergences(results[i]!));
        const divergences = ofParts.every((part) => part !== undefined) ? ofParts.flat() : undefined;
        if (step <= firstPass)
          await run.journal.writePairs(pairShard(stage.name, step), pairRecords(run, inOrder, divergences));
        const figures = combined(
          taught.map((one, i) => one.metrics(results[i]!)),
          taught.map(({ batch: { denominator } }) => denominator),
        );
        const rest = results[taught.length];
        return {
          metrics: { ...figures, ...(rest && { wordsLoss: rest.loss }), ...klByClass(run, inOrder, divergences) },
        };
      },
    };
  };
  return { mined: mined.length, count: fit.length, atStart: teaching.atStart, prepare };
}

/**
 * The losses of a step: λ Σ_q w_q L_q over the tokens of all pairs, and (1 − λ) of the expert's words over theirs. Each term keeps
 * its own denominator; at λ = 1 and equal weights it is the divergence as it is.
 */
function mixed(
  taught: readonly TaughtStep[],
  parts: readonly { readonly weight: number }[],
  words: CrossEntropyBatch | undefined,
  mix: number,
): LossBatch[] {
  const tokens = taught.reduce((sum, { batch }) => sum + batch.denominator, 0);
  const divergences = taught.map(({ batch }, i) => ({ ...batch, denominator: tokens / (mix * parts[i]!.weight) }));
  return [...divergences, ...(words === undefined ? [] : [{ ...words, denominator: words.denominator / (1 - mix) }])];
}

/** Figures of a step from those of its parts: means by their tokens; the loss is the sum of what was trained on. */
function combined(parts: readonly Figures['metrics'][], tokens: readonly number[]): Figures['metrics'] {
  if (parts.length === 1) return parts[0]!;
  const all = tokens.reduce((sum, count) => sum + count, 0);
  return Object.fromEntries(
    Object.entries(parts[0] ?? {}).map(([name, first]) => {
      const values = parts.map((part) => part[name]);
      if (values.some((value) => typeof value !== 'number')) return [name, first!];
      const sum = (values as number[]).reduce(
        (total, x, i) => total + (name === 'loss' ? x : (x * tokens[i]!) / all),
        0,
      );
      return [name, sum];
    }),
  );
}

/** √(p̂(1 − p̂)), of the question's share of right rollouts: SC-SDPO (arXiv 2605.27765). Nothing where all are right. */
export function spreadOf(group: readonly Trajectory[]): number {
  const p = meanOf(valid(group), (t) => t.correct) ?? 0;
  return Math.sqrt(p * (1 - p));
}

/** A pair with what this round needs beside its prompts. */
interface LessonPair extends PromptedPair {
  readonly weight: number;
  /** The expert's words under the ordinary prompt. */
  readonly words: Response;
}

const weightOf = ({ weight }: LessonPair) => weight;

/** L = −Σ_n m_n log π(y_n | x, y_<n) / Σ_n m_n over the expert trajectories under the ordinary prompt (algorithms/sft.ts). */
async function expertWords(run: Run, stage: Stage): Promise<Lessons> {
  const { tokenizer, template } = run.setup;
  const { distill } = run.settings;
  const mined = (await readPairs(run, stage.cycle)).map(({ question, expert }): Response => {
    const prompt = studentPrompt(tokenizer, template, question.question);
    return { prompt, ids: expert.ids, mask: lossMask(run, question, expert) };
  });
  const longest = ({ prompt, ids }: Response) => prompt.length + ids.length;
  const fit = thatFit(run, stage.name, 'expert trajectories', mined, longest);
  const prepare = (step: number): TrainingStep => {
    const batch = crossEntropyBatch(itemsOfStep(fit, step, passesOf(distill), orderOf(run, stage)));
    return {
      read: batch.sequences.map(({ ids }) => ids),
      batches: () => [batch],
      record: ([result]) => ({ metrics: lossFigures(result!) }),
    };
  };
  return { mined: mined.length, count: fit.length, prepare };
}

/** The stream that orders each pass over the pairs. */
function orderOf(run: Run, stage: Stage): (epoch: number) => StreamKey {
  return (epoch) => streamKey(run.settings.seed, stage.name, 'epoch', epoch);
}

/** The pool's pairs with both prompts; those without anything to show to the teacher are left out. */
async function promptedPairs(run: Run, stage: Stage): Promise<LessonPair[]> {
  const { tokenizer, template } = run.setup;
  const { distill, seed } = run.settings;
  const mined = await readPairs(run, stage.cycle);
  const shown = shownToTeacher(mined, distill.teacherSees, (id) => streamKey(seed, stage.name, 'teacher-sees', id));
  return mined.flatMap(({ question, student, expert, group }, i): LessonPair[] => {
    const seen = shown[i];
    const weight = distill.questionWeight === 'spread' ? spreadOf(group) : 1;
    if (seen === undefined || weight === 0) return [];
    const mask = lossMask(run, question, student);
    if (!mask.includes(1)) return [];
    const ordinary = studentPrompt(tokenizer, template, question.question);
    const view = seen === 'demonstration' ? demonstrated(run, question) : seen;
    return [
      {
        shown: seen,
        student,
        mask,
        studentPrompt: ordinary,
        teacherPrompt:
          view === null ? ordinary : teacherPrompt(tokenizer, template, question.question, expertIds(run, view)),
        weight,
        words: { prompt: ordinary, ids: expert.ids, mask: expert.mask },
      },
    ];
  });
}

/** m: 1 on the tokens that distill.tokens asks for, of those that the policy wrote. */
function lossMask(run: Run, question: Question, trajectory: Trajectory): readonly (0 | 1)[] {
  const { tokenizer, gold = goldOfFile } = run.setup;
  switch (run.settings.distill.tokens) {
    case 'all':
      return trajectory.mask;
    case 'queries':
      return tokenClasses(tokenizer, trajectory).map((each) => (each === 'search' ? 1 : 0));
    case 'from-first-wrong-turn': {
      const turns = turnsOf(trajectory.mask);
      const words = turns.map(({ start, end }) => tokenizer.decode(trajectory.ids.slice(start, end)));
      const wrong = firstWrongTurn(trajectory, words, gold(question)!);
      const from = wrong === undefined ? trajectory.ids.length : turns[wrong]!.start;
      return trajectory.mask.map((own, n) => (n >= from ? own : 0));
    }
  }
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

function pairRecords(
  { setup: { tokenizer } }: Run,
  batch: readonly PromptedPair[],
  perToken: readonly Float32Array[] | undefined,
): PairRecord[] {
  const sideOf = (one: Trajectory) => ({ searches: one.searches.length, policyTokens: policyTokenCount(one) });
  return batch.map(({ shown, student, mask, teacherPrompt, studentPrompt }, i) => {
    const { questionId, question, gold, rollout, correct, ids } = student;
    return {
      questionId,
      ...(question !== undefined && { question }),
      ...(gold !== undefined && { gold }),
      expert:
        shown === null || shown === 'demonstration'
          ? shown
          : { questionId: shown.questionId, rollout: shown.rollout, ...sideOf(shown) },
      student: { rollout, correct: correct === 1, ...sideOf(student) },
      text: {
        teacherPrompt: tokenizer.decode(teacherPrompt),
        studentPrompt: tokenizer.decode(studentPrompt),
        response: segments(student, tokenizer).map(({ text }) => text),
      },
      teacherPrompt,
      studentPrompt,
      ids,
      mask,
      kl: perToken ? [...perToken[i]!] : null,
    };
  });
}
