/** A further thread of the engine: a scheduler with weights of its own to sample, a graph to train. See workerThreads.ts. */
import { workerData } from 'node:worker_threads';
import { useGuard } from '../../onnx/native-guard.ts';
import { serve } from '../../onnx/serve.ts';
import { Decoder } from './decoding/decoder.ts';
import { Scheduler } from './decoding/scheduler.ts';
import type { WorkerThreadInput, WorkerThreadVerbs } from './messages.ts';
import { ownShard } from './training/adamw.ts';
import { computeShare, OrderedReduction } from './training/ordered-reduction.ts';
import { WholeGraph } from './training/whole-graph.ts';

const { config, pieces, maxActive, decodeBits, guard } = workerData as WorkerThreadInput;
useGuard(guard);
let weights = new Float32Array(0) as Float32Array;
const source = { version: 0, effectiveWeights: () => weights };
const scheduler = new Scheduler(new Decoder(config, { threads: 1, bits: decodeBits }), source, {
  config,
  pieces,
  maxActive,
});
const graph = new WholeGraph(config);

serve<WorkerThreadVerbs>(
  {
    take: async (version, next) => {
      source.version = version;
      weights = next;
    },
    sample: (request, signal) => scheduler.sample(request, signal),
    totals: async () => scheduler.totals,
    compute: (task, reduction) => computeShare(graph, task, new OrderedReduction(task.jobs.length, reduction)),
    ...ownShard,
  },
  { release: (session) => scheduler.release(session) },
);
