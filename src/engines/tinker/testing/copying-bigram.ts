/**
 * The mock server's language model: small enough to be trained in float64 with exact gradients, real enough to learn.
 *
 *     logit(v | context) = W[last, v] + C[last] · [v stands in the context]
 *
 * W are bigrams; C lets a token be followed by one that was read before, as an answer is read off a passage, so that a longer
 * prompt changes what comes. V tokens, V² + V parameters.
 */
import { Random, type StreamKey } from '../../../base/random.ts';
import type { TokenIds } from '../../../policy/policy.ts';

export class CopyingBigram {
  readonly vocabulary: number;
  /** W by rows, then C. */
  readonly parameters: Float64Array;

  constructor(vocabulary: number, parameters: Float64Array = new Float64Array(vocabulary * (vocabulary + 1))) {
    this.vocabulary = vocabulary;
    this.parameters = parameters;
  }

  static random(vocabulary: number, key: StreamKey): CopyingBigram {
    const random = new Random(key);
    const model = new CopyingBigram(vocabulary);
    for (let i = 0; i < model.parameters.length; i++) model.parameters[i] = random.normal();
    return model;
  }

  /** Bigram counts of texts, smoothed, with a pull towards what was read behind the tokens that are named. */
  static fromSequences(
    vocabulary: number,
    sequences: readonly TokenIds[],
    { smoothing, copiesBehind, pull }: { smoothing: number; copiesBehind: TokenIds; pull: number },
  ): CopyingBigram {
    const model = new CopyingBigram(vocabulary);
    const counts = new Float64Array(vocabulary * vocabulary).fill(smoothing);
    for (const ids of sequences) for (let t = 1; t < ids.length; t++) counts[ids[t - 1]! * vocabulary + ids[t]!]! += 1;
    for (const [i, count] of counts.entries()) model.parameters[i] = Math.log(count);
    for (const id of copiesBehind) model.parameters[vocabulary * vocabulary + id] = pull;
    return model;
  }

  copy(): CopyingBigram {
    return new CopyingBigram(this.vocabulary, this.parameters.slice());
  }

  /** log p of every token after `context`, which is not empty. */
  logprobs(context: TokenIds): Float64Array {
    const V = this.vocabulary;
    const last = context.at(-1)!;
    const out = this.parameters.slice(last * V, (last + 1) * V);
    const pull = this.parameters[V * V + last]!;
    for (const id of new Set(context)) out[id]! += pull;
    return logSoftmax(out);
  }

  /** Of each position t ≥ 1 log p of all tokens, given ids[0..t−1]. */
  *rows(
    ids: TokenIds,
  ): Generator<{ readonly t: number; readonly logp: Float64Array; readonly seen: ReadonlySet<number> }> {
    const V = this.vocabulary;
    const seen = new Set<number>();
    for (let t = 1; t <= ids.length; t++) {
      const last = ids[t - 1]!;
      seen.add(last);
      const logits = this.parameters.slice(last * V, (last + 1) * V);
      const pull = this.parameters[V * V + last]!;
      for (const id of seen) logits[id]! += pull;
      yield { t, logp: logSoftmax(logits), seen: new Set(seen) };
    }
  }

  /** Adds to `gradient` what a gradient by the logits behind `last` is by the parameters. */
  backward(gradient: Float64Array, last: number, seen: ReadonlySet<number>, byLogits: Float64Array): void {
    const V = this.vocabulary;
    for (let v = 0; v < V; v++) gradient[last * V + v]! += byLogits[v]!;
    for (const id of seen) gradient[V * V + last]! += byLogits[id]!;
  }
}

function logSoftmax(logits: Float64Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const log = most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0));
  return logits.map((x) => x - log);
}

/** Adam with decoupled weight decay and a clip of the gradient's norm, on flat parameters; its state can be copied. */
export class Adam {
  first: Float64Array;
  second: Float64Array;
  steps = 0;

  constructor(size: number) {
    this.first = new Float64Array(size);
    this.second = new Float64Array(size);
  }

  copy(): Adam {
    const out = new Adam(0);
    out.first = this.first.slice();
    out.second = this.second.slice();
    out.steps = this.steps;
    return out;
  }

  /** @returns the gradient's norm before clipping */
  step(parameters: Float64Array, gradient: Float64Array, adam: AdamParams, clip: boolean): number {
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    const most = adam.grad_clip_norm;
    const scale = clip && most > 0 && norm > most ? most / norm : 1;
    this.steps += 1;
    for (const [i, raw] of gradient.entries()) {
      const g = raw * scale;
      this.first[i] = adam.beta1 * this.first[i]! + (1 - adam.beta1) * g;
      this.second[i] = adam.beta2 * this.second[i]! + (1 - adam.beta2) * g * g;
      const m = this.first[i]! / (1 - adam.beta1 ** this.steps);
      const v = this.second[i]! / (1 - adam.beta2 ** this.steps);
      const decay = adam.learning_rate * adam.weight_decay * parameters[i]!;
      parameters[i] = parameters[i]! - decay - (adam.learning_rate * m) / (Math.sqrt(v) + adam.eps);
    }
    return norm;
  }
}

export interface AdamParams {
  readonly learning_rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weight_decay: number;
  readonly grad_clip_norm: number;
}
