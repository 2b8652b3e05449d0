/**
 * The model as the sampler uses it: tokens of any number of sequences are read in one run, as many of each as there are, and
 * the next token is drawn for those that have been read to their end.
 *
 * A row's numbers do not depend, to the bit, on what the other rows hold, on how its tokens were cut into runs, or on where
 * its pages are. Stages treat each token by itself (decode-graph.ts), attention sees the row alone (attention-kernel.ts).
 * What is left: a matrix product of one row takes another path than one of several, so runs have at least two tokens.
 */
import { createHash } from 'node:crypto';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { createSession, floats, integers } from '../../../onnx/session.ts';
import type { TokenIds } from '../../../policy/policy.ts';
import { type DecodeBits, EMBEDDING, stageModel, stageParameters } from '../model/decode-graph.ts';
import { layoutOf, type ModelConfig, viewOf } from '../model/parameters.ts';
import { type RotaryAngles, rotaryAngles } from '../model/rotary.ts';
import { PagedCache, type RowToken } from './paged-cache.ts';
import type { CachedRow, RowCache } from './pages.ts';
import { type Draw, type DrawRule, drawToken } from './sampling.ts';

/** Most tokens of a run. */
export const RUN_TOKENS = 1024;
/** Fewest tokens of a run. */
const LEAST_TOKENS = 2;

/** Tokens to read into a row, at least one, behind what it holds; with a rule, what follows them is drawn. */
export interface Reading {
  readonly row: CachedRow;
  readonly ids: TokenIds;
  readonly rule?: DrawRule | undefined;
}

/** What reads tokens for the sampler; its weights lie wherever it computes. */
export interface TokenReader<Weights> {
  readonly cache: RowCache;
  /** Takes new weights. What rows hold was computed from the old ones. */
  load(weights: Weights): Promise<void>;
  /** Reads tokens into different rows, at most RUN_TOKENS in all; what was drawn, in the order of the readings. */
  read(readings: readonly Reading[]): Promise<(Draw | undefined)[]>;
}

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

export class Decoder implements TokenReader<Float32Array> {
  readonly cache: PagedCache;
  readonly #config: ModelConfig;
  readonly #threads: number;
  readonly #bits: DecodeBits;
  readonly #stages: (Stage | undefined)[] = [];
  /** Of as many positions as were needed so far. */
  #angles: RotaryAngles;
  #embedding: Float32Array = new Float32Array(0);
  readonly #scratch = new Scratch();

  constructor(config: ModelConfig, { threads, bits = 32 }: DecoderOptions) {
    this.#config = config;
    this.#threads = threads;
    this.#bits = bits;
    this.#angles = rotaryAngles(config, 0);
    this.cache = new PagedCache(config, RUN_TOKENS);
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

  /** Reads tokens into different rows, at most RUN_TOKENS in all; what was drawn, in the order of the readings. */
  async read(readings: readonly Reading[]): Promise<(Draw | undefined)[]> {
    const { layers, heads, headSize, hidden, vocabulary } = this.#config;
    const tokens = readings.flatMap(({ row, ids }) => ids.map((id, i) => ({ row, id, position: row.length + i })));
    for (const { row, ids } of readings) this.cache.extend(row, ids.length);
    let plan = this.cache.plan(tokens);
    let alive: readonly RowToken[] = tokens;
    let count = Math.max(tokens.length, LEAST_TOKENS);
    let residual = this.#embed(tokens, count);
    let made = await this.#run(0, count, {
      embedded: floats(residual, [count, hidden]),
      ...this.#turning(alive, count),
    });

    for (let layer = 0; layer < layers; layer++) {
      let query = made.newQuery!;
      residual = made.newResidual!;
      this.cache.write(layer, alive, made.newKey!, made.newValue!);
      const last = layer === layers - 1;
      if (last) {
        // From here on, only tokens matter that something is drawn after.
        const ends = endsOf(readings);
        if (ends.length === 0) return readings.map(() => undefined);
        alive = ends.map((end) => tokens[end]!);
        count = Math.max(alive.length, LEAST_TOKENS);
        plan = this.cache.plan(alive);
        query = pickRows(query, heads * headSize, ends, count);
        residual = pickRows(residual, hidden, ends, count);
      }
      const attended = this.#scratch.floats('attended', count * heads * headSize);
      // A row too many has nothing to see.
      attended.fill(0, alive.length * heads * headSize);
      this.cache.attend(layer, plan, alive.length, query, attended);
      made = await this.#run(layer + 1, count, {
        residual: floats(residual, [count, hidden]),
        attended: floats(attended, [count, heads * headSize]),
        ...(last ? this.#temperatures(readings, count) : this.#turning(alive, count)),
      });
    }

    const probabilities = made.probabilities!;
    let drawn = 0;
    return readings.map(({ rule }) => {
      if (rule === undefined) return undefined;
      const start = vocabulary * drawn++;
      return drawToken(probabilities.subarray(start, start + vocabulary), rule);
    });
  }

  /** Runs a stage for `count` tokens; what it makes is written over what the stage before the last one made. */
  async #run(
    stage: number,
    count: number,
    feeds: Readonly<Record<string, Tensor>>,
  ): Promise<Readonly<Record<string, Float32Array>>> {
    const { layers, heads, keyValueHeads, headSize, hidden, vocabulary } = this.#config;
    const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
    const shapes: Readonly<Record<string, readonly number[]>> =
      stage === layers
        ? { probabilities: [count, vocabulary] }
        : {
            newQuery: [count, 1, queries],
            newKey: [count, 1, keys],
            newValue: [count, keys],
            newResidual: [count, hidden],
          };
    const made: Record<string, Float32Array> = {};
    const outputs: Record<string, Tensor> = {};
    for (const [name, shape] of Object.entries(shapes)) {
      made[name] = this.#scratch.floats(
        `${name} ${stage % 2}`,
        shape.reduce((product, size) => product * size, 1),
      );
      outputs[name] = floats(made[name], shape);
    }
    await this.#stages[stage]!.session.run(feeds, outputs);
    return made;
  }

  /** Rows of the embedding, [count, hidden], zeros for those too many. */
  #embed(tokens: readonly { readonly id: number }[], count: number): Float32Array {
    const { hidden } = this.#config;
    const embedded = this.#scratch.floats('embedded', count * hidden);
    for (const [i, { id }] of tokens.entries())
      embedded.set(this.#embedding.subarray(id * hidden, (id + 1) * hidden), i * hidden);
    return embedded.fill(0, tokens.length * hidden);
  }

  /** Where tokens stand, and the tables by which their queries and keys are turned. */
  #turning(tokens: readonly RowToken[], count: number) {
    const half = this.#config.headSize / 2;
    const positions = new Float64Array(count);
    for (const [i, { position }] of tokens.entries()) positions[i] = position;
    const needed = positions.reduce((most, position) => Math.max(most, position + 1), 0);
    if (needed * half > this.#angles.cosine.length) this.#angles = rotaryAngles(this.#config, 2 * needed);
    const { cosine, sine } = this.#angles;
    return {
      positions: integers(positions, [count, 1]),
      cosine: floats(cosine, [cosine.length / half, half]),
      sine: floats(sine, [sine.length / half, half]),
    };
  }

  /** The temperature of each draw; greedy ones read the probabilities at temperature 1. */
  #temperatures(readings: readonly Reading[], count: number) {
    const temperature = new Float32Array(count).fill(1);
    let drawn = 0;
    for (const { rule } of readings) if (rule) temperature[drawn++] = rule.temperature || 1;
    return { temperature: floats(temperature, [count, 1]) };
  }
}

/** Of the readings that end in a draw, the index of the last token among all tokens. */
function endsOf(readings: readonly Reading[]): number[] {
  let end = -1;
  return readings.flatMap(({ ids, rule }) => {
    end += ids.length;
    return rule ? [end] : [];
  });
}

/** Those rows, and zeros up to `count` of them. */
function pickRows(matrix: Float32Array, width: number, rows: readonly number[], count: number): Float32Array {
  const picked = new Float32Array(count * width);
  for (const [i, row] of rows.entries()) picked.set(matrix.subarray(row * width, (row + 1) * width), i * width);
  return picked;
}

/**
 * Arrays used again and again. New ones for every run would be collected as garbage a hundred times a minute, at a twentieth of
 * the time (docs/log.md).
 */
class Scratch {
  readonly #arrays = new Map<string, Float32Array>();

  /** An array of that length, with anything in it, which the next call with the same name gives again. */
  floats(name: string, length: number): Float32Array {
    let array = this.#arrays.get(name);
    if (array === undefined || array.length < length) {
      array = new Float32Array(length);
      this.#arrays.set(name, array);
    }
    return array.subarray(0, length);
  }
}
