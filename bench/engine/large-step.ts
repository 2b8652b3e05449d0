/**
 * One optimiser step of the Qwen2.5-0.5B shape with random weights, in a process of its own so that its peak memory is
 * that of the step: `node bench/engine/large-step.ts lora|full [sequences] [tokens] [threads]` prints one JSON document.
 */
import { streamKey } from '../../src/base/random.ts';
import { Helpers } from '../../src/engines/onnx/helpers.ts';
import { madeUpWeights } from '../../src/engines/onnx/made-up-weights.ts';
import { sharedGuard } from '../../src/engines/onnx/native-guard.ts';
import { Trainer } from '../../src/engines/onnx/training.ts';
import { halfBillion, randomSequences } from './shapes.ts';
import { adamW, allTokens } from './training.ts';

const [mode = 'lora', sequences = '4', tokens = '512', threads = '2'] = process.argv.slice(2);
const helpers = new Helpers({ config: halfBillion, pieces: [], maxActive: 1, decodeBits: 32, guard: sharedGuard() });
const trainer = new Trainer(halfBillion, madeUpWeights(halfBillion), { threads: Number(threads), helpers });
if (mode === 'lora') await trainer.attachAdapter({ rank: 16, alpha: 32, key: streamKey('bench', 'adapter') });
const lengths = new Array(Number(sequences)).fill(Number(tokens));
const batch = allTokens(randomSequences(halfBillion, lengths, streamKey('bench', 'large')));

const start = performance.now();
const { loss } = await trainer.accumulate(batch);
const middle = performance.now();
await trainer.step(adamW);
const end = performance.now();
await trainer.close();
await helpers.close();
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
