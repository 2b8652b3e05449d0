/** What a model of the mock computes: forward and backward of the protocol's losses, sampling, optimiser, all exact. */
import { streamKey, uniformAt } from '../../../base/random.ts';
import type { TokenIds } from '../../../policy/policy.ts';
import { Adam, type AdamParams, CopyingBigram } from './copying-bigram.ts';
import type { Dialect } from './dialects.ts';

export interface WireTensor {
  readonly data: readonly number[];
  readonly shape: readonly number[];
}

export interface WireDatum {
  readonly model_input: { readonly chunks: readonly { readonly tokens: readonly number[] }[] };
  readonly loss_fn_inputs: Readonly<Record<string, WireTensor>>;
}

/** What the server refuses, with its status. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface SavedModel {
  readonly parameters: Float64Array;
  readonly optimizer: Adam;
}

/** One target: its row, its id and its weight, and c = −dl/dlog π at a weight of 1. */
interface Pull {
  readonly row: number;
  readonly target: number;
  readonly weight: number;
  readonly slope: number;
  readonly loss: number;
}

export class MockModel {
  bigram: CopyingBigram;
  optimizer: Adam;
  /** Steps and loads so far: samplers made before are stale. */
  version = 0;
  readonly #dialect: Dialect;
  #gradient: Float64Array;
  /** Datums since the last step. */
  #datums = 0;
  #hasGradient = false;

  constructor(initial: CopyingBigram, dialect: Dialect) {
    this.#dialect = dialect;
    this.bigram = new CopyingBigram(initial.vocabulary, initial.parameters.slice());
    this.optimizer = new Adam(initial.parameters.length);
    this.#gradient = new Float64Array(initial.parameters.length);
  }

  /** Log-probabilities of the targets, a list a datum; with `backward` the gradient is added up. */
  forward(
    data: readonly WireDatum[],
    loss: string,
    config: Readonly<Record<string, number>>,
    backward: boolean,
  ): { logprobs: number[][]; loss: number } {
    const logprobs: number[][] = [];
    let total = 0;
    const gradients: Float64Array[] = [];
    let weights = 0;
    for (const datum of data) {
      const ids = datum.model_input.chunks.flatMap(({ tokens }) => tokens);
      const rows = [...this.bigram.rows(ids)];
      const found = this.#pulls(datum, loss, config, rows, ids, backward);
      logprobs.push(found.logprobs);
      const own = found.pulls.reduce((sum, { weight }) => sum + weight, 0);
      const divisor = this.#dialect.reduction === 'mean-of-datums' ? Math.max(own, 1e-12) : 1;
      // mean-of-datums ignores the size of cross_entropy's weights, as its division says.
      const gradient = new Float64Array(this.#gradient.length);
      for (const { row, target, weight, slope, loss: value } of found.pulls) {
        total += (weight * value) / divisor;
        if (!backward || weight === 0) continue;
        const { logp, seen } = rows[row]!;
        // l = −c log π: dl/dlogit_v = c (π_v − [v = target])
        const byLogits = logp.map((x) => (weight / divisor) * slope * Math.exp(x));
        byLogits[target]! -= (weight / divisor) * slope;
        this.bigram.backward(gradient, ids[row]!, seen, byLogits);
      }
      weights += own;
      gradients.push(gradient);
    }
    const divisor = this.#dialect.reduction === 'mean-of-weights' ? Math.max(weights, 1) : 1;
    if (backward) {
      for (const gradient of gradients) for (const [i, g] of gradient.entries()) this.#gradient[i]! += g / divisor;
      this.#datums += data.length;
      this.#hasGradient = true;
    }
    return { logprobs, loss: total / divisor };
  }

  #pulls(
    { loss_fn_inputs: inputs }: WireDatum,
    loss: string,
    config: Readonly<Record<string, number>>,
    rows: readonly { readonly logp: Float64Array }[],
    ids: TokenIds,
    backward: boolean,
  ): { pulls: Pull[]; logprobs: number[] } {
    const { tables, freeTargets, maskKey } = this.#dialect;
    const targets = need(inputs, 'target_tokens');
    const n = rows.length;
    const columns = targets.shape.length === 2 ? targets.shape[1]! : 1;
    if (targets.data.length !== n * columns) throw new Refusal(400, 'target_tokens has another length than the input');
    if (columns > 1 || targets.shape.length === 2) {
      if (tables === 'refused') throw new Refusal(400, 'target_tokens must be one-dimensional');
    } else if (!freeTargets && ids.slice(1).some((id, t) => id !== targets.data[t]))
      throw new Refusal(400, 'target_tokens must be the input shifted');
    const used = tables === 'cut' ? 1 : columns;
    const logp = (row: number, column: number) => rows[row]!.logp[targets.data[row * columns + column]!]!;
    const logprobs = Array.from({ length: n }, (_, row) => (columns === 1 ? logp(row, 0) : 0));

    const pulls: Pull[] = [];
    const add = (row: number, column: number, weight: number, slope: number, value: number) =>
      pulls.push({ row, target: targets.data[row * columns + column]!, weight, slope, loss: value });
    if (loss === 'cross_entropy') {
      const weights = need(inputs, 'weights');
      if (weights.data.length !== targets.data.length)
        throw new Refusal(400, 'weights and target_tokens differ in shape');
      for (let row = 0; row < n; row++) {
        const own = weights.data.slice(row * columns, (row + 1) * columns);
        const any = own.some((w) => w !== 0);
        for (let column = 0; column < used; column++) {
          const w = own[column]!;
          if (w < 0 && tables === 'zeros leak') throw new Refusal(400, 'weights must not be negative');
          const leaked = tables === 'zeros leak' && columns > 1 && any && w === 0 ? Math.exp(-10) : w;
          add(row, column, leaked, 1, -logp(row, column));
        }
      }
      return { pulls, logprobs };
    }
    if (loss !== 'importance_sampling' && loss !== 'ppo') throw new Refusal(400, `unknown loss_fn ${loss}`);
    const old = need(inputs, 'logprobs').data;
    const advantages = need(inputs, 'advantages').data;
    const mask = maskKey === null ? undefined : inputs[maskKey]?.data;
    if (maskKey === 'mask' && !mask?.includes(1)) throw new Refusal(400, 'every datum needs a mask with a 1');
    const [low, high] = [config.clip_low_threshold ?? 0.8, config.clip_high_threshold ?? 1.2];
    for (let row = 0; row < n; row++) {
      const ratio = Math.exp(logp(row, 0) - old[row]!);
      const free = ratio * advantages[row]!;
      const bounded = loss === 'ppo' ? Math.min(Math.max(ratio, low), high) * advantages[row]! : free;
      add(row, 0, mask?.[row] ?? 1, free > bounded ? 0 : free, -Math.min(free, bounded));
    }
    if (this.#dialect.trainingLogprobs === 'echo' && backward) return { pulls, logprobs: [...old] };
    return {
      pulls,
      logprobs: this.#dialect.trainingLogprobs === 'zeros' && backward ? logprobs.map(() => 0) : logprobs,
    };
  }

  step(adam: AdamParams): number {
    if (!this.#hasGradient) throw new Refusal(400, 'optim_step without gradient');
    const divisor = this.#dialect.reduction === 'mean-of-datums' ? Math.max(1, this.#datums) : 1;
    const gradient = this.#gradient.map((g) => g / divisor);
    const norm = this.optimizer.step(this.bigram.parameters, gradient, adam, this.#dialect.clip);
    this.#forget();
    return norm;
  }

  save(): SavedModel {
    return { parameters: this.bigram.parameters.slice(), optimizer: this.optimizer.copy() };
  }

  load(saved: SavedModel, withOptimizer: boolean): void {
    this.bigram = new CopyingBigram(this.bigram.vocabulary, saved.parameters.slice());
    if (withOptimizer) this.optimizer = saved.optimizer.copy();
    else if (this.#dialect.optimizerFalse === 'fresh') this.optimizer = new Adam(saved.parameters.length);
    this.#forget();
  }

  #forget(): void {
    this.#gradient = new Float64Array(this.bigram.parameters.length);
    this.#datums = 0;
    this.#hasGradient = false;
    this.version += 1;
  }
}

/** float32, as every server takes them; ids are small enough to stay what they are. */
function need(inputs: WireDatum['loss_fn_inputs'], name: string): WireTensor {
  const tensor = inputs[name];
  if (tensor === undefined) throw new Refusal(422, `loss_fn_inputs.${name} is missing`);
  return { ...tensor, data: tensor.data.map(Math.fround) };
}

export interface WireSampling {
  readonly max_tokens: number;
  readonly temperature: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly seed?: number;
  readonly stop?: readonly (string | number)[];
}

/** One continuation of `count`; the text that completes a stop is kept. */
export function sampleFrom(
  bigram: CopyingBigram,
  prompt: TokenIds,
  { max_tokens, temperature, top_k: topK = -1, top_p: topP = 1, seed = 0, stop = [] }: WireSampling,
  count: number,
  { greedyAtOne }: Dialect,
  pieces: readonly string[],
): { tokens: number[]; logprobs: number[]; stop_reason: 'stop' | 'length' } {
  const greedy = temperature === 0 || (greedyAtOne && temperature === 1 && count === 1);
  const most = topK > 0 ? topK : greedyAtOne ? 50 : bigram.vocabulary;
  const tokens: number[] = [];
  const logprobs: number[] = [];
  let text = '';
  const key = streamKey('mock', seed);
  while (tokens.length < max_tokens) {
    const logp = bigram.logprobs([...prompt, ...tokens]);
    const scaled = [...logp].map((x, id) => ({ id, weight: Math.exp(temperature === 0 ? x : x / temperature) }));
    scaled.sort((a, b) => b.weight - a.weight || a.id - b.id);
    const all = scaled.reduce((sum, { weight }) => sum + weight, 0);
    let mass = 0;
    const kept = scaled.slice(0, most).filter(({ weight }) => {
      const within = mass < topP * all;
      mass += weight;
      return within;
    });
    const total = kept.reduce((sum, { weight }) => sum + weight, 0);
    const point = greedy ? 0 : uniformAt(key, tokens.length) * total;
    let sum = 0;
    const drawn =
      kept.find(({ weight }) => {
        sum += weight;
        return sum > point;
      }) ?? kept.at(-1)!;
    tokens.push(drawn.id);
    logprobs.push(greedy ? logp[drawn.id]! : Math.log(drawn.weight / total));
    text += pieces[drawn.id] ?? '';
    if (stop.some((each) => (typeof each === 'number' ? each === drawn.id : text.includes(each))))
      return { tokens, logprobs, stop_reason: 'stop' };
  }
  return { tokens, logprobs, stop_reason: 'length' };
}
