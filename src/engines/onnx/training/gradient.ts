/** The gradient of all trained parameters, added up over micro-batches in a flat array; checked as it grows. */
import { NonFiniteError } from '../../../policy/policy.ts';
import { nameAt, type ParameterLayout, viewOf } from '../model/parameters.ts';
import type { MicroBatch } from './micro-batches.ts';

export class Gradient {
  readonly layout: ParameterLayout;
  readonly values: Float32Array;

  /** Over `values`, laid out as `layout` says. */
  constructor(layout: ParameterLayout, values: Float32Array) {
    this.layout = layout;
    this.values = values;
  }

  /**
   * Adds `part` to the elements from `offset` on.
   * @throws NonFiniteError naming the parameter, when an element of the sum is not finite.
   */
  add(micro: MicroBatch, part: Float32Array, offset: number): void {
    const target = this.values.subarray(offset, offset + part.length);
    let check = 0; // NaN as soon as one element is not finite
    for (let i = 0; i < part.length; i++) {
      const sum = target[i]! + part[i]!;
      target[i] = sum;
      check += target[i]! * 0;
    }
    if (check !== 0) this.#refuse(micro);
  }

  /** Adds the gradient of looked-up embeddings, [T, hidden], to the embedding's rows. */
  addEmbedded(micro: MicroBatch, rows: Float32Array, hidden: number): void {
    const target = viewOf(this.layout, this.values, 'model.embed_tokens.weight');
    let check = 0;
    for (const [slot, id] of micro.levels.ids.entries()) {
      for (let i = 0; i < hidden; i++) {
        target[id * hidden + i]! += rows[slot * hidden + i]!;
        check += target[id * hidden + i]! * 0;
      }
    }
    if (check !== 0) this.#refuse(micro);
  }

  #refuse(micro: MicroBatch): never {
    const name = nameAt(
      this.layout,
      this.values.findIndex((value) => !Number.isFinite(value)),
    );
    const sequences = micro.work.map(({ index }) => index).join(', ');
    throw new NonFiniteError(
      `the gradient of ${name} is not finite (sequences ${sequences}); the weights were not changed`,
    );
  }
}
