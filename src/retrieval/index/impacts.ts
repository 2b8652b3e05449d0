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
  let block = 0;
  const bounds = new TermBounds((max) => {
    blockMaxima[block++] = max;
  });
  for (let t = 0; t < terms; t++) {
    const end = postingStarts[t + 1]!;
    for (let i = postingStarts[t]!; i < end; i++) {
      const tf = frequencyOf(arrays, i);
      bounds.see(tf / (tf + K[lengthCodes[positions[i]!]!]!));
    }
    const { third, tenth } = bounds.finish();
    thirdBest[t] = third;
    tenthBest[t] = tenth;
  }
  return { k1, b, blockMaxima, thirdBest, tenthBest };
}

/** Takes the impacts of one term after the other, posting by posting, and gives their bounds in float32. */
export class TermBounds {
  readonly #best = new Best();
  readonly #onBlock: (max: number) => void;
  #seen = 0;
  #max = 0;

  /** @param onBlock takes the upper bound of each block, in order */
  constructor(onBlock: (max: number) => void) {
    this.#onBlock = onBlock;
  }

  see(impact: number): void {
    if (impact > this.#max) this.#max = impact;
    this.#best.see(impact);
    this.#seen += 1;
    if (this.#seen === BLOCK) this.#endBlock();
  }

  /** Ends the term; lower bounds of its third and tenth best impact. */
  finish(): { third: number; tenth: number } {
    if (this.#seen > 0) this.#endBlock();
    const bounds = { third: roundDown(this.#best.at(3)), tenth: roundDown(this.#best.at(10)) };
    this.#best.clear();
    return bounds;
  }

  #endBlock(): void {
    this.#onBlock(roundUp(this.#max));
    this.#max = 0;
    this.#seen = 0;
  }
}

/** The ten best impacts of a term, ascending. */
class Best {
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
