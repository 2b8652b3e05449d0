/**
 * For tests: a policy that is a table. log π(v | …u) = log softmax(Z[u])_v, exact in float64, trained by AdamW.
 *
 * It keeps the contract to the letter and gives nothing beyond it: no entropy, no stream by token, no gradient norm, no
 * likeliest tokens, no soft targets, no adapter. After a rejected `train` it refuses everything but `restore`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { uniformAt } from '../../base/random.ts';
import type {
  AdamWStep,
  Capabilities,
  CrossEntropyBatch,
  DivergenceBatch,
  LossBatch,
  LossResult,
  Policy,
  Sample,
  SampleRequest,
  TokenIds,
} from '../policy.ts';
import { NonFiniteError } from '../policy.ts';
import { policyGradientOf } from '../policy-gradient.ts';

export interface BigramOptions {
  /** The text of each token; as many as the vocabulary has. */
  readonly pieces: readonly string[];
  readonly contextLength: number;
  /** Z[u][v] at first. */
  readonly logit: (previous: number, next: number) => number;
}

const bare: Capabilities = {
  deterministic: true,
  sampler: 'exact',
  dryRun: false,
  divergences: ['forward-kl'],
  pointwiseClip: true,
  softTargets: 'none',
  topLogprobs: 0,
  frozen: 'any',
  adapter: 'never',
  optimizer: { fresh: true, clip: false, betasPerStep: true, gradientNorm: false },
  checkpoints: 'files',
};

/** Z and the optimiser's state, each [V V]. */
interface State {
  readonly logits: number[];
  readonly first: number[];
  readonly second: number[];
  readonly steps: number;
}

export function bigramPolicy({ pieces, contextLength, logit }: BigramOptions): Policy {
  const vocabulary = pieces.length;
  const zeros = () => new Array<number>(vocabulary ** 2).fill(0);
  const initial = zeros().map((_, i) => logit(Math.floor(i / vocabulary), i % vocabulary));
  let state: State = { logits: initial, first: zeros(), second: zeros(), steps: 0 };
  let frozen: readonly number[] | undefined;
  /** Why nothing may be asked. */
  let unusable: string | undefined;

  function usable(): void {
    if (unusable !== undefined) throw new Error(`the policy ${unusable}`);
  }

  /** log π(· | …previous), [V]. */
  const rowOf = (logits: readonly number[], previous: number, temperature = 1) =>
    logSoftmax(logits.slice(previous * vocabulary, (previous + 1) * vocabulary).map((z) => z / temperature));

  function streams(logits: readonly number[], sequences: readonly TokenIds[]): Float32Array[] {
    return sequences.map((ids) => Float32Array.from(ids, (id, t) => (t === 0 ? 0 : rowOf(logits, ids[t - 1]!)[id]!)));
  }

  /** Adds scale (weight π(· | …previous) − wanted) to the gradient's row, `wanted` adding up to `weight`. */
  function pull(gradient: number[], previous: number, wanted: readonly number[], scale: number): void {
    const logp = rowOf(state.logits, previous);
    const weight = wanted.reduce((sum, w) => sum + w, 0);
    for (let v = 0; v < vocabulary; v++)
      gradient[previous * vocabulary + v]! += scale * (weight * Math.exp(logp[v]!) - wanted[v]!);
  }

  function crossEntropy({ sequences, denominator }: Omit<CrossEntropyBatch, 'loss'>, gradient: number[]): LossResult {
    const logprobs = streams(
      state.logits,
      sequences.map(({ ids }) => ids),
    );
    let [loss, tokens] = [0, 0];
    for (const [i, { ids, weights }] of sequences.entries())
      for (let t = 1; t < ids.length; t++) {
        if (weights[t] === 0) continue;
        loss -= weights[t]! * logprobs[i]![t]!;
        tokens += 1;
        pull(gradient, ids[t - 1]!, oneHot(ids[t]!, weights[t]!), 1 / denominator);
      }
    return { loss: loss / denominator, tokens, metrics: {} };
  }

  function forwardKl(batch: DivergenceBatch, gradient: number[]): LossResult {
    if (frozen === undefined) throw new Error('there are no frozen weights: call freeze() first');
    let [loss, tokens] = [0, 0];
    for (const { teacherPrompt, studentPrompt, ids, mask } of batch.pairs)
      for (const [n] of ids.entries()) {
        if (mask[n] === 0) continue;
        const before = (prompt: TokenIds) => (n === 0 ? prompt.at(-1)! : ids[n - 1]!);
        const logT = rowOf(frozen, before(teacherPrompt), batch.teacherTemperature);
        const logS = rowOf(state.logits, before(studentPrompt));
        // l = p_T (log p_T − log p_S); where it is cut it has no gradient.
        const l = logT.map((value, v) => Math.exp(value) * (value - logS[v]!));
        loss += l.reduce((sum, value) => sum + Math.min(value, batch.clip), 0);
        tokens += 1;
        const wanted = l.map((value, v) => (value > batch.clip ? 0 : Math.exp(logT[v]!)));
        pull(gradient, before(studentPrompt), wanted, 1 / batch.denominator);
      }
    return { loss: loss / batch.denominator, tokens, metrics: {} };
  }

  function lossOf(batch: LossBatch, gradient: number[]): LossResult {
    switch (batch.loss) {
      case 'policy-gradient': {
        const logprobs = streams(
          state.logits,
          batch.sequences.map(({ ids }) => ids),
        );
        const { pulls, result } = policyGradientOf(batch, logprobs);
        const sequences = batch.sequences.map(({ ids }, i) => ({ ids, weights: pulls[i]! }));
        crossEntropy({ sequences, denominator: batch.denominator }, gradient);
        return { loss: result.loss, tokens: result.tokens, metrics: {} };
      }
      case 'cross-entropy':
        return crossEntropy(batch, gradient);
      case 'forward-kl':
        return forwardKl(batch, gradient);
      default:
        throw new Error(`the bare engine has no ${batch.loss}`);
    }
  }

  function step(gradient: readonly number[], adamW: AdamWStep): void {
    const { beta1, beta2, epsilon, learningRate, weightDecay } = adamW;
    const steps = state.steps + 1;
    const first = state.first.map((m, i) => beta1 * m + (1 - beta1) * gradient[i]!);
    const second = state.second.map((v, i) => beta2 * v + (1 - beta2) * gradient[i]! ** 2);
    const logits = state.logits.map((z, i) => {
      const m = first[i]! / (1 - beta1 ** steps);
      const v = second[i]! / (1 - beta2 ** steps);
      return z - learningRate * (m / (Math.sqrt(v) + epsilon) + weightDecay * z);
    });
    state = { logits, first, second, steps };
  }

  const oneHot = (id: number, weight: number) => pieces.map((_, v) => (v === id ? weight : 0));

  return {
    info: { engine: 'bigram', vocabulary, contextLength },
    capabilities: bare,

    async sample(request, { signal, onTokens } = {}) {
      signal?.throwIfAborted();
      usable();
      const sample = draw(request, pieces, contextLength, (previous, temperature) =>
        rowOf(state.logits, previous, temperature),
      );
      await Promise.resolve();
      signal?.throwIfAborted();
      const read = sample.stop === 'stop-token' ? sample.ids.slice(0, -1) : sample.ids;
      for (let n = 1; onTokens && n < read.length; n += 2) onTokens(read.slice(0, n));
      return sample;
    },
    release() {},

    async logprobs(sequences, weights, { signal } = {}) {
      signal?.throwIfAborted();
      usable();
      if (weights === 'frozen' && frozen === undefined) throw new Error('there are no frozen weights');
      return streams(weights === 'frozen' ? frozen! : state.logits, sequences);
    },
    async topLogprobs(_, k) {
      throw new Error(`k is ${k}, this engine gives none`);
    },

    async train(batches, adamW, { signal } = {}) {
      usable();
      try {
        signal?.throwIfAborted();
        const gradient = zeros();
        const losses = batches.map((batch) => lossOf(batch, gradient));
        const wrong = losses.findIndex(({ loss }) => !Number.isFinite(loss));
        if (wrong >= 0) throw new NonFiniteError(`the loss of batch ${wrong} is ${losses[wrong]!.loss}`);
        step(gradient, adamW);
        return { losses, update: { gradientNorm: null, skipped: false } };
      } catch (error) {
        unusable = 'has to be restored: a training call was rejected';
        throw error;
      }
    },

    async freeze() {
      usable();
      frozen = state.logits;
    },
    async attachAdapter() {
      throw new Error('this engine has no adapters');
    },
    async mergeAdapter() {
      throw new Error('this engine has no adapters');
    },

    async save(folder) {
      usable();
      await writeFile(path.join(folder, 'bigram.json'), JSON.stringify(state));
    },
    async restore(folder, { optimizer }) {
      const saved = JSON.parse(await readFile(path.join(folder, 'bigram.json'), 'utf8')) as State;
      state = optimizer === 'kept' ? saved : { ...saved, first: zeros(), second: zeros(), steps: 0 };
      unusable = undefined;
    },
    async discard() {},
    async close() {
      unusable = 'is closed';
    },
  };
}

function logSoftmax(z: readonly number[]): number[] {
  const max = Math.max(...z);
  const log = max + Math.log(z.reduce((sum, value) => sum + Math.exp(value - max), 0));
  return z.map((value) => value - log);
}

/** Token by token, by inverting the cumulative distribution. */
function draw(
  request: SampleRequest,
  pieces: readonly string[],
  contextLength: number,
  rowOf: (previous: number, temperature: number) => number[],
): Sample {
  const { prompt, maxTokens, temperature, topK, topP, stop, stopTokens, key, offset = 0 } = request;
  if (prompt.length === 0) throw new RangeError('the prompt is empty');
  if (topK !== undefined || topP !== undefined) throw new Error('this engine draws from the whole distribution');
  const ids: number[] = [];
  const logprobs: number[] = [];
  let text = '';
  for (;;) {
    if (prompt.length + ids.length >= contextLength) return { ids, logprobs, stop: 'context' };
    const logp = rowOf(ids.at(-1) ?? prompt.at(-1)!, temperature === 0 ? 1 : temperature);
    const id = temperature === 0 ? logp.indexOf(Math.max(...logp)) : chosen(logp, uniformAt(key, offset + ids.length));
    ids.push(id);
    logprobs.push(logp[id]!);
    text += pieces[id]!;
    if (stop.some((string) => text.includes(string))) return { ids, logprobs, stop: 'stop' };
    if (stopTokens.includes(id)) return { ids, logprobs, stop: 'stop-token' };
    if (ids.length === maxTokens) return { ids, logprobs, stop: 'length' };
  }
}

function chosen(logp: readonly number[], uniform: number): number {
  let sum = 0;
  for (const [v, value] of logp.entries()) {
    sum += Math.exp(value);
    if (uniform < sum) return v;
  }
  return logp.indexOf(Math.max(...logp));
}
