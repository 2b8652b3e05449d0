/**
 * Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A stream is a key; its n-th number is a pure function of (key, n). Nothing is shared and nothing advances behind
 * the scenes, so the order of completion, batching and resumption change no draw.
 */

/** Two unsigned 32-bit words. */
export type StreamKey = readonly [number, number];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** The high 32 bits of a 32 x 32 bit product; `Math.imul` gives the low ones. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** Ten rounds of Philox 4x32 over a 128-bit counter. */
export function philox(
  counter: readonly [number, number, number, number],
  key: StreamKey,
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * The key of the stream that belongs to `parts`, e.g. `streamKey(seed, 'grpo-1', step, questionId, rollout)`.
 * Two 32-bit FNV-1a hashes of the parts' text, mixed by one Philox block.
 */
export function streamKey(...parts: readonly (string | number)[]): StreamKey {
  let [a, b] = [0x811c9dc5, 0x9dc5811c];
  for (const part of parts) {
    const text = `${typeof part === 'number' ? 'n' : 's'}${part}\u0000`;
    for (let i = 0; i < text.length; i++) {
      a = Math.imul(a ^ text.charCodeAt(i), 0x01000193) >>> 0;
      b = Math.imul(b ^ text.charCodeAt(i), 0x01000193) >>> 0;
      b = ((b << 5) | (b >>> 27)) >>> 0;
    }
  }
  const [x, y] = philox([a, b, 0, 0], [b, a]);
  return [x, y];
}

/** The n-th number of a stream, uniform in [0, 1) with 32 bits. */
export function uniformAt(key: StreamKey, n: number): number {
  const block = philox([Math.floor(n / 4) >>> 0, Math.floor(n / 4 / 0x100000000) >>> 0, 0, 0], key);
  return block[n & 3]! / 0x100000000;
}

/** A sequential reader of one stream, for code that draws as it goes (world generator, shuffles). */
export class Random {
  readonly #key: StreamKey;
  #block: [number, number, number, number] = [0, 0, 0, 0];
  #position = 0;

  constructor(key: StreamKey) {
    this.#key = key;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    if ((this.#position & 3) === 0) {
      const index = this.#position / 4;
      this.#block = philox([index >>> 0, Math.floor(index / 0x100000000) >>> 0, 0, 0], this.#key);
    }
    return this.#block[this.#position++ & 3]! / 0x100000000;
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** True with probability p. */
  chance(p: number): boolean {
    return this.uniform() < p;
  }

  /** One element of a non-empty list. */
  choice<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('choice from an empty list');
    return items[this.below(items.length)]!;
  }

  /** One element, drawn with the given non-negative weights. */
  weighted<T>(items: readonly (readonly [T, number])[]): T {
    let rest = this.uniform() * items.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [item, weight] of items) {
      rest -= weight;
      if (rest < 0) return item;
    }
    return items[items.length - 1]![0];
  }

  /** A standard normal number (Box-Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }

  /** n distinct elements in random order; all of them when n is larger than the list. */
  sample<T>(items: readonly T[], n: number): T[] {
    return this.shuffle(items).slice(0, n);
  }
}
