/** Divergences and their gradients by the logits against plain float64 definitions, for random and for extreme distributions. */
import fc from 'fast-check';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../../onnx/graph.ts';
import { createSession, floats } from '../../../onnx/session.ts';
import type { Divergence } from '../../../policy/policy.ts';
import { logSoftmax, referenceDivergence } from '../training/reference.testing.ts';
import { divergence } from './divergences.ts';

const V = 6;

/** One row: the student's logits, the teacher's log-probabilities. */
interface Row {
  readonly logits: Float32Array;
  readonly teacher: Float32Array;
}

/** Ordinary logits, and some at which a softmax in float32 is 0 or 1. */
const logits = fc.array(fc.oneof(fc.double({ min: -4, max: 4, noNaN: true }), fc.constantFrom(-150, 60)), {
  minLength: V,
  maxLength: V,
});
const row = fc.record({ logits, teacher: logits }).map(
  (sides): Row => ({
    logits: Float32Array.from(sides.logits),
    teacher: Float32Array.from(logSoftmax([...sides.teacher])),
  }),
);
const rows = fc.array(row, { minLength: 1, maxLength: 8 });

/** Entries of one row as the definition has them. */
function entries(name: Divergence, student: readonly number[], teacher: Float32Array): number[] {
  const logp = logSoftmax(student);
  return logp.map((value, v) => referenceDivergence[name](teacher[v]!, value));
}

const loss = (name: Divergence, student: readonly number[], teacher: Float32Array, clip: number) =>
  entries(name, student, teacher).reduce((sum, l) => sum + Math.min(l, clip), 0);

/** Central differences at one logit. */
function slope(name: Divergence, { logits, teacher }: Row, clip: number, v: number): number {
  const step = 1e-5;
  const moved = (by: number) => Array.from(logits, (value, i) => (i === v ? value + by : value));
  return (loss(name, moved(step), teacher, clip) - loss(name, moved(-step), teacher, clip)) / (2 * step);
}

describe.each<[Divergence, number]>([
  ['forward-kl', 0.3],
  ['reverse-kl', 0.3],
  ['jsd', 0.05],
])('%s', (name, clip) => {
  let session: InferenceSession;
  beforeAll(async () => {
    const graph = new Graph();
    const student = graph.input('logits', 'float32', ['R', V]);
    graph.output('gradient', 'float32', ['R', V], divergence(name, graph, student, V));
    session = await createSession(graph.build(), 1);
  });
  afterAll(() => session.release());

  async function run(of: readonly Row[], tau: number) {
    const joined = (side: keyof Row) => floats(Float32Array.from(of.flatMap((one) => [...one[side]])), [of.length, V]);
    const scalar = (value: number) => floats(Float32Array.of(value), []);
    const fed = { logits: joined('logits'), teacherLogprobs: joined('teacher'), clip: scalar(tau), scale: scalar(1) };
    const results = await session.run(fed);
    return (output: string) => (results[output] as Tensor).data as Float32Array;
  }

  it.each([
    ['without a clip', Number.POSITIVE_INFINITY],
    ['with one', clip],
  ])('loss and gradient, %s', async (_, tau) => {
    await fc.assert(
      fc.asyncProperty(rows, async (of) => {
        const given = await run(of, tau);
        for (const [r, one] of of.entries()) {
          const l = entries(name, [...one.logits], one.teacher);
          const sum = l.reduce((a, b) => a + b, 0);
          expect(given('divergences')[r]).toBeCloseTo(sum, 3);
          // At the kink of the clip there is no gradient, and rounding decides what is cut.
          if (l.some((value) => Math.abs(value - tau) < 1e-3)) continue;
          expect(given('losses')[r]).toBeCloseTo(loss(name, [...one.logits], one.teacher, tau), 3);
          expect(given('clipped')[r]).toBe(l.some((value) => value > tau) ? 1 : 0);
          for (let v = 0; v < V; v++) expect(given('gradient')[r * V + v]).toBeCloseTo(slope(name, one, tau, v), 3);
        }
      }),
      { numRuns: 60, seed: 7 },
    );
  });

  it('is 0 to the bit, and its gradient too, where both sides have the same bits', async () => {
    // The same kernel on both sides, as in a run: the teacher's readout gives log-softmax of the same logits.
    const graph = new Graph();
    graph.output('teacher', 'float32', ['R', V], graph.op('LogSoftmax', [graph.input('logits', 'float32', ['R', V])]));
    const readout = await createSession(graph.build(), 1);
    await fc.assert(
      fc.asyncProperty(logits, fc.constantFrom(Number.POSITIVE_INFINITY, 1e-6), async (values, tau) => {
        const student = Float32Array.from(values);
        const { teacher } = await readout.run({ logits: floats(student, [1, V]) });
        const given = await run([{ logits: student, teacher: teacher!.data as Float32Array }], tau);
        expect(given('losses')[0]).toBe(0);
        expect(given('divergences')[0]).toBe(0);
        expect(given('gradient').every((value) => value === 0)).toBe(true);
      }),
      { numRuns: 60, seed: 7 },
    );
    await readout.release();
  });
});

it('an entry of the Jensen-Shannon divergence is never above ½ ln 2, so that a clip from there on cuts nothing', () => {
  const probability = fc.double({ min: 1e-300, max: 1, noNaN: true }).map(Math.log);
  fc.assert(
    fc.property(probability, probability, (logq, logp) => {
      const l = referenceDivergence.jsd(logq, logp);
      expect(l).toBeLessThanOrEqual(Math.LN2 / 2 + 1e-12);
      expect(l).toBeGreaterThanOrEqual(-1e-12);
    }),
  );
});
