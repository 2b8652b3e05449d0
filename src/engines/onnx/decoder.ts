/**
 * The model as the sampler uses it: rows of a key-value cache, extended by known tokens (`extend`) or by drawn ones
 * (`draw`).
 *
 * A row's numbers do not depend, to the bit, on which row it is, on what the other rows hold, on how its tokens were
 * cut into calls, or on the cache's capacity. Where that could fail:
 * - Real keys stand at the left of every row, the rest is masked: exp gives exactly 0 there, and adding 0 × finite at
 *   the end of a sum changes no bit. So that no NaN can stand there, rows are cleared when they are taken.
 * - The capacity is a multiple of 32 and at least the head size: positions keep their lanes in vector code, and
 *   ONNX Runtime cuts sums into the same blocks.
 * - A matrix product of one row takes another path than one of several, and products of few rows with many threads are
 *   cut in other places: calls are padded with idle rows.
 */
import { createHash } from 'node:crypto';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { TokenIds } from '../../policy/policy.ts';
import { attentionRows, type DecodeBits, EMBEDDING, stageModel, stageParameters } from './decode-graph.ts';
import { layoutOf, type ModelConfig, viewOf } from './parameters.ts';
import { type RotaryAngles, rotaryAngles } from './rotary.ts';
import { RowCache } from './row-cache.ts';
import { type Draw, type DrawRule, drawToken } from './sampling.ts';
import { createSession, floats, integers } from './session.ts';

/** Most tokens of one row that a run takes in, and most tokens of all rows together. */
const CHUNK = 64;
const RUN_TOKENS = 1024;
const CAPACITY_STEP = 32;
const MASKED = -1e9;

/** Known tokens to put into a row. */
export interface Extension {
  /** How many positions the row holds already. */
  readonly from: number;
  readonly ids: TokenIds;
}

/** The last known token of a row, and how to draw the next. */
export interface DrawRequest extends DrawRule {
  readonly id: number;
  /** Position of `id`, which is how many positions the row holds. */
  readonly position: number;
}

/** The first positions of a row, outside the cache: what `RowCache.save` gave for each layer's keys and values. */
export type SavedRow = readonly { readonly keys: Float32Array; readonly values: Float32Array }[];

export interface DecoderOptions {
  readonly threads: number;
  /** Bits of a weight; default 32. */
  readonly bits?: DecodeBits;
}

/** A stage's session and the SHA-256 of the parameters in it. */
interface Stage {
  readonly session: InferenceSession;
  readonly digest: string;
}

export class Decoder {
  readonly #config: ModelConfig;
  readonly #threads: number;
  readonly #bits: DecodeBits;
  /** Fewest rows of a run, so that every thread has whole products to compute. */
  readonly #leastRows: number;
  readonly #capacityStep: number;
  readonly #stages: (Stage | undefined)[] = [];
  #embedding: Float32Array = new Float32Array(0);
  #angles: RotaryAngles;
  readonly #cache: readonly { readonly keys: RowCache; readonly values: RowCache }[];
  #rows = 0;
  #capacity = 0;

  constructor(config: ModelConfig, { threads, bits = 32 }: DecoderOptions) {
    this.#config = config;
    this.#threads = threads;
    this.#bits = bits;
    this.#leastRows = Math.ceil(threads / config.keyValueHeads);
    this.#capacityStep = Math.max(CAPACITY_STEP, Math.ceil(config.headSize / CAPACITY_STEP) * CAPACITY_STEP);
    this.#angles = rotaryAngles(config, 0);
    const { keyValueHeads, headSize } = config;
    this.#cache = Array.from({ length: config.layers }, () => ({
      keys: new RowCache(keyValueHeads, headSize),
      values: new RowCache(keyValueHeads, headSize),
    }));
  }

  /**
   * Takes new weights (flat, as `layoutOf` says); the embedding is read in place until the next call. Stages whose
   * parameters are the same stay: with an adapter the head, after the restoring of a checkpoint perhaps all. What rows
   * hold was computed from the old weights.
   */
  async load(weights: Float32Array): Promise<void> {
    const { layers } = this.#config;
    this.#embedding = viewOf(layoutOf(this.#config), weights, EMBEDDING);
    for (let stage = 0; stage <= layers; stage++) {
      const hash = createHash('sha256');
      for (const { offset, size } of stageParameters(this.#config, stage))
        hash.update(weights.subarray(offset, offset + size));
      const digest = hash.digest('hex');
      if (this.#stages[stage]?.digest === digest) continue;
      await this.#stages[stage]?.session.release();
      this.#stages[stage] = undefined;
      const model = stageModel(this.#config, weights, stage, this.#bits);
      this.#stages[stage] = { session: await createSession(model, this.#threads), digest };
    }
  }

  async close(): Promise<void> {
    for (const stage of this.#stages.splice(0)) await stage?.session.release();
  }

  /** Makes room for rows 0 to `rows` − 1 of `length` positions, keeping what they hold up to there. */
  reserve(rows: number, length: number): void {
    const step = this.#capacityStep;
    const needed = Math.ceil(length / step) * step;
    // Attention costs as much as the capacity says, so it also shrinks, with some slack against to and fro.
    const capacity = needed > this.#capacity || needed + 2 * step <= this.#capacity ? needed : this.#capacity;
    const idle = Math.max(2, this.#leastRows);
    const total = rows + idle > this.#rows ? Math.max(rows + idle, Math.ceil(1.5 * this.#rows)) : this.#rows;
    if (capacity === this.#capacity && total === this.#rows) return;

    for (const { keys, values } of this.#cache) {
      keys.resize(total, capacity);
      values.resize(total, capacity);
    }
    this.#rows = total;
    this.#capacity = capacity;
    if (this.#angles.cosine.length < (capacity * this.#config.headSize) / 2)
      this.#angles = rotaryAngles(this.#config, capacity);
  }

  /** Puts known tokens, perhaps none, into rows `first`, `first` + 1, ..., for which `reserve` has made room. */
  async extend(first: number, extensions: readonly Extension[]): Promise<void> {
    let done = 0;
    while (done < extensions.length) {
      const width = Math.max(1, ...extensions.slice(done).map(({ ids }) => ids.length));
      const rows = Math.floor(RUN_TOKENS / Math.min(CHUNK, width));
      const batch = extensions.slice(done, done + rows);
      const longest = Math.max(...batch.map(({ ids }) => ids.length));
      for (let start = 0; start < longest; start += CHUNK) {
        const parts = batch.map(({ from, ids }) => ({ from: from + start, ids: ids.slice(start, start + CHUNK) }));
        await this.#run(first + done, parts, this.#config.layers - 1);
      }
      done += batch.length;
    }
  }

  /** Puts the last known token of rows 0, 1, ... into them and draws the next of each. */
  async draw(requests: readonly DrawRequest[]): Promise<Draw[]> {
    const count = this.#runRows(requests.length, 1);
    const temperature = new Float32Array(count).fill(1);
    for (const [row, request] of requests.entries())
      if (request.temperature > 0) temperature[row] = request.temperature;
    const parts = requests.map(({ id, position }) => ({ from: position, ids: [id] }));
    const results = await this.#run(0, parts, this.#config.layers, { temperature: floats(temperature, [count, 1]) });
    const probabilities = results.probabilities!.data as Float32Array;
    const { vocabulary } = this.#config;
    return requests.map((request, row) =>
      drawToken(probabilities.subarray(row * vocabulary, (row + 1) * vocabulary), request),
    );
  }

  /** Starts a row anew, with the first `length` positions of what was saved. */
  take(row: number, saved?: SavedRow, length = 0): void {
    for (const [layer, { keys, values }] of this.#cache.entries()) {
      keys.take(row, saved?.[layer]?.keys, length);
      values.take(row, saved?.[layer]?.values, length);
    }
  }

  /** Makes one row equal to another. */
  copy(from: number, to: number): void {
    for (const { keys, values } of this.#cache) {
      keys.copy(from, to);
      values.copy(from, to);
    }
  }

  /** A copy of the first `length` positions of a row. */
  save(row: number, length: number): SavedRow {
    return this.#cache.map(({ keys, values }) => ({ keys: keys.save(row, length), values: values.save(row, length) }));
  }

  /** Rows of a run with `count` rows of `width` tokens, idle ones included. */
  #runRows(count: number, width: number): number {
    return Math.max(count, this.#leastRows, width === 1 ? 2 : 1);
  }

  /** Runs stages 0 to `last` and writes keys and values of the new tokens; gives the outputs of the last stage. */
  async #run(
    first: number,
    parts: readonly Extension[],
    last: number,
    drawInputs: Readonly<Record<string, Tensor>> = {},
  ): Promise<InferenceSession.ReturnType> {
    const { layers, heads, keyValueHeads, headSize, hidden } = this.#config;
    const [capacity, angles] = [this.#capacity, this.#angles];
    const width = Math.max(...parts.map(({ ids }) => ids.length));
    const count = this.#runRows(parts.length, width);
    const embedded = new Float32Array(count * width * hidden);
    const positions = new Float64Array(count * width);
    for (const [row, part] of parts.entries()) {
      for (let s = 0; s < width; s++) {
        const id = part.ids[s];
        if (id !== undefined)
          embedded.set(this.#embedding.subarray(id * hidden, (id + 1) * hidden), (row * width + s) * hidden);
        positions[row * width + s] = Math.min(part.from + s, capacity - 1);
      }
    }
    const mask = this.#mask(count, width, positions);
    const turning = {
      positions: integers(positions, [count, width]),
      cosine: floats(angles.cosine, [angles.cosine.length / (headSize / 2), headSize / 2]),
      sine: floats(angles.sine, [angles.sine.length / (headSize / 2), headSize / 2]),
    };

    let results = await this.#stages[0]!.session.run({
      embedded: floats(embedded, [count * width, hidden]),
      ...turning,
    });
    for (let stage = 1; ; stage++) {
      const { keys, values } = this.#cache[stage - 1]!;
      const [newKeys, newValues] = [results.newKey!.data as Float32Array, results.newValue!.data as Float32Array];
      for (const [row, part] of parts.entries()) {
        for (let s = 0; s < part.ids.length; s++) {
          const offset = (row * width + s) * keyValueHeads * headSize;
          keys.write(first + row, part.from + s, newKeys, offset);
          values.write(first + row, part.from + s, newValues, offset);
        }
      }
      if (stage > last) return results;
      results = await this.#stages[stage]!.session.run({
        residual: floats(results.newResidual!.data as Float32Array, [count * width, hidden]),
        query: floats(results.newQuery!.data as Float32Array, [count, width, heads * headSize]),
        keys: floats(keys.view(first, count), [count, keyValueHeads, capacity, headSize]),
        values: floats(values.view(first, count), [count, keyValueHeads, capacity, headSize]),
        mask,
        ...(stage < layers ? turning : drawInputs),
      });
      if (stage === layers) return results;
    }
  }

  /** [count, 1, R width, capacity]: 0 up to the own position, MASKED after it, R times over. */
  #mask(count: number, width: number, positions: Float64Array): Tensor {
    const [capacity, copies] = [this.#capacity, attentionRows(this.#config)];
    const mask = new Float32Array(count * copies * width * capacity);
    let end = 0;
    for (let row = 0; row < count; row++) {
      for (let i = 0; i < copies * width; i++) {
        end += capacity;
        mask.fill(MASKED, end - capacity + positions[row * width + (i % width)]! + 1, end);
      }
    }
    return floats(mask, [count, 1, copies * width, capacity]);
  }
}
