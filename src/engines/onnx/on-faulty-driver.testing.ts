/**
 * The process of device-failure.webgpu.test.ts: samples and trains on the GPU in turn until something fails, prints what as JSON, closes
 * the engine, and ends by itself.
 */
import { UserError } from '../../base/errors.ts';
import { streamKey } from '../../base/random.ts';
import type { Policy } from '../../policy/policy.ts';
import { adapterFor } from './adapter-for.ts';
import { openPolicy } from './engine.ts';
import { tinyModel } from './tiny-model.testing.ts';

const { config, weights, pieces } = tinyModel({ layers: 1 });
const ids = [1, 2, 3, 4, 5, 6];
let policy: Policy | undefined;
try {
  if (process.argv.includes('ask')) await adapterFor(config);
  policy = await openPolicy({ config, weights, pieces, device: 'webgpu' });
  for (let round = 0; round < 3; round++) {
    await policy.sample({
      prompt: ids,
      maxTokens: 4,
      temperature: 1,
      stop: [],
      stopTokens: [],
      key: streamKey('faulty', String(round)),
    });
    await policy.train(
      [{ loss: 'cross-entropy', sequences: [{ ids, weights: new Float32Array(6).fill(1) }], denominator: 5 }],
      {
        learningRate: 1e-3,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weightDecay: 0,
        clipNorm: 1,
        minGradientNorm: 0,
      },
    );
  }
  process.stdout.write('null\n');
} catch (error) {
  const { message, continues } = error as UserError;
  process.stdout.write(`${JSON.stringify({ user: error instanceof UserError, message, continues })}\n`);
}
await policy?.close();
