/**
 * Draws a token from a row of probabilities: a pure function of the row and of one uniform number.
 *
 * The softmax is the graph's; what is left is a scan of half a row on average. That is cheaper here than CumSum, Greater
 * and ArgMax in the graph, which write the whole row three times over (docs/engine.md has the figures).
 */

/** How to draw; absent filters keep every token. */
export interface DrawRule {
  /** 0 = greedy: the largest probability (the first of equal ones). Otherwise only whether it is 0 matters here. */
  readonly temperature: number;
  /** In [0, 1). */
  readonly uniform: number;
  /** Only the k most probable tokens, at least 1; of equal ones at the border, those of smaller id. */
  readonly topK?: number | undefined;
  /** Only the fewest most probable tokens whose mass reaches this share of what topK kept, in (0, 1]. */
  readonly topP?: number | undefined;
}

export interface Draw {
  readonly id: number;
  /** log of the id's share of the kept mass: its probability under the distribution that it was drawn from. */
  readonly logprob: number;
}

/** @param row probabilities of all tokens, adding up to 1 but for rounding. NaN anywhere gives a NaN logprob. */
export function drawToken(row: Float32Array, { temperature, uniform, topK, topP = 1 }: DrawRule): Draw {
  if (temperature === 0) {
    let best = 0;
    for (let v = 1; v < row.length; v++) if (row[v]! > row[best]!) best = v;
    return { id: best, logprob: Math.log(row[best]!) };
  }
  if (topK === undefined && topP === 1) return drawFrom(row, uniform);
  const kept = keptTokens(row, topK ?? row.length, topP);
  const mass = kept.reduce((sum, v) => sum + row[v]!, 0);
  const { id, logprob } = drawFrom(
    Float64Array.from(kept, (v) => row[v]! / mass),
    uniform,
  );
  return { id: kept[id]!, logprob };
}

/** The first v with Σ_{w ≤ v} p_w > u Σ_w p_w, summed in float64; the last possible one when rounding leaves none. */
function drawFrom(row: Float32Array | Float64Array, uniform: number): Draw {
  let [sum, last] = [0, 0];
  for (let v = 0; v < row.length; v++) {
    const p = row[v]!;
    sum += p;
    if (p > 0) last = v;
    // Written so that NaN, for which no comparison holds, ends the scan.
    if (!(sum <= uniform)) return { id: v, logprob: Math.log(p) };
  }
  return { id: last, logprob: Math.log(row[last]!) };
}

/** Ids of the tokens that both filters keep, in order of id. */
function keptTokens(row: Float32Array, topK: number, topP: number): number[] {
  // Tokens below (1 − topP) / V have less than 1 − topP of the mass together, so the others reach topP without them.
  const least = topK < row.length ? kthLargest(row, topK) : (1 - topP) / row.length;
  const ranked: number[] = [];
  for (let v = 0; v < row.length; v++) if (!(row[v]! < least)) ranked.push(v);
  ranked.sort((a, b) => row[b]! - row[a]! || a - b);
  ranked.length = Math.min(topK, ranked.length);

  const mass = topK < row.length ? ranked.reduce((sum, v) => sum + row[v]!, 0) : 1;
  let [sum, count] = [0, 0];
  while (count < ranked.length && (count === 0 || sum < topP * mass)) {
    sum += row[ranked[count]!]!;
    count += 1;
  }
  return ranked.slice(0, count).sort((a, b) => a - b);
}

/** The k-th largest value, by a heap of the k largest so far with the smallest on top. */
function kthLargest(row: Float32Array, k: number): number {
  const heap = row.slice(0, k).sort();
  for (let v = k; v < row.length; v++) {
    const value = row[v]!;
    if (!(value > heap[0]!)) continue;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= k) break;
      const child = left + 1 < k && heap[left + 1]! < heap[left]! ? left + 1 : left;
      if (heap[child]! >= value) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = value;
  }
  return heap[0]!;
}
