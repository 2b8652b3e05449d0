/**
 * Losses of the contract as linear ones, the only kind that every server has: −1/D Σ_t m_t c_t log π_t, with c worked out on
 * the client from log π (`policyGradientOf`), or targets with weights of their own.
 */
import {
  type CrossEntropyBatch,
  type LossResult,
  NonFiniteError,
  type PolicyGradientBatch,
  type SoftCrossEntropyBatch,
  type TokenIds,
} from '../../policy/policy.ts';

/** One sequence of a linear loss; streams over all ids. */
export interface LinearSequence {
  readonly ids: TokenIds;
  /** What log π is taken of at each position; absent: the sequence's own ids. */
  readonly targets?: Int32Array;
  readonly mask: Uint8Array;
  /** c; 0 where the mask is. */
  readonly coefficients: Float32Array;
}

/** c = G of a clipped policy gradient, from log π of each sequence. @throws NonFiniteError where G is no number */
export function policyGradientSequences(
  { sequences }: PolicyGradientBatch,
  pulls: readonly Float32Array[],
): LinearSequence[] {
  return sequences.map(({ ids, mask }, i) => {
    const t = pulls[i]!.findIndex((pull) => !Number.isFinite(pull));
    if (t >= 0) throw new NonFiniteError(`the gradient of token ${t} of sequence ${i} is ${pulls[i]![t]}`);
    return { ids, mask: withoutFirst(mask), coefficients: pulls[i]! };
  });
}

/** c = the weights. */
export function crossEntropySequences({ sequences }: CrossEntropyBatch): LinearSequence[] {
  return sequences.map(({ ids, weights }) => ({
    ids,
    mask: withoutFirst(Uint8Array.from(weights, (w) => (w === 0 ? 0 : 1))),
    coefficients: weights,
  }));
}

/** loss = −1/D Σ w log π, with the log-probabilities of the present policy. */
export function crossEntropyLoss(
  { denominator }: CrossEntropyBatch,
  linear: readonly LinearSequence[],
  logprobs: readonly Float32Array[],
): LossResult {
  let [loss, tokens] = [0, 0];
  const perToken = linear.map(({ mask, coefficients }, i) =>
    logprobs[i]!.map((logprob, t) => {
      if (mask[t] === 0) return 0;
      loss -= coefficients[t]! * logprob;
      tokens += 1;
      return logprob;
    }),
  );
  return { loss: loss / denominator, tokens, metrics: {}, perToken };
}

/** Soft targets as k sequences each with one target a token, for servers that take no table of them. */
export function softSequences({ sequences }: SoftCrossEntropyBatch): LinearSequence[] {
  return sequences.flatMap(({ ids, start, mask, k, tokens, weights }) =>
    Array.from({ length: k }, (_, column) => {
      const targets = Int32Array.from(ids);
      const coefficients = new Float32Array(ids.length);
      for (let row = 0; row < ids.length - start; row++) {
        targets[start + row] = tokens[row * k + column]!;
        coefficients[start + row] = mask[row] ? weights[row * k + column]! : 0;
      }
      return { ids, targets, mask: Uint8Array.from(coefficients, (c) => (c === 0 ? 0 : 1)), coefficients };
    }),
  );
}

/** Entry 0 is never read: nothing precedes it. */
function withoutFirst(mask: Uint8Array): Uint8Array {
  const out = Uint8Array.from(mask);
  out[0] = 0;
  return out;
}
