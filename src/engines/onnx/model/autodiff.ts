/**
 * Reverse-mode differentiation: every primitive adds its forward nodes to a graph and notes its vector-Jacobian
 * product; `backward` adds the nodes of the products in reverse order.
 *
 * Nodes are added only where a gradient is wanted: what depends on no tracked tensor costs nothing (an adapter's
 * training computes no gradient of the base weights).
 *
 * Dimensions: T tokens; of a level (prefix-tree.ts) N segments of S positions each, E = its end; R selected rows, K key-value
 * heads, G query heads per key-value head, D head size.
 */
import type { Device } from '../../../onnx/device.ts';
import { Graph, type TensorName } from '../../../onnx/graph.ts';
import { linear, product, rmsNormalised } from './device-forms.ts';

export class Tape {
  readonly graph: Graph;
  readonly #products: (() => void)[] = [];
  readonly #tracked = new Set<TensorName>();
  readonly #gradients = new Map<TensorName, TensorName>();

  constructor(device?: Device) {
    this.graph = new Graph(device);
  }

  /** Says that the gradient of this tensor is wanted. */
  track(tensor: TensorName): void {
    this.#tracked.add(tensor);
  }

  /** Before `backward`: what the gradient of this tensor is added to. */
  addTo(tensor: TensorName, sum: TensorName): void {
    this.#gradients.set(tensor, sum);
  }

  /** After `backward`: the gradient of a tracked tensor. */
  gradient(tensor: TensorName): TensorName {
    const gradient = this.#gradients.get(tensor);
    if (gradient === undefined) throw new Error(`${tensor} does not take part in the loss`);
    return gradient;
  }

  /** Adds the backward nodes, starting from the gradient of the loss by `result`. */
  backward(result: TensorName, gradient: TensorName): void {
    this.#gradients.set(result, gradient);
    for (const product of this.#products.toReversed()) product();
  }

  /**
   * y = x Wᵀ + bias or residual; x [T, in], W [out, in], bias [out], residual [T, out].
   *
   * With an adapter, W is fed as W₀ + scale B A, and the gradient goes to A [rank, in] and B [out, rank], by the chain
   * rule dA = scale Bᵀ dW, dB = scale dW Aᵀ with dW = dyᵀ x, multiplied in the order that never forms dW.
   *
   * A `kept` result is computed under that name; where the graph has an input of the name, that is the result, computed before.
   */
  linear(
    x: TensorName,
    weight: TensorName,
    options: {
      bias?: TensorName;
      residual?: TensorName;
      adapter?: AdapterMatrices;
      kept?: TensorName | undefined;
    } = {},
  ): TensorName {
    const { graph } = this;
    const { bias, residual, adapter, kept } = options;
    const addend = bias ?? residual;
    const isKnown = kept !== undefined && graph.typeOf(kept) !== undefined;
    const y = isKnown ? kept : linear(graph, x, weight, addend, kept === undefined ? undefined : [kept]);
    this.#record(y, [x, weight, addend, adapter?.a, adapter?.b], (dy) => {
      // dx = dy W
      this.#give(x, (sum) => graph.op('Gemm', sum ? [dy, weight, sum] : [dy, weight]));
      // dW = dyᵀ x
      this.#give(weight, (sum) => graph.op('Gemm', sum ? [dy, x, sum] : [dy, x], { transA: 1 }));
      if (bias) this.#add(bias, () => graph.op('ReduceSum', [dy, graph.integers([0])], { keepdims: 0 }));
      if (residual) this.#add(residual, () => dy);
      if (adapter) {
        const { a, b } = adapter;
        const scale = { alpha: { float: adapter.scale } };
        // dB = scale dyᵀ (x Aᵀ),  dA = scale (dy B)ᵀ x
        this.#add(b, () => graph.op('Gemm', [dy, graph.op('Gemm', [x, a], { transB: 1 })], { transA: 1, ...scale }));
        this.#add(a, () => graph.op('Gemm', [graph.op('Gemm', [dy, b]), x], { transA: 1, ...scale }));
      }
    });
    return y;
  }

  /** RMSNorm: y = w x̂, x̂ = x / sqrt(mean(x²) + ε), over the last axis; x [T, hidden], w [hidden]. */
  rmsNorm(x: TensorName, weight: TensorName, epsilon: number): TensorName {
    const { graph } = this;
    const [y, inverseOf] = rmsNormalised(graph, x, weight, epsilon);
    this.#record(y, [x, weight], (dy) => {
      const inverse = inverseOf();
      const normal = graph.op('Mul', [x, inverse]);
      // dw = Σ_t dy x̂
      this.#add(weight, () =>
        graph.op('ReduceSum', [graph.op('Mul', [dy, normal]), graph.integers([0])], { keepdims: 0 }),
      );
      // dx = (dy w − x̂ mean(dy y)) / rms, since dy w x̂ = dy y
      this.#add(x, () => {
        const mean = graph.op('ReduceMean', [graph.op('Mul', [dy, y]), graph.integers([-1])]);
        const difference = graph.op('Sub', [graph.op('Mul', [dy, weight]), graph.op('Mul', [normal, mean])]);
        return graph.op('Mul', [difference, inverse]);
      });
    });
    return y;
  }

  /** h = silu(gate) up, silu(a) = a σ(a). */
  swiGlu(gate: TensorName, up: TensorName): TensorName {
    const { graph } = this;
    const silu = graph.microsoft('QuickGelu', [gate], { alpha: { float: 1 } });
    const h = graph.op('Mul', [silu, up]);
    this.#record(h, [gate, up], (dh) => {
      this.#add(up, () => graph.op('Mul', [dh, silu]));
      // silu' = σ + silu (1 − σ), so that dgate = dh up σ + dh h (1 − σ) = σ (dh up − dh h) + dh h
      this.#add(gate, () => {
        const sigmoid = graph.op('Sigmoid', [gate]);
        const throughGate = graph.op('Mul', [dh, h]);
        const difference = graph.op('Sub', [graph.op('Mul', [dh, up]), throughGate]);
        return graph.op('Add', [graph.op('Mul', [sigmoid, difference]), throughGate]);
      });
    });
    return h;
  }

  /**
   * Rotary position embedding in the half-split form: elements i and i + D/2 of a head turn by position · θ_i.
   * x [T, 1, heads D]; positions int64 [T, 1]. The way back is the turn by the negative angle.
   */
  rotary(x: TensorName, positions: TensorName, table: RotaryTable): TensorName {
    const { graph } = this;
    const turn = (tensor: TensorName, sine: TensorName) =>
      graph.microsoft('RotaryEmbedding', [tensor, positions, table.cosine, sine]);
    const y = turn(x, table.sine);
    this.#record(y, [x], (dy) => this.#add(x, () => turn(dy, table.negativeSine)));
    return y;
  }

  /** To `shape`, and on the way back to `shapeOfX`; each a constant, or the name of an int64 vector. */
  reshape(x: TensorName, shape: readonly number[] | TensorName, shapeOfX: readonly number[] | TensorName): TensorName {
    const { graph } = this;
    const reshaped = (tensor: TensorName, to: readonly number[] | TensorName) =>
      graph.op('Reshape', [tensor, typeof to === 'string' ? to : graph.integers(to)]);
    const y = reshaped(x, shape);
    this.#record(y, [x], (dy) => this.#add(x, () => reshaped(dy, shapeOfX)));
    return y;
  }

  transpose(x: TensorName, permutation: readonly number[]): TensorName {
    const { graph } = this;
    const y = graph.op('Transpose', [x], { perm: permutation });
    const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
    this.#record(y, [x], (dy) => this.#add(x, () => graph.op('Transpose', [dy], { perm: inverse })));
    return y;
  }

  /** x cut along an axis into `count` parts of the given sizes (int64 [count]). */
  split(x: TensorName, sizes: TensorName, count: number, axis: number): TensorName[] {
    const { graph } = this;
    const parts = graph.ops(count, 'Split', [x, sizes], { axis });
    if (!this.#tracked.has(x)) return parts;
    for (const part of parts) this.#tracked.add(part);
    this.#products.push(() =>
      this.#add(x, () =>
        graph.op(
          'Concat',
          parts.map((part) => this.gradient(part)),
          { axis },
        ),
      ),
    );
    return parts;
  }

  /** Parts joined along an axis; `sizes` (int64 [parts]) are theirs. */
  concat(parts: readonly TensorName[], sizes: TensorName, axis: number): TensorName {
    const { graph } = this;
    const y = graph.op('Concat', parts, { axis });
    this.#record(y, parts, (dy) => {
      const gradients = graph.ops(parts.length, 'Split', [dy, sizes], { axis });
      for (const [i, part] of parts.entries()) this.#add(part, () => gradients[i]!);
    });
    return y;
  }

  /**
   * Picks rows of x [T, columns], each any number of times. The gradients of the same row add up in their order on one thread; on
   * several they would not: a graph with this is for one thread.
   */
  selectRows(x: TensorName, rows: TensorName): TensorName {
    const { graph } = this;
    const y = graph.op('Gather', [x, rows], { axis: 0 });
    this.#record(y, [x], (dy) =>
      this.#add(x, () => {
        const zeros = graph.op('Expand', [graph.float(0), graph.op('Shape', [x])]);
        const indices = graph.op('Unsqueeze', [rows, graph.integers([1])]);
        return graph.op('ScatterND', [zeros, indices, dy], { reduction: 'add' });
      }),
    );
    return y;
  }

  /** The parent's block for each child: x [K, M, E, D] to [K, N, E, D]; the gradients of siblings add up. */
  ofParents(x: TensorName, { indices, oneHot }: Parents, shapeOfX: TensorName): TensorName {
    const { graph } = this;
    const y = graph.op('Gather', [x, indices], { axis: 1 });
    // dx_m = Σ_{n child of m} dy_n, as a matrix product
    this.#record(y, [x], (dy) =>
      this.#add(x, () => {
        const flat = graph.op('Reshape', [dy, graph.integers([0, 0, -1])]);
        return graph.op('Reshape', [product(graph, oneHot, flat, { transposeA: 2 }), shapeOfX]);
      }),
    );
    return y;
  }

  /**
   * Attention, o = softmax(q kᵀ / sqrt(D) + mask) v; q [K, N, S G, D], k and v [K, N, E, D], mask [S G, E].
   *
   * The G query heads that share a key-value head stand as G rows a position, so that the sum over the group in dk and
   * dv happens inside the matrix product.
   */
  attention(q: TensorName, k: TensorName, v: TensorName, mask: TensorName, headSize: number): TensorName {
    const { graph } = this;
    const scale = 1 / Math.sqrt(headSize);
    const scores = product(graph, q, k, { transposeB: 4, scale });
    const p = graph.op('Softmax', [graph.op('Add', [scores, mask])], { axis: -1 });
    const o = graph.op('MatMul', [p, v]);
    this.#record(o, [q, k, v], (dO) => {
      // ds = p (do vᵀ − Σ_d do o), the sum being Σ_j p_j dp_j
      const inner = graph.op('ReduceSum', [graph.op('Mul', [dO, o]), graph.integers([-1])]);
      const dp = product(graph, dO, v, { transposeB: 4 });
      const ds = graph.op('Mul', [p, graph.op('Sub', [dp, inner])]);
      // dv = pᵀ do,  dq = ds k / sqrt(D),  dk = dsᵀ q / sqrt(D)
      this.#add(v, () => product(graph, p, dO, { transposeA: 4 }));
      this.#add(q, () => product(graph, ds, k, { scale }));
      this.#add(k, () => product(graph, ds, q, { transposeA: 4, scale }));
    });
    return o;
  }

  /** Notes how the gradient of a result is passed on, if any of its inputs wants one. */
  #record(result: TensorName, inputs: readonly (TensorName | undefined)[], product: (dy: TensorName) => void): void {
    if (!inputs.some((input) => input !== undefined && this.#tracked.has(input))) return;
    this.#tracked.add(result);
    this.#products.push(() => {
      const dy = this.#gradients.get(result);
      if (dy !== undefined) product(dy);
    });
  }

  /** Adds a contribution to the gradient of a tracked tensor; `make` gets what has been added up so far. */
  #give(tensor: TensorName, make: (sum: TensorName | undefined) => TensorName): void {
    if (this.#tracked.has(tensor)) this.#gradients.set(tensor, make(this.#gradients.get(tensor)));
  }

  #add(tensor: TensorName, make: () => TensorName): void {
    this.#give(tensor, (sum) => (sum === undefined ? make() : this.graph.op('Add', [sum, make()])));
  }
}

/** LoRA's matrices: A [rank, in], B [out, rank]; scale = alpha / rank. */
export interface AdapterMatrices {
  readonly a: TensorName;
  readonly b: TensorName;
  readonly scale: number;
}

/** cos, sin and −sin of position · θ_i, each [positions, D/2]. */
export interface RotaryTable {
  readonly cosine: TensorName;
  readonly sine: TensorName;
  readonly negativeSine: TensorName;
}

/** For each of N segments, which of the M below it is its parent. */
export interface Parents {
  /** int64 [N] */
  readonly indices: TensorName;
  /** float32 [N, M]: 1 at the parent. */
  readonly oneHot: TensorName;
}
