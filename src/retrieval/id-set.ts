/** A set of ids that takes 12 to 36 bytes a member, whatever the ids: what is kept are 96 bits of each id's SHA-256. */
import { hash } from 'node:crypto';

/** 32-bit words of a fingerprint. Among 21 million ids two agree in all 96 bits with a probability of 3 · 10^-15. */
const WORDS = 3;

export class IdSet {
  #capacity = 1 << 10;
  /** Open addressing: a fingerprint in each slot, all zero for an empty one. */
  #slots = new Uint32Array(this.#capacity * WORDS);
  size = 0;

  /** False when the id is in the set already. */
  add(id: string): boolean {
    const digest = hash('sha256', id, 'buffer');
    const [x, y, z] = [digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8)];
    if (!this.#insert(x, y, z)) return false;
    this.size += 1;
    if (this.size > 0.7 * this.#capacity) this.#grow();
    return true;
  }

  #insert(x: number, y: number, z: number): boolean {
    const slots = this.#slots;
    for (let slot = x & (this.#capacity - 1); ; slot = (slot + 1) & (this.#capacity - 1)) {
      const at = slot * WORDS;
      if (slots[at] === x && slots[at + 1] === y && slots[at + 2] === z) return false;
      if (slots[at] !== 0 || slots[at + 1] !== 0 || slots[at + 2] !== 0) continue;
      slots.set([x, y, z], at);
      return true;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#capacity *= 2;
    this.#slots = new Uint32Array(this.#capacity * WORDS);
    for (let at = 0; at < before.length; at += WORDS) {
      const [x, y, z] = [before[at]!, before[at + 1]!, before[at + 2]!];
      if (x !== 0 || y !== 0 || z !== 0) this.#insert(x, y, z);
    }
  }
}
