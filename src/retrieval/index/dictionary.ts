/** The dictionary: terms in order, found by name through a hash table that is nothing but a typed array. */
import { type Dictionary, sharedArray } from './arrays.ts';

/** Bytes of the term that is looked up; grows with the longest one asked for. */
let scratch = new Uint8Array(256);
const encoder = new TextEncoder();

/** Rank of a term, or −1 when no passage has it. */
export function termId({ bytes, ends, slots }: Dictionary, term: string): number {
  const length = encode(term);
  const mask = slots.length - 1;
  for (let slot = hashOf(scratch, 0, length) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
    const id = slots[slot]! - 1;
    const start = id === 0 ? 0 : ends[id - 1]!;
    if (ends[id]! - start !== length) continue;
    let same = 0;
    while (same < length && bytes[start + same] === scratch[same]) same++;
    if (same === length) return id;
  }
  return -1;
}

/** The term of a rank in [0, T). */
export function termOf({ bytes, ends }: Dictionary, id: number): string {
  return Buffer.from(bytes.subarray(id === 0 ? 0 : ends[id - 1]!, ends[id]!)).toString();
}

/** The hash table over terms that stand in order; the same for the same terms. */
export function buildSlots(bytes: Uint8Array, ends: Uint32Array): Uint32Array {
  const slots = sharedArray(Uint32Array, slotCount(ends.length));
  const mask = slots.length - 1;
  let start = 0;
  for (let id = 0; id < ends.length; id++) {
    let slot = hashOf(bytes, start, ends[id]!) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = id + 1;
    start = ends[id]!;
  }
  return slots;
}

/** The smallest power of two that leaves at least half of the slots empty; one empty slot ends every search. */
export function slotCount(terms: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, 2 * terms)));
}

/** Puts the term's UTF-8 into `scratch` and returns its length in bytes. */
function encode(term: string): number {
  // A UTF-16 unit takes at most three bytes.
  if (term.length * 3 > scratch.length) scratch = new Uint8Array(term.length * 6);
  for (let i = 0; i < term.length; i++) {
    const unit = term.charCodeAt(i);
    if (unit >= 0x80) return encoder.encodeInto(term, scratch).written;
    scratch[i] = unit;
  }
  return term.length;
}

/** FNV-1a of bytes[start ... end−1], its high bits mixed into the low ones, which choose the slot. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
