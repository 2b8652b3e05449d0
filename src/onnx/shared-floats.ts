/** Flat arrays in memory that the engine's threads share: sent to another thread, they are the same numbers, not a copy. */

export type SharedFloats = Float32Array<SharedArrayBuffer>;

/** `size` zeros. */
export function sharedFloats(size: number): SharedFloats {
  return new Float32Array(new SharedArrayBuffer(size * Float32Array.BYTES_PER_ELEMENT));
}

export function sharedCopy(values: Float32Array): SharedFloats {
  const copy = sharedFloats(values.length);
  copy.set(values);
  return copy;
}
