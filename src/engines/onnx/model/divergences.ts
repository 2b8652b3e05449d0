/**
 * The losses of distillation: divergences of the student's distribution p from the teacher's q, row by row over the whole
 * vocabulary, cut from above entry by entry, with their gradient by the student's logits z.
 *
 * Each is a sum of entries l(v) that depend on p(v) and q(v) alone. With c(v) = dl/dp(v), and 0 where an entry was cut,
 *
 *   dL/dz(u) = w(u) − p(u) Σ_v w(v),   w = p c
 *
 * does not change when a constant is added to all c, cut or not. It is chosen such that every w, and with it the gradient, is
 * exactly 0 where p and q are the same to the bit.
 */

import type { Graph, TensorName } from '../../../onnx/graph.ts';
import type { Divergence } from '../../../policy/policy.ts';
import { distribution, output, rowSum, scalarInput } from './loss-rows.ts';

/** Teacher q and student p, with logarithms, which are finite: an entry whose probability underflows to 0 adds 0. All [R, V]. */
interface Sides {
  readonly q: TensorName;
  readonly logq: TensorName;
  readonly p: TensorName;
  readonly logp: TensorName;
}

/** All [R, V]. */
interface Entries {
  readonly l: TensorName;
  readonly w: TensorName;
  /** What w is where l was cut. */
  readonly cutW: TensorName;
}

const DIVERGENCES: Readonly<Record<Divergence, (graph: Graph, sides: Sides) => Entries>> = {
  /** l = q (log q − log p);  c = −q/p, plus 1 */
  'forward-kl': (graph, { q, logq, p, logp }) => ({
    l: graph.op('Mul', [q, graph.op('Sub', [logq, logp])]),
    w: graph.op('Sub', [p, q]),
    cutW: p,
  }),

  /** l = p (log p − log q);  c = log p − log q + 1, minus 1 */
  'reverse-kl': (graph, { logq, p, logp }) => {
    const l = graph.op('Mul', [p, graph.op('Sub', [logp, logq])]);
    return { l, w: l, cutW: graph.op('Neg', [p]) };
  },

  /** l = ½ q (log q − log m) + ½ p (log p − log m),  m = (p + q) / 2;  c = ½ (log p − log m) */
  jsd: (graph, { q, logq, p, logp }) => {
    // With t = log q − log p: log p − log m = min(−t, 0) − s, log q − log m = min(t, 0) − s, s = log((1 + e^−|t|) / 2)
    const t = graph.op('Sub', [logq, logp]);
    const ratio = graph.op('Exp', [graph.op('Neg', [graph.op('Abs', [t])])]);
    const s = graph.op('Log', [graph.op('Mul', [graph.op('Add', [ratio, graph.float(1)]), graph.float(0.5)])]);
    const half = (weight: TensorName, difference: TensorName) => {
      const toMixture = graph.op('Sub', [graph.op('Min', [difference, graph.float(0)]), s]);
      return graph.op('Mul', [graph.op('Mul', [weight, toMixture]), graph.float(0.5)]);
    };
    const w = half(p, graph.op('Neg', [t]));
    return { l: graph.op('Add', [half(q, t), w]), w, cutW: graph.float(0) };
  },
};

/**
 * Inputs: teacherLogprobs [R, V] (of the teacher's readout), clip τ (may be ∞) and scale.
 * Outputs, each [R]: losses, divergences (without the clip), entropies, teacherEntropies, clipped (1 where an entry was cut).
 * Returns the gradient by the logits [R, V].
 */
export function divergence(name: Divergence, graph: Graph, logits: TensorName, vocabulary: number): TensorName {
  const clip = scalarInput(graph, 'clip');
  const scale = scalarInput(graph, 'scale');
  const logq = graph.input('teacherLogprobs', 'float32', ['R', vocabulary]);
  const q = graph.op('Exp', [logq]);
  const { p, logp } = distribution(graph, logits);
  const { l, w, cutW } = DIVERGENCES[name](graph, { q, logq, p, logp });

  // L = Σ_v min(l(v), τ)
  output(graph, 'losses', rowSum(graph, graph.op('Min', [l, clip])));
  output(graph, 'divergences', rowSum(graph, l));
  output(graph, 'teacherEntropies', graph.op('Neg', [rowSum(graph, graph.op('Mul', [q, logq]))]));
  const isCut = graph.op('Greater', [l, clip]);
  const cut = graph.op('Cast', [isCut], { to: 1 });
  output(graph, 'clipped', graph.op('ReduceMax', [cut, graph.integers([1])], { keepdims: 0 }));

  const slopes = graph.op('Where', [isCut, cutW, w]);
  const sums = graph.op('ReduceSum', [slopes, graph.integers([1])]);
  return graph.op('Mul', [graph.op('Sub', [slopes, graph.op('Mul', [p, sums])]), scale]);
}
