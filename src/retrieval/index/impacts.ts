/** Bounds on what postings can add to a score, for one k1 and b; see `Impacts`. */
import { BLOCK, frequencyOf, type Impacts, type IndexArrays, sharedArray } from './arrays.ts';

type LengthArrays = Pick<IndexArrays, 'length' | 'lengthCodes' | 'codeLengths' | 'totalTerms' | 'passages'>;

/** N of the formulas. `lucene` leaves passages without any term out, as Lucene does; `exact` counts all. */
export function countedPassages({
  length,
  lengthCodes,
  passages,
}: Pick<LengthArrays, 'length' | 'lengthCodes' | 'passages'>): number {
  if (length === 'exact') return passages;
  let counted = 0;
  for (let i = 0; i < passages; i++) if (lengthCodes[i] !== 0) counted++;
  return counted;
}

/** K = k1 (1 − b + b · |d| / average) of each length code: `exact` in float64, `lucene` in float32, rounded where Lucene rounds. */
export function saturations(arrays: LengthArrays, k1: number, b: number): Float64Array {
  const { length, codeLengths, totalTerms } = arrays;
  // A corpus without any term has no average, and no posting that would ask for it.
  const average = totalTerms === 0 ? 1 : totalTerms / countedPassages(arrays);
  if (length === 'exact') return Float64Array.from(codeLengths, (l) => k1 * (1 - b + (b * l) / average));
  const f = Math.fround;
  const [k1f, bf, averagef] = [f(k1), f(b), f(average)];
  return Float64Array.from(codeLengths, (l) => f(k1f * f(f(1 - bf) + f(f(bf * f(l)) / averagef))));
}

/** One pass over all postings. */
export function computeImpacts(arrays: IndexArrays, k1: number, b: number): Impacts {
  const { postingStarts, blockStarts, positions, lengthCodes } = arrays;
  const terms = postingStarts.length - 1;
  const K = saturations(arrays, k1, b);
  const blockMaxima = sharedArray(Float32Array, blockStarts[terms]!);
  const thirdBest = sharedArray(Float32Array, terms);
  const tenthBest = sharedArray(Float32Array, terms);
  const best = new Best();
  for (let t = 0; t < terms; t++) {
    const end = postingStarts[t + 1]!;
    let block = blockStarts[t]!;
    best.clear();
    for (let start = postingStarts[t]!; start < end; start += BLOCK) {
      let max = 0;
      const blockEnd = Math.min(start + BLOCK, end);
      for (let i = start; i < blockEnd; i++) {
        const tf = frequencyOf(arrays, i);
        const impact = tf / (tf + K[lengthCodes[positions[i]!]!]!);
        if (impact > max) max = impact;
        best.see(impact);
      }
      blockMaxima[block++] = roundUp(max);
    }
    thirdBest[t] = roundDown(best.at(3));
    tenthBest[t] = roundDown(best.at(10));
  }
  return { k1, b, blockMaxima, thirdBest, tenthBest };
}

/** The ten best impacts of a term, ascending. */
export class Best {
  readonly #best = new Float64Array(10);

  clear(): void {
    this.#best.fill(0);
  }

  see(impact: number): void {
    const best = this.#best;
    if (impact <= best[0]!) return;
    let i = 0;
    for (; i < 9 && best[i + 1]! < impact; i++) best[i] = best[i + 1]!;
    best[i] = impact;
  }

  /** The impact of this rank, from 1 for the best to 10; 0 when there are fewer. */
  at(rank: number): number {
    return this.#best[10 - rank]!;
  }
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The next float32 that is not below x, for x ≥ 0. */
export function roundUp(x: number): number {
  float[0] = x;
  if (float[0] < x) bits[0]! += 1;
  return float[0];
}

/** The next float32 that is not above x, for x ≥ 0. */
export function roundDown(x: number): number {
  float[0] = x;
  if (float[0] > x) bits[0]! -= 1;
  return float[0];
}
