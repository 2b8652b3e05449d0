/**
 * Equal scores. Lucene has them by position in the index, and so have we by default. Anserini and Pyserini sort them by id, as
 * text: 0 1 10 11 2, the bytes of UTF-8 compared. Their lists, and those made with them, have that order.
 */
import { sharedArray } from '../index/arrays.ts';

export type Ties = 'position' | 'id';
export const tieRules: readonly Ties[] = ['position', 'id'];

/** The rank of each passage by its id; threads share it. */
export function idOrder(ids: Iterable<string>): Uint32Array {
  const bytes = Array.from(ids, (id) => Buffer.from(id));
  const sorted = [...bytes.keys()].sort((x, y) => Buffer.compare(bytes[x]!, bytes[y]!));
  const order = sharedArray(Uint32Array, sorted.length);
  for (const [rank, position] of sorted.entries()) order[position] = rank;
  return order;
}
