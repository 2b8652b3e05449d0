/**
 * One optimiser step of the Qwen2.5-0.5B shape with random weights, in a process of its own so that its peak memory is
 * that of the step: `node bench/engine/large-step.ts lora|full [sequences] [tokens] [threads]` prints one JSON document.
 */
import { streamKey } from '../../src/base/random.ts';
import { randomWeights } from '../../src/engines/onnx/model/random-weights.ts';
import { Trainer } from '../../src/engines/onnx/training/training.ts';
import { WorkerThreads } from '../../src/engines/onnx/worker-threads.ts';
import { sharedGuard } from '../../src/onnx/native-guard.ts';
import { halfBillion, randomSequences } from './shapes.ts';
import { adamW, allTokens } from './training.ts';

const [mode = 'lora', sequences = '4', tokens = '512', threads = '2'] = process.argv.slice(2);
const workerThreads = new WorkerThreads({
  config: halfBillion,
  pieces: [],
  maxActive: 1,
  decodeBits: 32,
  guard: sharedGuard(),
});
const trainer = new Trainer(halfBillion, randomWeights(halfBillion), { threads: Number(threads), workerThreads });
if (mode === 'lora') await trainer.attachAdapter({ rank: 16, alpha: 32, key: streamKey('bench', 'adapter') });
const lengths = new Array(Number(sequences)).fill(Number(tokens));
const batch = allTokens(randomSequences(halfBillion, lengths, streamKey('bench', 'large')));

const start = performance.now();
const { loss } = await trainer.accumulate(batch);
const middle = performance.now();
await trainer.step(adamW);
const end = performance.now();
await trainer.close();
await workerThreads.close();
process.stdout.write(
  `${JSON.stringify({
    mode,
    tokens: Number(sequences) * Number(tokens),
    loss,
    gradientSeconds: (middle - start) / 1000,
    optimizerSeconds: (end - middle) / 1000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  })}\n`,
);
