/** A further thread of the engine: a scheduler with weights of its own to sample, a graph to train. See helpers.ts. */
import { workerData } from 'node:worker_threads';
import { ownHand } from './adamw.ts';
import { Decoder } from './decoder.ts';
import type { HelperInput, HelperVerbs } from './messages.ts';
import { useGuard } from './native-guard.ts';
import { Scheduler } from './scheduler.ts';
import { serve } from './serve.ts';
import { computeShare, Turns } from './turns.ts';
import { WholeGraph } from './whole-graph.ts';

const { config, pieces, maxActive, decodeBits, guard } = workerData as HelperInput;
useGuard(guard);
let weights = new Float32Array(0) as Float32Array;
const source = { version: 0, effectiveWeights: () => weights };
const scheduler = new Scheduler(new Decoder(config, { threads: 1, bits: decodeBits }), source, {
  config,
  pieces,
  maxActive,
});
const graph = new WholeGraph(config);

serve<HelperVerbs>(
  {
    take: async (version, next) => {
      source.version = version;
      weights = next;
    },
    sample: (request, signal) => scheduler.sample(request, signal),
    totals: async () => scheduler.totals,
    compute: (task, turns) => computeShare(graph, task, new Turns(task.jobs.length, turns)),
    ...ownHand,
  },
  { release: (session) => scheduler.release(session) },
);
