/** A further sampling thread of a small model: a scheduler with a copy of the weights. See samplers.ts. */
import { workerData } from 'node:worker_threads';
import { Decoder } from './decoder.ts';
import type { SamplerInput, SamplerVerbs } from './messages.ts';
import { useGuard } from './native-guard.ts';
import { Scheduler } from './scheduler.ts';
import { serve } from './serve.ts';

const { config, pieces, maxActive, decodeBits, guard } = workerData as SamplerInput;
useGuard(guard);
let weights = new Float32Array(0) as Float32Array;
const source = { version: 0, effectiveWeights: () => weights };
const scheduler = new Scheduler(new Decoder(config, { threads: 1, bits: decodeBits }), source, {
  config,
  pieces,
  maxActive,
});

serve<SamplerVerbs>(
  {
    take: async (version, next) => {
      source.version = version;
      weights = next;
    },
    sample: (request, signal) => scheduler.sample(request, signal),
    totals: async () => scheduler.totals,
  },
  { release: (session) => scheduler.release(session) },
);
