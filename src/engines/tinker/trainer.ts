/**
 * One training step as calls of the protocol. What the server lacks of a loss becomes a linear one (linear-loss.ts): `forward`
 * gives log π, and one importance_sampling at the ratio 1 sends the gradient back,
 *
 *     ∇ −(π/π_now) A = −A ∇log π   at π = π_now.
 *
 * All forward_backward requests of a step and its optim_step are posted in order, and only then waited for.
 */
import {
  type AdamWStep,
  type CallOptions,
  type CrossEntropyBatch,
  type LossBatch,
  type LossResult,
  NonFiniteError,
  type SoftCrossEntropyBatch,
  type StepResult,
  type TokenIds,
} from '../../policy/policy.ts';
import { policyGradientOf } from '../../policy/policy-gradient.ts';
import type { Pending } from './calls.ts';
import { type Datum, type DatumInputs, shifted, stream } from './datums.ts';
import {
  crossEntropyLoss,
  crossEntropySequences,
  type LinearSequence,
  policyGradientSequences,
  softSequences,
} from './linear-loss.ts';
import { type LossName, passRequests } from './passes.ts';
import type { Profile } from './profiles.ts';
import { type StepSize, scaledAdvantages, takesWeights } from './scale.ts';
import type { TrainedModel } from './trained-model.ts';
import { answerOf, answers, floats, metricOf, mismatch } from './wire.ts';

/** Datums of one batch for one loss of the server, and what its answers say of the batch's own loss. */
interface Part {
  readonly loss: LossName;
  /** Made when the number of all datums of the step is known. */
  readonly make: (size: { readonly datums: number; readonly tokens: number }) => Datum[];
  readonly datums: number;
  readonly tokens: number;
  readonly result: (answers: readonly ForwardAnswer[]) => LossResult;
}

interface ForwardAnswer {
  readonly logprobs: readonly (readonly unknown[])[];
  readonly metrics: Readonly<Record<string, unknown>>;
}

export class Trainer {
  readonly #model: TrainedModel;
  readonly #profile: Profile;

  constructor(model: TrainedModel, profile: Profile) {
    this.#model = model;
    this.#profile = profile;
  }

  /** log π of given ids, or of other targets at their positions, a stream each (entry 0 is 0). */
  async logprobs(
    sequences: readonly { readonly ids: TokenIds; readonly targets?: Int32Array }[],
    { signal, onProgress }: CallOptions = {},
  ): Promise<Float32Array[]> {
    const datums = sequences.map(({ ids, targets }) => {
      const n = ids.length - 1;
      const inputs: DatumInputs = {
        target_tokens: targets ? { dtype: 'int64', data: targets.subarray(1) } : shifted(ids),
        weights: { dtype: 'float32', data: new Float32Array(n).fill(1) },
      };
      return { ids, inputs };
    });
    // A sequence of one token predicts nothing; servers refuse empty inputs.
    const some = sequences.flatMap(({ ids }, i) => (ids.length > 1 ? [i] : []));
    const out = sequences.map(({ ids }) => new Float32Array(ids.length));
    let done = 0;
    const requests = passRequests(
      this.#profile.encoding,
      'forward',
      some.map((i) => datums[i]!),
      'cross_entropy',
    );
    const pending: Pending[] = [];
    for (const { name, fields } of requests) pending.push(await this.#model.begin(name, 'harmless', fields, signal));
    for (const [r, each] of pending.entries()) {
      const answer = this.#answer(await each.result(signal), requests[r]!.datums, 'forward');
      for (const values of answer.logprobs) {
        const i = some[done]!;
        out[i]!.set(floats(values, out[i]!.length - 1, this.#url, 'forward'), 1);
        done += 1;
      }
      onProgress?.(done, some.length);
    }
    return out;
  }

  /** @throws anything; weights and gradients are then unknown */
  async train(
    batches: readonly LossBatch[],
    step: AdamWStep,
    options: CallOptions = {},
  ): Promise<{ losses: LossResult[]; update: StepResult }> {
    const { signal, onProgress } = options;
    const parts: Part[] = [];
    for (const batch of batches) parts.push(await this.#partOf(batch, options));
    const size = {
      datums: parts.reduce((sum, { datums }) => sum + datums, 0),
      tokens: parts.reduce((sum, { tokens }) => sum + tokens, 0),
    };
    if (size.datums === 0) {
      // No coefficient differs from 0, so the gradient is 0, and below any minGradientNorm.
      const losses = parts.map((part) => part.result([]));
      return { losses, update: { gradientNorm: 0, skipped: true } };
    }

    const sent: { readonly datums: number; readonly pending: Pending }[][] = [];
    for (const part of parts) {
      const requests: { datums: number; pending: Pending }[] = [];
      for (const request of passRequests(this.#profile.encoding, 'forward_backward', part.make(size), part.loss)) {
        const { name, fields, datums } = request;
        requests.push({ datums, pending: await this.#model.begin(name, 'changing', fields, signal) });
      }
      sent.push(requests);
    }
    const stepping = await this.#model.begin('optim_step', 'changing', adamParams(step), signal);

    let done = 0;
    const losses: LossResult[] = [];
    for (const [i, requests] of sent.entries()) {
      const found: ForwardAnswer[] = [];
      for (const { datums, pending } of requests) {
        found.push(this.#answer(await pending.result(signal), datums, 'forward_backward'));
        done += datums;
        onProgress?.(done, size.datums);
      }
      losses.push(parts[i]!.result(found));
    }
    return { losses, update: this.#update(await stepping.result(signal)) };
  }

  /**
   * Clears the optimiser's moments where the server has no call for it: a step without gradient whose betas are 0 sets them to 0,
   * and at this learning rate moves nothing. The step count stays.
   */
  async clearMoments(): Promise<void> {
    const none = new Float32Array(2);
    const linear: LinearSequence[] = [{ ids: [0, 0], mask: Uint8Array.of(0, 1), coefficients: none }];
    const datum = this.#linearDatum(linear[0]!, await this.logprobs(linear).then(([first]) => first!), 1, {
      datums: 1,
      tokens: 1,
    });
    const [request] = passRequests(this.#profile.encoding, 'forward_backward', [datum], 'importance_sampling');
    const backward = await this.#model.begin(request!.name, 'changing', request!.fields);
    const adam = {
      learningRate: 1e-12,
      beta1: 0,
      beta2: 0,
      epsilon: 1,
      weightDecay: 0,
      clipNorm: 1,
      minGradientNorm: 0,
    };
    const step = await this.#model.begin('optim_step', 'changing', adamParams(adam));
    await backward.result();
    await step.result();
  }

  get #url(): string {
    return this.#model.session.caller.url;
  }

  async #partOf(batch: LossBatch, options: CallOptions): Promise<Part> {
    switch (batch.loss) {
      case 'policy-gradient': {
        const logprobs = await this.logprobs(batch.sequences, options);
        const { pulls, result } = policyGradientOf(batch, logprobs);
        const linear = policyGradientSequences(batch, pulls);
        return this.#linearPart(linear, logprobs, batch.denominator, () => result);
      }
      case 'cross-entropy':
        return this.#crossEntropyPart(batch, options);
      case 'soft-cross-entropy':
        return this.#softPart(batch, options);
      default:
        throw new RangeError(`${batch.loss} cannot be computed by this engine; capabilities.divergences is empty`);
    }
  }

  /** importance_sampling at ratio 1. Sequences without a coefficient have no gradient and are left out. */
  #linearPart(
    linear: readonly LinearSequence[],
    logprobs: readonly Float32Array[],
    denominator: number,
    result: Part['result'],
  ): Part {
    const kept = linear.flatMap((sequence, i) => (sequence.coefficients.some((c) => c !== 0) ? [i] : []));
    const tokens = kept.reduce((sum, i) => sum + linear[i]!.mask.reduce((own, m) => own + m, 0), 0);
    return {
      loss: 'importance_sampling',
      datums: kept.length,
      tokens,
      result,
      make: (size) => kept.map((i) => this.#linearDatum(linear[i]!, logprobs[i]!, denominator, size)),
    };
  }

  #linearDatum(
    { ids, targets, mask, coefficients }: LinearSequence,
    logprobs: Float32Array,
    denominator: number,
    size: { readonly datums: number; readonly tokens: number },
  ): Datum {
    const { reduction, maskKey } = this.#profile;
    const step: StepSize = { denominator, datums: size.datums };
    const { weights, advantages } = scaledAdvantages(reduction, mask, coefficients, step, size.tokens);
    const inputs: DatumInputs = {
      target_tokens: targets ? { dtype: 'int64', data: targets.subarray(1) } : shifted(ids),
      logprobs: stream(logprobs),
      advantages: stream(advantages),
      ...(maskKey !== null && { [maskKey]: stream(weights) }),
    };
    return { ids, inputs };
  }

  async #crossEntropyPart(batch: CrossEntropyBatch, options: CallOptions): Promise<Part> {
    const linear = crossEntropySequences(batch);
    const kept = linear.flatMap(({ mask }, i) => (mask.includes(1) ? [i] : []));
    const weights = linear.map(({ coefficients }) => coefficients.map((w) => w / batch.denominator));
    const sum = kept.reduce((total, i) => total + positiveSum(weights[i]!), 0);
    const direct =
      takesWeights(this.#profile.reduction, sum) && weights.every((each) => each.every((weight) => weight >= 0));
    if (!direct) {
      const logprobs = await this.logprobs(linear, options);
      const result = crossEntropyLoss(batch, linear, logprobs);
      return this.#linearPart(linear, logprobs, batch.denominator, () => result);
    }
    const scored = this.#profile.trainingLogprobs ? undefined : await this.logprobs(linear, options);
    return {
      loss: 'cross_entropy',
      datums: kept.length,
      tokens: kept.reduce((sum, i) => sum + linear[i]!.mask.reduce((own, m) => own + m, 0), 0),
      make: () =>
        kept.map((i) => {
          const { ids } = linear[i]!;
          return { ids, inputs: { target_tokens: shifted(ids), weights: stream(weights[i]!) } };
        }),
      result: (found) => {
        const logprobs = scored ?? linear.map(({ ids }) => new Float32Array(ids.length));
        const rows = found.flatMap((each) => each.logprobs);
        if (scored === undefined)
          for (const [n, i] of kept.entries())
            logprobs[i]!.set(floats(rows[n]!, logprobs[i]!.length - 1, this.#url, 'forward_backward'), 1);
        return crossEntropyLoss(batch, linear, logprobs);
      },
    };
  }

  /** A table of targets where the server takes one, else a datum for each column of it. */
  async #softPart(batch: SoftCrossEntropyBatch, options: CallOptions): Promise<Part> {
    const { denominator, sequences } = batch;
    const { softTargets, leastWeight, reduction, lossMetric } = this.#profile;
    const rows = sequences.reduce((sum, { mask }) => sum + mask.reduce((own, m) => own + m, 0), 0);
    if (softTargets === 'none') throw new RangeError('soft targets cannot be sent; capabilities.softTargets is "none"');
    const kept = sequences.filter(({ mask }) => mask.includes(1));
    const tables = kept.map((sequence) => softTable(sequence, denominator, leastWeight));
    const negative = tables.some(({ weights }) => weights.some((weight) => weight < 0));
    if (negative && softTargets === 'non-negative')
      throw new RangeError('a soft target has a weight below 0; capabilities.softTargets is "non-negative"');
    const sum = tables.reduce((total, { weights }) => total + positiveSum(weights), 0);
    // hatchery would divide by a sum of weights above 1; it takes free targets too.
    if (softTargets === 'single' || !takesWeights(reduction, sum)) {
      const linear = softSequences(batch);
      const logprobs = await this.logprobs(linear, options);
      const { loss } = crossEntropyLoss({ loss: 'cross-entropy', sequences: [], denominator }, linear, logprobs);
      return this.#linearPart(linear, logprobs, denominator, () => ({ loss, tokens: rows, metrics: {} }));
    }
    return {
      loss: 'cross_entropy',
      datums: kept.length,
      tokens: rows,
      make: () =>
        kept.map(({ ids, k }, i) => {
          const inputs: DatumInputs = {
            target_tokens: { dtype: 'int64', data: tables[i]!.tokens, columns: k },
            weights: { dtype: 'float32', data: tables[i]!.weights, columns: k },
          };
          return { ids, inputs };
        }),
      result: (found) => {
        // The answers hold no log-probabilities of soft targets, so the loss is the server's own sum.
        const losses = found.map(({ metrics }) => metricOf(metrics, lossMetric) ?? Number.NaN);
        const loss = losses.reduce((total, each) => total + each, 0);
        if (!Number.isFinite(loss)) throw mismatch(this.#url, 'forward_backward', `no finite metric ${lossMetric}`);
        return { loss, tokens: rows, metrics: {} };
      },
    };
  }

  #answer(value: unknown, datums: number, call: string): ForwardAnswer {
    const { loss_fn_outputs: outputs, metrics } = answerOf(answers.forward, value, this.#url, call);
    if (outputs.length !== datums) throw mismatch(this.#url, call, `${outputs.length} results for ${datums} datums`);
    return { logprobs: outputs.map(({ logprobs }) => logprobs.data), metrics: metrics ?? {} };
  }

  #update(value: unknown): StepResult {
    const { gradientNorm: name } = this.#profile;
    const { metrics } = answerOf(answers.stepped, value, this.#url, 'optim_step');
    const norm = name === null ? null : metricOf(metrics, name);
    if (norm === null && name !== null && metrics?.[name] === null)
      throw new NonFiniteError('the gradient is not finite');
    return { gradientNorm: norm, skipped: false };
  }
}

function adamParams({ learningRate, beta1, beta2, epsilon, weightDecay, clipNorm }: AdamWStep): string {
  const params = {
    learning_rate: learningRate,
    beta1,
    beta2,
    eps: epsilon,
    weight_decay: weightDecay,
    grad_clip_norm: clipNorm,
  };
  return `"adam_params":${JSON.stringify(params)},"type":"optim_step"`;
}

/** [n, k] over all predictions of a sequence: zeros, and a real id, where there is no target. */
function softTable(
  { ids, start, mask, k, tokens, weights }: SoftCrossEntropyBatch['sequences'][number],
  denominator: number,
  leastWeight: number,
): { readonly tokens: Int32Array; readonly weights: Float32Array } {
  const n = ids.length - 1;
  const table = { tokens: new Int32Array(n * k), weights: new Float32Array(n * k) };
  for (let row = 0; row < ids.length - start; row++) {
    const at = (start - 1 + row) * k;
    table.tokens.set(tokens.subarray(row * k, (row + 1) * k), at);
    if (mask[row] === 0) continue;
    for (let column = 0; column < k; column++) {
      const weight = weights[row * k + column]! / denominator;
      table.weights[at + column] = weight >= 0 ? Math.max(weight, leastWeight) : weight;
    }
  }
  return table;
}

function positiveSum(weights: Float32Array): number {
  return weights.reduce((sum, weight) => sum + Math.max(0, weight), 0);
}
