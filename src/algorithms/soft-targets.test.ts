import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import type { Capabilities } from '../policy/policy.ts';
import { policyGradientTerms } from '../policy/policy-gradient.ts';
import type { PromptedPair } from './distill.ts';
import {
  type Lesson,
  type LessonSettings,
  lessonFor,
  needsStudent,
  sampledTokenBatch,
  softLesson,
  teacherTable,
} from './soft-targets.ts';
import { makeTrajectory } from './trajectory.testing.ts';

const V = 40;
const random = new Random(streamKey('soft-targets.test'));
const logSoftmax = (z: readonly number[]) => {
  const log = Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0));
  return z.map((x) => x - log);
};
const logits = () => Array.from({ length: V }, () => 2.5 * random.normal());
const student = makeTrajectory({ ids: [4, 5], mask: [1, 1], logprobs: [-1, -2] });
const pair: PromptedPair = { shown: null, student, mask: [1, 0], studentPrompt: [1], teacherPrompt: [1, 9] };

/** A teacher p, a student of logits z, and the lesson of one row that is masked, and one that is not. */
function lessonOf(
  lesson: Exclude<Lesson, { kind: 'distribution' | 'sampled' }>,
  p: readonly number[],
  z: readonly number[],
  clip: number | null = null,
  key = streamKey('draws'),
) {
  const order = p
    .map((_, v) => v)
    .sort((a, b) => p[b]! - p[a]!)
    .slice(0, lesson.k);
  const rows = (of: (v: number) => number) => [...order, ...order].map(of);
  const teacher = teacherTable(
    { tokens: Int32Array.from(rows((v) => v)), logprobs: Float32Array.from(rows((v) => Math.log(p[v]!))) },
    lesson.k,
    1,
  );
  const q = logSoftmax(z);
  const found = softLesson([{ pair, teacher, student: Float32Array.from([...q, ...q]), key }], lesson, {
    clip,
    vocabulary: V,
  });
  const { tokens, weights, k } = found.batch.sequences[0]!;
  /** −Σ w ∇log q by the logits: Σ w q − w. */
  const gradient = q.map((logq) => weights.subarray(0, k).reduce((sum, w) => sum + w, 0) * Math.exp(logq));
  for (const [i, w] of weights.subarray(0, k).entries()) gradient[tokens[i]!]! -= w;
  return { ...found, gradient, mass: order.reduce((sum, v) => sum + p[v]!, 0), order };
}
const byDifferences = (loss: (z: readonly number[]) => number, z: readonly number[]) =>
  z.map((x, v) => (loss(z.with(v, x + 1e-5)) - loss(z.with(v, x - 1e-5))) / 2e-5);
const distance = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, v) => sum + Math.abs(x - b[v]!), 0);
const exps = (values: readonly number[]) => values.map(Math.exp);

describe('the gradient by the logits', () => {
  const p = exps(logSoftmax(logits()));
  const z = logits();
  const q = exps(logSoftmax(z));
  const exact = q.map((x, v) => x - p[v]!);

  it('of all tokens is q − p, the forward KL’s own', () => {
    expect(distance(lessonOf({ kind: 'top-k', k: V }, p, z).gradient, exact)).toBeLessThan(1e-5);
  });

  it('of the likeliest is P q − 1_T p, off by at most 2 (1 − P); renormalised it would be off by just that', () => {
    const { gradient, mass, order } = lessonOf({ kind: 'top-k', k: 6 }, p, z);
    expect(
      distance(
        gradient,
        q.map((x, v) => mass * x - (order.includes(v) ? p[v]! : 0)),
      ),
    ).toBeLessThan(1e-5);
    expect(distance(gradient, exact)).toBeLessThanOrEqual(2 * (1 - mass) + 1e-5);
    const renormalised = q.map((x, v) => x - (order.includes(v) ? p[v]! / mass : 0));
    expect(distance(renormalised, exact)).toBeCloseTo(2 * (1 - mass), 5);
  });

  it('with the tail is that of the KL of K + 1 categories, by central differences', () => {
    const { gradient, mass, order, divergences, clipFraction } = lessonOf({ kind: 'tail', k: 6 }, p, z);
    const bucket = (at: readonly number[]) => {
      const logq = logSoftmax(at);
      const Q = order.reduce((sum, v) => sum + Math.exp(logq[v]!), 0);
      const inside = order.reduce((sum, v) => sum + p[v]! * (Math.log(p[v]!) - logq[v]!), 0);
      return inside + (1 - mass) * Math.log((1 - mass) / (1 - Q));
    };
    expect(distance(gradient, byDifferences(bucket, z))).toBeLessThan(1e-4);
    expect(divergences![0]![0]).toBeCloseTo(bucket(z), 4);
    expect(divergences![0]![1]).toBe(0);
    expect(clipFraction).toBe(0);
  });

  it('with the tail of all but one is q − p', () => {
    expect(distance(lessonOf({ kind: 'tail', k: V - 1 }, p, z).gradient, exact)).toBeLessThan(1e-4);
  });

  it('leaves out entries above τ, as the method does', () => {
    const sure = p.map((_, v) => (v === 3 ? 0.9 : 0.1 / (V - 1)));
    const far = z.with(3, -20);
    const { gradient, clipFraction } = lessonOf({ kind: 'top-k', k: V }, sure, far, 10);
    expect(clipFraction).toBe(1);
    const clipped = (at: readonly number[]) =>
      logSoftmax(at).reduce((sum, logq, v) => sum + Math.min(10, sure[v]! * (Math.log(sure[v]!) - logq)), 0);
    expect(distance(gradient, byDifferences(clipped, far))).toBeLessThan(1e-4);
  });

  it('of draws is that of the likeliest in the mean', () => {
    const { gradient } = lessonOf({ kind: 'top-k', k: 6 }, p, z);
    const mean = new Array<number>(V).fill(0);
    const n = 4000;
    for (let i = 0; i < n; i++) {
      const drawn = lessonOf({ kind: 'draws', k: 6, draws: 8 }, p, z, null, streamKey('draws', i));
      expect(drawn.batch.sequences[0]!.k).toBe(8);
      for (const [v, g] of drawn.gradient.entries()) mean[v]! += g / n;
    }
    // 32,000 draws: a standard error of at most .5/√32000 an entry.
    for (const [v, g] of mean.entries()) expect(Math.abs(g - gradient[v]!)).toBeLessThan(5 * 0.0028);
  });

  it('of the sampled token is q − p in the mean over what any policy b samples, where no ratio is cut', () => {
    const close = logSoftmax(z.map((x, v) => 0.5 * x + 0.2 * logits()[v]!));
    const teacher = exps(logSoftmax(z.map((x, v) => x + 0.3 * Math.sin(v))));
    const b = exps(close);
    const mean = new Array<number>(V).fill(0);
    for (let y = 0; y < V; y++) {
      const own = makeTrajectory({ ids: [y, 5], mask: [1, 1], logprobs: [Math.log(b[y]!), -1] });
      const batch = sampledTokenBatch([
        {
          pair: { ...pair, student: own },
          teacher: Float32Array.of(0, 0, Math.log(teacher[y]!), 0),
          student: Float32Array.of(0, Math.log(q[y]!), 0),
        },
      ]);
      expect(batch).toMatchObject({ denominator: 1, klCoefficient: 0 });
      const { advantages, oldLogprobs, mask, ids } = batch.sequences[0]!;
      expect([...mask]).toEqual([0, 1, 0]);
      expect(ids).toEqual([1, y, 5]);
      const token = { logprob: Math.log(q[y]!), oldLogprob: oldLogprobs[1]!, advantage: advantages[1]! };
      const { pull } = policyGradientTerms(token, batch);
      // −G ∇log q(y), with the probability b(y)
      for (let v = 0; v < V; v++) mean[v]! += b[y]! * pull * (q[v]! - (v === y ? 1 : 0));
    }
    expect(
      distance(
        mean,
        q.map((x, v) => x - teacher[v]!),
      ),
    ).toBeLessThan(1e-5);
  });
});

describe('what is recorded', () => {
  it('is the KL on T, once the loss is known', () => {
    const p = exps(logSoftmax(logits()));
    const z = logits();
    const { batch, negativeEntropies, teacherMass, mass, order, divergences } = lessonOf({ kind: 'top-k', k: 6 }, p, z);
    const q = logSoftmax(z);
    const kl = order.reduce((sum, v) => sum + p[v]! * (Math.log(p[v]!) - q[v]!), 0);
    const loss = -order.reduce((sum, v) => sum + p[v]! * q[v]!, 0);
    expect(loss + negativeEntropies[0]![0]!).toBeCloseTo(kl, 5);
    expect(divergences![0]![0]).toBeCloseTo(kl, 5);
    expect(teacherMass).toBeCloseTo(mass, 5);
    expect(batch).toMatchObject({ denominator: 1 });
    expect(batch.sequences[0]).toMatchObject({ ids: [1, 4, 5], start: 1 });
    expect([...batch.sequences[0]!.mask]).toEqual([1, 0]);
  });

  it('applies the teacher’s temperature on T', () => {
    const { p, mass } = teacherTable(
      { tokens: Int32Array.of(1, 2), logprobs: Float32Array.of(Math.log(0.6), Math.log(0.2)) },
      2,
      0.5,
    );
    expect(p[0]).toBeCloseTo(0.9, 6);
    expect(p[1]).toBeCloseTo(0.1, 6);
    expect(mass[0]).toBeCloseTo(0.8, 6);
  });
});

describe('lessonFor', () => {
  const settings: LessonSettings = {
    objective: 'forward-kl',
    targets: 'auto',
    topK: 20,
    draws: 8,
    clip: null,
    teacherTemperature: 1,
  };
  const whole: Capabilities = {
    deterministic: true,
    sampler: 'exact',
    dryRun: true,
    divergences: ['forward-kl', 'reverse-kl', 'jsd'],
    pointwiseClip: true,
    softTargets: 'signed',
    topLogprobs: 1000,
    frozen: 'any',
    adapter: 'attachable',
    optimizer: { fresh: true, clip: true, betasPerStep: true, gradientNorm: true },
    checkpoints: 'files',
  };
  const remote = (softTargets: Capabilities['softTargets'], topLogprobs: number): Capabilities => ({
    ...whole,
    divergences: [],
    pointwiseClip: false,
    softTargets,
    topLogprobs,
  });

  it.each([
    ['the embedded engine', whole, { kind: 'distribution' }],
    ['signed tables and all of the student', remote('signed', 1000), { kind: 'tail', k: 20 }],
    ['signed tables', remote('signed', 20), { kind: 'top-k', k: 20 }],
    ['tables of weights of at least 0', remote('non-negative', 12), { kind: 'top-k', k: 12 }],
    ['one target a token', remote('single', 20), { kind: 'draws', k: 20, draws: 8 }],
    ['one target a token, and no table of the teacher', remote('single', 0), { kind: 'sampled' }],
    ['nothing of it', remote('none', 20), { kind: 'sampled' }],
  ] as const)('takes the most that there is: %s', (_, capabilities, lesson) =>
    expect(lessonFor(settings, capabilities, 500)).toEqual(lesson),
  );

  it('teaches all where K is the vocabulary', () => {
    expect(lessonFor({ ...settings, topK: 500 }, remote('signed', 1000), 500)).toEqual({ kind: 'top-k', k: 500 });
  });

  it.each([
    ['another divergence', { objective: 'jsd' as const }, remote('signed', 20), 'distill.objective=jsd'],
    [
      'a distribution that it cannot compute',
      { targets: 'distribution' as const },
      remote('signed', 20),
      'distill.targets=distribution',
    ],
    ['a tail without the student', { targets: 'tail' as const }, remote('signed', 20), 'distill.targets=tail'],
    ['a small clip without the student', { clip: 0.05 }, remote('signed', 20), 'distill.clip=0.05'],
    ['a flattened top K', { teacherTemperature: 2 }, remote('signed', 20), 'distill.teacherTemperature=2'],
    ['a temperature of one token', { teacherTemperature: 0.5 }, remote('none', 0), 'distill.teacherTemperature=0.5'],
    ['tables that it does not take', { targets: 'top-k' as const }, remote('single', 20), 'distill.targets=top-k'],
  ])('refuses %s, with the setting and a way out', (_, change, capabilities, setting) => {
    expect(() => lessonFor({ ...settings, ...change }, capabilities, 500)).toThrow(setting);
    expect(() => lessonFor({ ...settings, ...change }, capabilities, 500)).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/^Set /) }),
    );
  });

  it('takes a clip that is hardly ever met, and an exact one where the student is seen', () => {
    expect(lessonFor({ ...settings, clip: 10 }, remote('non-negative', 20), 500).kind).toBe('top-k');
    const lesson = lessonFor({ ...settings, clip: 1, targets: 'top-k' }, remote('signed', 500), 500);
    expect(needsStudent(lesson, { ...settings, clip: 1 })).toBe(true);
    expect(needsStudent(lesson, { ...settings, clip: 10 })).toBe(false);
  });
});
