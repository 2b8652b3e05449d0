/** A pretrained model on the GPU, or on SwiftShader: SmolLM2-135M's log-probabilities of a text, held against the processor's. */
import { expect, it } from 'vitest';
import { loadTokenizer } from '../src/checkpoint/tokenizer.ts';
import { openPolicyDirectory } from '../src/engines/onnx/engine.ts';
import { smolLM2 } from './peer.ts';

const model = smolLM2();
if (model === undefined) console.log('skipped: SmolLM2 on a GPU; npm run live:install -- smollm2 fetches it (93 MB)');

const TEXT =
  'The capital of France is Paris. It lies on the river Seine, and has been a centre of science, art and philosophy since the Middle Ages. Its first metro line was opened in 1900, for the world fair.';

it.skipIf(model === undefined)('has the log-probabilities of the processor within 1e-4', async () => {
  const tokenizer = await loadTokenizer(model!);
  const ids = tokenizer.encode(TEXT);
  const [here, there] = await Promise.all(
    (['cpu', 'webgpu'] as const).map(async (device) => {
      const policy = await openPolicyDirectory(model!, { pieces: tokenizer.pieces, device });
      const [row] = await policy.logprobs([ids], 'present');
      await policy.close();
      // The first token is given nothing.
      return row!.slice(1);
    }),
  );
  expect(here!.length).toBe(ids.length - 1);
  // A model that knows English: a uniform one would be at −10.8 a token.
  expect(here!.reduce((sum, value) => sum + value, 0) / here!.length).toBeGreaterThan(-4);
  for (const [t, value] of here!.entries()) expect(Math.abs(there![t]! - value), `token ${t + 2}`).toBeLessThan(1e-4);
});
