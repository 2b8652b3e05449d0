/**
 * Attention over a paged key-value cache, for sequences of any lengths at once, as WebAssembly SIMD:
 *
 *     out = Σ_p softmax_p(q k_p / √D) v_p        over the token's own sequence, up to its own position
 *
 * ONNX Runtime's products want rectangles: every sequence as long as the longest, and one new token stacked with idle rows.
 * Here each token reads exactly its own positions, wherever their pages are. Every sum has an order that depends on nothing
 * but the sequence, so that a token gets the same bits in any company and any cut.
 *
 * A page holds PAGE positions of one layer: keys [G, D, PAGE], so that one number of a query meets 16 positions at once, then
 * values [G, PAGE, D]. D is the head's size rounded up to whole vectors. Two query heads of a key-value head are
 * taken at a time: every key and value is loaded once for both.
 */
import {
  type Code,
  compile,
  FunctionBody,
  f32,
  get,
  type Instantiate,
  i32,
  loop,
  set,
  v128,
  when,
} from '../../../onnx/wasm.ts';

/** Positions of a page. */
export const PAGE = 16;
const FLOAT = 4;
/** Floats of a vector, and its bytes. */
const LANES = 4;
const VECTOR = LANES * FLOAT;
/** Vectors that are summed at a time for each of two heads: as many as processors have registers for. */
const WIDE = 4;
const HEADS = [0, 1] as const;

export interface KernelShape {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  /** Most positions of a sequence. */
  readonly contextLength: number;
}

/** Floats of a head's row: whole vectors. */
export function headWidth({ headSize }: Pick<KernelShape, 'headSize'>): number {
  return Math.ceil(headSize / LANES) * LANES;
}

/** Floats of one layer's part of a page. */
export function pageSize(shape: Pick<KernelShape, 'keyValueHeads' | 'headSize'>): number {
  return 2 * shape.keyValueHeads * PAGE * headWidth(shape);
}

/** Bytes at the memory's beginning that are the kernel's own: the weights of two heads. */
export function scratchBytes({ contextLength }: Pick<KernelShape, 'contextLength'>): number {
  return 2 * Math.ceil(contextLength / PAGE) * PAGE * FLOAT;
}

/**
 * The module. Its `run(queries, tokens, count)` replaces queries by results. Addresses: `queries` [count, heads, D]; `tokens`
 * [count, 2], of each token the address of its sequence's page addresses, and four times the number of positions that
 * it sees, at least 1. The memory begins with `scratchBytes` of the kernel's own.
 */
export function attentionKernel(shape: KernelShape): Instantiate {
  const { heads, keyValueHeads, headSize } = shape;
  const row = headWidth(shape) * FLOAT;
  const groupRows = (heads / keyValueHeads) * row;
  const groupPage = PAGE * row;
  /** Addresses of the two heads' weights; positions count in bytes, 4 each. */
  const weights = [0, scratchBytes(shape) / 2] as const;

  const body = new FunctionBody(['i32', 'i32', 'i32']);
  const [queries, tokens, count] = [0, 1, 2];
  const integer = () => body.variable('i32');
  const floats = () => body.variable('v128');
  const [token, end, table, seen, whole] = [integer(), integer(), integer(), integer(), integer()];
  const [group, groupEnd, one, other] = [integer(), integer(), integer(), integer()];
  const [position, limit, page, i] = [integer(), integer(), integer(), integer()];
  const factor = [floats(), floats()];
  const sums = HEADS.map(() => Array.from({ length: WIDE }, floats));
  const [largest, total] = [
    [floats(), floats()],
    [floats(), floats()],
  ];
  const [x, n, power] = [floats(), floats(), floats()];

  const clear = sums.flat().map((sum) => set(sum, v128.of(0)));
  /** sums[h][j] += factor[h] ∘ the j-th of `wide` vectors at an address */
  const accumulate = (address: Code, offset: number, wide = WIDE) =>
    Array.from({ length: wide }, (_, j) => [
      set(x, v128.load(address, offset + j * VECTOR)),
      ...HEADS.map((h) => set(sums[h]![j]!, v128.multiplyAdd(get(factor[h]!), get(x), get(sums[h]![j]!)))),
    ]).flat();
  const pageAt = (offset: number) =>
    set(
      page,
      i32.add(
        i32.load(i32.add(get(table), i32.shiftRight(get(position), i32.of(4)))),
        i32.add(get(group), i32.of(offset)),
      ),
    );

  // weights[h][p] = q_h k_p / √D of whole pages
  const unroll = headSize % 4 === 0 ? 4 : 2;
  const scores = loop(position, i32.of(0), get(whole), PAGE * FLOAT, [
    pageAt(0),
    ...clear,
    loop(i, i32.of(0), i32.of(headSize * FLOAT), unroll * FLOAT, [
      ...Array.from({ length: unroll }, (_, u) => [
        ...[one, other].map((query, h) => set(factor[h]!, v128.loadSplat(i32.add(get(query), get(i)), u * FLOAT))),
        ...accumulate(get(page), u * PAGE * FLOAT),
      ]).flat(),
      set(page, i32.add(get(page), i32.of(unroll * PAGE * FLOAT))),
    ]),
    ...HEADS.flatMap((h) =>
      sums[h]!.map((sum, j) =>
        v128.store(get(position), v128.mul(get(sum), v128.of(1 / Math.sqrt(headSize))), weights[h] + j * VECTOR),
      ),
    ),
  ]);
  // −∞ for the rest of the last page: exp makes it 0.
  const cut = when(i32.lessThan(get(seen), get(whole)), [
    loop(position, get(seen), get(whole), FLOAT, [
      ...weights.map((from) => f32.store(get(position), f32.of(Number.NEGATIVE_INFINITY), from)),
    ]),
  ]);

  /** One number from the four of a vector, in all four places. */
  const acrossLanes = (join: (a: Code, b: Code) => Code, vector: number) => {
    const [a, b, c, d] = ([0, 1, 2, 3] as const).map((lane) => v128.lane(get(vector), lane)) as [
      Code,
      Code,
      Code,
      Code,
    ];
    return v128.splat(join(join(a, b), join(c, d)));
  };
  // weights[h][p] = exp(weights[h][p] − largest[h]);  total[h] = 1 / Σ_p weights[h][p]
  const softmax = [
    ...HEADS.flatMap((h) => [set(largest[h]!, v128.of(Number.NEGATIVE_INFINITY)), set(total[h]!, v128.of(0))]),
    loop(position, i32.of(0), get(whole), VECTOR, [
      ...HEADS.map((h) => set(largest[h]!, v128.max(get(largest[h]!), v128.load(get(position), weights[h])))),
    ]),
    ...HEADS.map((h) => set(largest[h]!, acrossLanes(f32.max, largest[h]!))),
    loop(position, i32.of(0), get(whole), VECTOR, [
      ...HEADS.flatMap((h) => [
        set(x, v128.sub(v128.load(get(position), weights[h]), get(largest[h]!))),
        ...exponential(x, n, power),
        v128.store(get(position), get(x), weights[h]),
        set(total[h]!, v128.add(get(total[h]!), get(x))),
      ]),
    ]),
    ...HEADS.map((h) => set(total[h]!, v128.divide(v128.of(1), acrossLanes(f32.add, total[h]!)))),
  ];

  // out_h = Σ_p weights[h][p] v_p · total[h], some vectors of the row at a time
  const mix = (from: number, wide: number) => [
    ...clear,
    loop(position, i32.of(0), get(whole), PAGE * FLOAT, [
      pageAt(keyValueHeads * groupPage + from),
      set(limit, i32.add(get(position), i32.of(PAGE * FLOAT))),
      set(limit, i32.select(get(limit), get(seen), i32.lessThan(get(limit), get(seen)))),
      loop(i, get(position), get(limit), FLOAT, [
        ...HEADS.map((h) => set(factor[h]!, v128.loadSplat(get(i), weights[h]))),
        ...accumulate(get(page), 0, wide),
        set(page, i32.add(get(page), i32.of(row))),
      ]),
    ]),
    ...[one, other].flatMap((query, h) =>
      sums[h]!.slice(0, wide).map((sum, j) =>
        v128.store(get(query), v128.mul(get(sum), get(total[h]!)), from + j * VECTOR),
      ),
    ),
  ];
  const mixing: Code[] = [];
  for (let from = 0; from < row; from += WIDE * VECTOR)
    mixing.push(...mix(from, Math.min(WIDE, (row - from) / VECTOR)));

  const attend = [
    set(other, i32.add(get(one), i32.of(row))),
    set(other, i32.select(get(other), get(one), i32.lessThan(get(other), get(groupEnd)))),
    ...[scores, cut, ...softmax, ...mixing],
  ];
  const run = [
    set(end, i32.add(get(tokens), i32.shiftLeft(get(count), i32.of(3)))),
    set(groupEnd, get(queries)),
    loop(token, get(tokens), get(end), 2 * FLOAT, [
      set(table, i32.load(get(token))),
      set(seen, i32.load(get(token), FLOAT)),
      set(whole, i32.and(i32.add(get(seen), i32.of(PAGE * FLOAT - 1)), i32.of(-PAGE * FLOAT))),
      loop(group, i32.of(0), i32.of(keyValueHeads * groupPage), groupPage, [
        set(groupEnd, i32.add(get(groupEnd), i32.of(groupRows))),
        loop(one, i32.add(get(groupEnd), i32.of(-groupRows)), get(groupEnd), 2 * row, attend),
      ]),
    ]),
  ];
  return compile(body.build(run));
}

/**
 * x = exp(x) for x ≤ 0, to about 1e-7 of it: 2ⁿ exp(r) with n = round(x / ln 2) and a polynomial in r (Cephes, expf);
 * exactly 0 below −87.
 */
function exponential(x: number, n: number, r: number): Code[] {
  const powers = [1.9875691e-4, 1.3981999e-3, 8.3334519e-3, 4.1665795e-2, 1.6666665e-1, 0.5, 1, 1];
  const polynomial = powers.map((power) => v128.of(power)).reduce((sum, next) => v128.multiplyAdd(sum, get(r), next));
  const scale = v128.shiftLeft(v128.addIntegers(v128.toIntegers(get(n)), v128.ofIntegers(127)), 23);
  return [
    set(n, v128.nearest(v128.mul(get(x), v128.of(Math.LOG2E)))),
    // ln 2 in two parts, the first with zeros at the end, so that n times it is exact.
    set(r, v128.multiplyAdd(get(n), v128.of(-0.693359375), get(x))),
    set(r, v128.multiplyAdd(get(n), v128.of(2.1219444e-4), get(r))),
    set(x, v128.and(v128.mul(polynomial, scale), v128.atLeast(get(x), v128.of(-87)))),
  ];
}
