/** Training steps of the small model, ours and PyTorch's on the same sequences: forward, backward, clip, AdamW. */
import { Random, streamKey } from '../../src/base/random.ts';
import { randomWeights } from '../../src/engines/onnx/model/random-weights.ts';
import { Trainer } from '../../src/engines/onnx/training/training.ts';
import { WorkerThreads } from '../../src/engines/onnx/worker-threads.ts';
import { sharedGuard } from '../../src/onnx/native-guard.ts';
import type { AdamWStep, CrossEntropyBatch } from '../../src/policy/policy.ts';
import { median, type Row, seconds } from './measure.ts';
import { randomSequences, small } from './shapes.ts';
import { type PeerTimes, peerNote, runPeer } from './torch.ts';

const REPEATS = 5;

export const adamW: AdamWStep = {
  learningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
  minGradientNorm: 0,
};

/** 16 sequences of 384 tokens; and 32 as long as rollouts are, 80 to 400 tokens. */
function cases(): { name: string; sequences: number[][] }[] {
  const random = new Random(streamKey('bench', 'lengths'));
  const lengths = Array.from({ length: 32 }, () => 80 + random.below(321));
  return [
    { name: 'train 16 x 384', sequences: randomSequences(small, new Array(16).fill(384), streamKey('bench', 'even')) },
    { name: 'train 32 x 80-400', sequences: randomSequences(small, lengths, streamKey('bench', 'uneven')) },
  ];
}

export function allTokens(sequences: readonly number[][]): CrossEntropyBatch {
  return {
    loss: 'cross-entropy',
    sequences: sequences.map((ids) => ({ ids, weights: new Float32Array(ids.length).fill(1) })),
    denominator: sequences.reduce((sum, ids) => sum + ids.length - 1, 0),
  };
}

export async function measureTraining(threads: number): Promise<Row[]> {
  const rows: Row[] = [];
  const work = cases();
  const tokens = (sequences: number[][]) => sequences.reduce((sum, ids) => sum + ids.length, 0);
  const workerThreads = new WorkerThreads({
    config: small,
    pieces: [],
    maxActive: 1,
    decodeBits: 32,
    guard: sharedGuard(),
  });
  for (const { name, sequences } of work) {
    for (const adapter of [false, true]) {
      const trainer = new Trainer(small, randomWeights(small), { threads, workerThreads });
      if (adapter) trainer.attachAdapter({ rank: 16, alpha: 32, key: streamKey('bench', 'adapter') });
      const batch = allTokens(sequences);
      const times = await seconds(REPEATS, async () => {
        await trainer.accumulate(batch);
        await trainer.step(adamW);
      });
      await trainer.close();
      rows.push({
        what: `${name}${adapter ? ', LoRA rank 16' : ''}`,
        who: 'search-e1',
        tokensPerSecond: tokens(sequences) / median(times),
        seconds: times,
      });
    }
  }
  await workerThreads.close();
  const peer = runPeer<PeerTimes>('torch_training.py', { config: small, threads, repeats: REPEATS, cases: work });
  for (const { name, ...times } of peer?.cases ?? [])
    rows.push({
      what: name,
      who: `PyTorch ${peer!.version}`,
      tokensPerSecond: tokens(work.find((one) => one.name === name)!.sequences) / median(times.seconds),
      ...times,
      note: peerNote(peer!),
    });
  return rows;
}
