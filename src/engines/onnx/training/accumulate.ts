/**
 * Forward and backward of whole batches: cuts them into micro-batches, feeds the loss graphs, and puts what they give
 * out together in the caller's order. Sums over tokens are float64.
 */
import {
  type CrossEntropyBatch,
  type DivergenceBatch,
  type LossBatch,
  type LossResult,
  NonFiniteError,
  type PolicyGradientBatch,
  type SoftCrossEntropyBatch,
  type SoftTargets,
  type TokenIds,
  type TopLogprobs,
} from '../../../policy/policy.ts';
import type { LossName } from '../model/losses.ts';
import {
  continuationWork,
  cutMicroBatches,
  forEachRow,
  type Limits,
  type MicroBatch,
  microBatch,
  type Work,
  workOf,
} from './micro-batches.ts';
import type { Job, Outputs } from './model-runner.ts';

/** Runs a loss with the present weights on micro-batches and adds their gradients. Outputs are in the order of the jobs. */
export type RunLoss = (loss: LossName, jobs: readonly Job[]) => Promise<Outputs[]>;
/** A readout; the caller has settled which, and with which weights. */
export type RunReadout = (jobs: readonly Job[]) => Promise<Outputs[]>;

/** Cuts a checked batch (checks.ts), runs its loss and adds up its gradient. */
export function lossOf(batch: LossBatch, run: RunLoss, limits: Limits): Promise<LossResult> {
  switch (batch.loss) {
    case 'policy-gradient':
      return policyGradient(run, batch, limits);
    case 'cross-entropy':
      return crossEntropy(run, batch, limits);
    case 'soft-cross-entropy':
      return softCrossEntropy(run, batch, limits);
    case 'forward-kl':
    case 'reverse-kl':
    case 'jsd':
      return divergence(run, batch, limits);
  }
}

async function policyGradient(run: RunLoss, batch: PolicyGradientBatch, limits: Limits): Promise<LossResult> {
  const { sequences, klCoefficient } = batch;
  const work = sequences.map(({ ids, mask, advantages, oldLogprobs, referenceLogprobs }, index) => {
    const streams = { mask, advantages, oldLogprobs, ...(referenceLogprobs && { referenceLogprobs }) };
    checkStreams(index, ids, streams);
    if (klCoefficient > 0 && !referenceLogprobs)
      throw new Error(
        `sequence ${index}: referenceLogprobs is needed for the KL term (klCoefficient ${klCoefficient})`,
      );
    return workOf(index, ids, mask);
  });
  const hasReference = sequences.every(({ referenceLogprobs }) => referenceLogprobs !== undefined);
  const jobs = cutMicroBatches(work, limits).map((micro) => ({
    micro,
    feeds: {
      targets: targets(micro, (index) => sequences[index]!.ids),
      advantages: stream(micro, (index, token) => sequences[index]!.advantages[token]!),
      oldLogprobs: stream(micro, (index, token) => sequences[index]!.oldLogprobs[token]!),
      referenceLogprobs: stream(
        micro,
        (index, token) => (sequences[index]!.referenceLogprobs ?? sequences[index]!.oldLogprobs)[token]!,
      ),
      clipFloor: 1 - batch.clipLow,
      clipCeiling: 1 + batch.clipHigh,
      klCoefficient,
      scale: 1 / batch.denominator,
    },
  }));
  const totals = new Totals(work);
  let maxRatioDeviation = 0;
  for (const [n, outputs] of (await run('policy-gradient', jobs)).entries()) {
    const { micro, feeds } = jobs[n]!;
    totals.add(micro, outputs);
    for (let row = 0; row < micro.rows; row++) {
      const deviation = Math.abs(Math.expm1(outputs.logprobs![row]! - feeds.oldLogprobs[row]!));
      maxRatioDeviation = Math.max(maxRatioDeviation, deviation);
    }
  }
  const { loss, tokens, mean } = totals.finish(batch.denominator);
  return {
    loss,
    tokens,
    metrics: {
      entropy: mean('entropies'),
      ...(hasReference && { referenceKl: mean('referenceKls') }),
      clipFraction: mean('clipped'),
      maxRatioDeviation,
    },
  };
}

async function crossEntropy(run: RunLoss, batch: CrossEntropyBatch, limits: Limits): Promise<LossResult> {
  const { sequences } = batch;
  const work = sequences.map(({ ids, weights }, index) => {
    checkStreams(index, ids, { weights });
    return workOf(index, ids, weights);
  });
  const jobs = cutMicroBatches(work, limits).map((micro) => ({
    micro,
    feeds: {
      targets: targets(micro, (index) => sequences[index]!.ids),
      weights: stream(micro, (index, token) => sequences[index]!.weights[token]!),
      scale: 1 / batch.denominator,
    },
  }));
  const totals = new Totals(work);
  const perToken = sequences.map(({ ids }) => new Float32Array(ids.length));
  for (const [n, outputs] of (await run('cross-entropy', jobs)).entries()) {
    const { micro } = jobs[n]!;
    totals.add(micro, outputs);
    forEachRow(micro, (row, index, token) => {
      perToken[index]![token] = outputs.logprobs![row]!;
    });
  }
  const { loss, tokens, mean } = totals.finish(batch.denominator);
  return { loss, tokens, metrics: { entropy: mean('entropies') }, perToken };
}

async function softCrossEntropy(run: RunLoss, batch: SoftCrossEntropyBatch, limits: Limits): Promise<LossResult> {
  const { sequences } = batch;
  const work = sequences.map((sequence, index) => {
    checkSoftTargets(index, sequence);
    const mask = new Uint8Array(sequence.ids.length);
    mask.set(sequence.mask, sequence.start);
    return workOf(index, sequence.ids, mask);
  });
  // Sequences with fewer tokens a row are filled up with some token of weight 0.
  const columns = Math.max(1, ...sequences.map(({ k }) => k));
  const jobs = cutMicroBatches(work, limits).map((micro) => {
    const ids = new Float64Array(micro.rows * columns);
    const weights = new Float32Array(micro.rows * columns);
    forEachRow(micro, (row, index, token) => {
      const { k, start, ...own } = sequences[index]!;
      const [from, to] = [(token - start) * k, (token - start + 1) * k];
      ids.set(own.tokens.subarray(from, to), row * columns);
      weights.set(own.weights.subarray(from, to), row * columns);
    });
    const feeds = {
      targets: { values: ids, columns },
      weights: { values: weights, columns },
      scale: 1 / batch.denominator,
    };
    return { micro, feeds };
  });
  const totals = new Totals(work);
  const perToken = sequences.map(({ mask }) => new Float32Array(mask.length));
  for (const [n, outputs] of (await run('soft-cross-entropy', jobs)).entries()) {
    const { micro } = jobs[n]!;
    totals.add(micro, outputs);
    forEachRow(micro, (row, index, token) => {
      perToken[index]![token - sequences[index]!.start] = outputs.losses![row]!;
    });
  }
  const { loss, tokens, mean } = totals.finish(batch.denominator);
  return { loss, tokens, metrics: { entropy: mean('entropies') }, perToken };
}

async function divergence(run: RunLoss, batch: DivergenceBatch, limits: Limits): Promise<LossResult> {
  const { pairs } = batch;
  const students: Work[] = [];
  const teachers: Work[] = [];
  for (const [index, { studentPrompt, teacherPrompt, ids, mask }] of pairs.entries()) {
    checkStreams(index, ids, { mask });
    if (studentPrompt.length === 0 || teacherPrompt.length === 0)
      throw new Error(`pair ${index}: a prompt is empty; the first token would have no context`);
    students.push(continuationWork(index, studentPrompt, ids, mask));
    teachers.push(continuationWork(index, teacherPrompt, ids, mask));
  }
  const feeds = { clip: batch.clip, scale: 1 / batch.denominator };
  const inverseTemperature = 1 / batch.teacherTemperature;
  const jobs = cutMicroBatches(students, limits).map((micro) => {
    // Same sequences in the same order, so row r of the teacher and row r of the student predict the same token.
    const taught = microBatch(micro.work.map(({ index }) => teachers[index]!));
    return { micro, feeds, teacher: { micro: taught, inverseTemperature } };
  });
  const totals = new Totals(students);
  const perToken = pairs.map(({ ids }) => new Float32Array(ids.length));
  for (const [n, outputs] of (await run(batch.loss, jobs)).entries()) {
    const { micro } = jobs[n]!;
    totals.add(micro, outputs);
    forEachRow(micro, (row, index, token) => {
      perToken[index]![token - pairs[index]!.studentPrompt.length] = outputs.divergences![row]!;
    });
  }
  const { loss, tokens, mean } = totals.finish(batch.denominator);
  return {
    loss,
    tokens,
    metrics: {
      entropy: mean('entropies'),
      clipFraction: mean('clipped'),
      divergence: mean('divergences'),
      teacherEntropy: mean('teacherEntropies'),
    },
    perToken,
  };
}

/** log π of every token of each sequence; entry 0 is 0. */
export async function logprobs(
  run: RunReadout,
  sequences: readonly TokenIds[],
  limits: Limits,
): Promise<Float32Array[]> {
  const results = sequences.map((ids) => new Float32Array(ids.length));
  const work = sequences.map((ids, index) => workOf(index, ids, new Uint8Array(ids.length).fill(1)));
  const jobs = cutMicroBatches(work, limits).map((micro) => ({
    micro,
    feeds: { targets: targets(micro, (index) => sequences[index]!) },
  }));
  for (const [n, outputs] of (await run(jobs)).entries()) {
    forEachRow(jobs[n]!.micro, (row, index, token) => {
      results[index]![token] = outputs.logprobs![row]!;
    });
  }
  return results;
}

/** The k likeliest tokens of every row, the likeliest first. */
export async function topLogprobs(
  run: RunReadout,
  sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
  k: number,
  limits: Limits,
): Promise<TopLogprobs[]> {
  const work = sequences.map(({ ids, start }, index) => {
    checkStart(index, ids, start);
    return workOf(index, ids, new Uint8Array(ids.length).fill(1, start));
  });
  const results = sequences.map(({ ids, start }) => ({
    tokens: new Int32Array((ids.length - start) * k),
    logprobs: new Float32Array((ids.length - start) * k),
  }));
  const jobs = cutMicroBatches(work, limits).map((micro) => ({ micro, feeds: { k: BigInt(k) } }));
  for (const [n, { topTokens, topLogprobs: top }] of (await run(jobs)).entries()) {
    forEachRow(jobs[n]!.micro, (row, index, token) => {
      const to = (token - sequences[index]!.start) * k;
      results[index]!.tokens.set(topTokens!.subarray(row * k, (row + 1) * k), to);
      results[index]!.logprobs.set(top!.subarray(row * k, (row + 1) * k), to);
    });
  }
  return results;
}

/** @throws when an output of a loss's graph is not finite, naming it, the sequence and the token. */
export function checkFinite(loss: LossName, micro: MicroBatch, outputs: Outputs): void {
  for (const [name, values] of Object.entries(outputs)) {
    forEachRow(micro, (row, index, token) => {
      const value = values[row]!;
      if (!Number.isFinite(value))
        throw new NonFiniteError(
          `${loss}: ${name} of sequence ${index} is ${value} at its token ${token}; the weights were not changed`,
        );
    });
  }
}

/** Sums of the graphs' row outputs, kept by sequence so that the order of micro-batches does not show in them. */
class Totals {
  readonly #tokens: number;
  readonly #bySequence: Map<string, number>[];

  constructor(work: readonly Work[]) {
    this.#tokens = work.reduce((sum, { positions }) => sum + positions.length, 0);
    this.#bySequence = work.map(() => new Map());
  }

  add(micro: MicroBatch, outputs: Outputs): void {
    for (const [name, values] of Object.entries(outputs)) {
      forEachRow(micro, (row, index) => {
        const sums = this.#bySequence[index]!;
        sums.set(name, (sums.get(name) ?? 0) + values[row]!);
      });
    }
  }

  finish(denominator: number): { loss: number; tokens: number; mean: (name: string) => number } {
    const sum = (name: string) => this.#bySequence.reduce((total, sums) => total + (sums.get(name) ?? 0), 0);
    return {
      loss: sum('losses') / denominator,
      tokens: this.#tokens,
      mean: (name) => (this.#tokens === 0 ? 0 : sum(name) / this.#tokens),
    };
  }
}

/** One value for each row of a micro-batch, from the sequence's index and the token that the row predicts. */
function stream(micro: MicroBatch, value: (index: number, token: number) => number): Float32Array {
  const values = new Float32Array(micro.rows);
  forEachRow(micro, (row, index, token) => {
    values[row] = value(index, token);
  });
  return values;
}

/** The token that each row predicts, [R, 1]. */
function targets(micro: MicroBatch, ids: (index: number) => TokenIds): { values: Float64Array; columns: number } {
  const values = new Float64Array(micro.rows);
  forEachRow(micro, (row, index, token) => {
    values[row] = ids(index)[token]!;
  });
  return { values, columns: 1 };
}

function checkStart(index: number, ids: TokenIds, start: number): void {
  if (!(Number.isInteger(start) && start >= 1 && start <= ids.length))
    throw new Error(`sequence ${index}: start is ${start}, expected a whole number from 1 to ${ids.length}`);
}

function checkSoftTargets(index: number, { ids, start, k, mask, tokens, weights }: SoftTargets): void {
  checkStart(index, ids, start);
  if (!(Number.isInteger(k) && k >= 1)) throw new Error(`sequence ${index}: k is ${k}, expected a whole number from 1`);
  const rows = ids.length - start;
  for (const [name, { length }, expected] of [
    ['mask', mask, rows],
    ['tokens', tokens, rows * k],
    ['weights', weights, rows * k],
  ] as const)
    if (length !== expected)
      throw new Error(
        `sequence ${index}: ${name} has ${length} entries, expected ${expected} (${rows} rows, k = ${k})`,
      );
}

function checkStreams(index: number, ids: TokenIds, streams: Readonly<Record<string, ArrayLike<number>>>): void {
  for (const [name, values] of Object.entries(streams)) {
    if (values.length !== ids.length)
      throw new Error(`sequence ${index}: ${name} has ${values.length} entries, expected ${ids.length} (one a token)`);
  }
}
