/**
 * The engine's thread. ONNX Runtime blocks the thread that runs it, so all of it happens here, beside the
 * process's servers and timers.
 *
 * Order: training verbs run one after another as they arrive, and samples among themselves in batches. Both kinds may
 * take turns, except that what changes the weights (a training's step, attach, merge, restore) waits for the samples asked
 * for before it and holds back those asked for after it. Samples end by themselves, so this cannot block for ever.
 */
import { workerData } from 'node:worker_threads';
import { useGuard } from '../../onnx/native-guard.ts';
import { opening, serve } from '../../onnx/serve.ts';
import type { AdamWStep, CallOptions, LossBatch, LossResult, Policy, TokenIds } from '../../policy/policy.ts';
import { Decoder } from './decoding/decoder.ts';
import { DeviceDecoder } from './decoding/device-decoder.ts';
import { Samplers, samplerPlan } from './decoding/samplers.ts';
import { Scheduler } from './decoding/scheduler.ts';
import type { Verbs, WorkerInput } from './messages.ts';
import type { DecodeBits } from './model/decode-graph.ts';
import type { DeviceDecodeBits } from './model/device-decode-graphs.ts';
import { DeviceTrainer } from './training/device-trainer.ts';
import { readSnapshot, writeSnapshot } from './training/snapshot.ts';
import { Trainer } from './training/training.ts';
import { WorkerThreads } from './worker-threads.ts';

const input = workerData as WorkerInput;
const { config, pieces, guard } = input;
useGuard(guard);
type Halves = { readonly trainer: Trainer | DeviceTrainer; readonly samplers: Samplers };
const { trainer, samplers } = await opening<Halves>(
  input.computing.device === 'cpu'
    ? onProcessor(input, input.computing.decodeBits)
    : onGpu(input, input.computing.decodeBits),
);
const totals = { trainedTokens: 0, trainSeconds: 0, scoredTokens: 0, scoreSeconds: 0 };

async function onProcessor({ weights, threads, maxActive }: WorkerInput, decodeBits: DecodeBits) {
  const plan = samplerPlan(weights.length, threads);
  const setup = { config, pieces, maxActive: Math.ceil(maxActive / plan.samplers), decodeBits, guard };
  const workerThreads = new WorkerThreads(setup);
  const trainer = new Trainer(config, weights, { threads, workerThreads });
  const scheduler = new Scheduler(new Decoder(config, { threads: plan.each, bits: decodeBits }), trainer, setup);
  const further = { others: plan.samplers - 1, source: trainer, workerThreads };
  return { trainer, samplers: new Samplers(scheduler, pieces, further) };
}

/** One thread, since the GPU does one thing at a time. */
async function onGpu({ weights, maxActive }: WorkerInput, decodeBits: DeviceDecodeBits) {
  const trainer = await DeviceTrainer.open(config, weights);
  const scheduler = new Scheduler(new DeviceDecoder(config, decodeBits), trainer, { config, pieces, maxActive });
  return { trainer, samplers: new Samplers(scheduler, pieces) };
}

/** Settles when all training verbs so far have ended. */
let trained: Promise<unknown> = Promise.resolve();

/** Runs `work` after the training verbs before it. */
function inTurn<T>(work: () => T | Promise<T>): Promise<T> {
  const result = trained.then(work);
  trained = result.catch(() => {});
  return result;
}

/** The same for work that changes the weights. */
function changing<T>(work: () => T | Promise<T>): Promise<T> {
  const before = trained;
  const result = samplers.exclusive(async () => {
    await before;
    return work();
  });
  trained = result.catch(() => {});
  return result;
}

/** Samples go on beside the gradients; only the step holds them back. */
function train(batches: readonly LossBatch[], step: AdamWStep, watch: CallOptions): ReturnType<Policy['train']> {
  const gradients = inTurn(async () => {
    const losses: LossResult[] = [];
    for (const batch of batches) {
      totals.trainedTokens += tokens(sequencesOf(batch));
      losses.push(await timed('trainSeconds', () => trainer.accumulate(batch, watch)));
    }
    return losses;
  });
  return changing(async () => {
    const losses = await gradients;
    if (watch.signal?.aborted) await trainer.dropGradient();
    watch.signal?.throwIfAborted();
    return { losses, update: await timed('trainSeconds', () => trainer.step(step)) };
  });
}

async function timed<T>(kind: 'trainSeconds' | 'scoreSeconds', work: () => T | Promise<T>): Promise<T> {
  const started = performance.now();
  try {
    return await work();
  } finally {
    totals[kind] += (performance.now() - started) / 1000;
  }
}

serve<Verbs>(
  {
    sample: (request, along, signal, tell) =>
      samplers.sample(request, { signal, ...(along && { onTokens: (ids) => tell(...ids) }) }),
    logprobs: (sequences, which, signal, onProgress) =>
      inTurn(() => {
        totals.scoredTokens += tokens(sequences);
        return timed('scoreSeconds', () => trainer.logprobs(sequences, which, { signal, onProgress }));
      }),
    topLogprobs: (sequences, k, which, signal, onProgress) =>
      inTurn(() => {
        totals.scoredTokens += tokens(sequences.map(({ ids }) => ids));
        return timed('scoreSeconds', () => trainer.topLogprobs(sequences, k, which, { signal, onProgress }));
      }),
    train: (batches, step, signal, onProgress) => train(batches, step, { signal, onProgress }),
    freeze: () => inTurn(() => trainer.freeze()),
    attachAdapter: (adapter) => changing(() => trainer.attachAdapter(adapter)),
    mergeAdapter: () => changing(() => trainer.mergeAdapter()),
    save: (folder) => inTurn(async () => writeSnapshot(folder, config, await trainer.state())),
    restore: (folder, { optimizer }) =>
      changing(async () => trainer.restore(await readSnapshot(folder, config, optimizer))),
    statistics: async () => ({ ...(await samplers.totals()), ...totals }),
  },
  { release: (session) => samplers.release(session) },
);

function tokens(sequences: readonly TokenIds[]): number {
  return sequences.reduce((sum, ids) => sum + ids.length, 0);
}

function sequencesOf(batch: LossBatch): TokenIds[] {
  if ('sequences' in batch) return batch.sequences.map(({ ids }) => ids);
  return batch.pairs.flatMap(({ teacherPrompt, studentPrompt, ids }) => [teacherPrompt, ids, studentPrompt, ids]);
}
