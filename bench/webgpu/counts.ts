/**
 * `node bench/webgpu/counts.ts`: what a step takes on a GPU for a model of SmolLM2-135M's shape: runs of sessions, programs that the GPU
 * runs, bytes that go there and come back. The steps are done on the processor, where every run is counted; each graph is then run once on
 * the GPU, real or in software, whose profile says how many programs it is.
 */
import type { ModelConfig } from '../../src/checkpoint/config.ts';
import { smolLM2 } from '../../src/checkpoint/smollm2.testing.ts';
import { askAdapter } from '../../src/onnx/adapter.ts';
import type { Tensors } from './on-processor.ts';
import { type Placement, placementOf } from './profile.ts';
import { copied } from './record.ts';
import { countSteps } from './steps.ts';
import { sumOf, type Traffic, titleOf } from './traffic.ts';

/** Its layers, heads and vocabulary. How wide a layer is changes nothing that is counted in one micro-batch; narrow ones take seconds, not minutes. */
const config: ModelConfig = { ...smolLM2, hidden: 18, headSize: 2, intermediate: 48, contextLength: 2048 };
/** One micro-batch, and its rows of logits one chunk, at either width (memory.ts). */
const shape = { sequences: 4, tokens: 256, rows: 32, rank: 16 };

const fed: (readonly [Uint8Array, Tensors])[] = [];
const steps = await countSteps(config, shape, (model, feeds) => fed.push([model, copied(feeds)]));
const { name: adapter } = await askAdapter([2 ** 20]);
const placements = new Map<Uint8Array, Placement>();
for (const [model, feeds] of fed) placements.set(model, await placementOf(model, feeds));

console.log(`${JSON.stringify(shape)}; dispatches on ${adapter}`);
console.log('| | runs | nodes on the GPU | dispatches | nodes on the processor, copies | up | waits | down |');
console.log('|---|---|---|---|---|---|---|---|');
for (const { name, graphs } of steps) {
  const sum = { gpu: 0, dispatches: 0, cpu: 0, copies: 0 };
  for (const [model, { runs }] of graphs)
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += runs * placements.get(model)![key];
  row(`**${name}**`, sumOf(graphs.values()), sum);
  for (const [model, traffic] of graphs) row(titleOf(model), traffic, placements.get(model)!);
}
// The provider's own threads would keep the process.
process.exit();

function row(title: string, { runs, bytesUp, waits, bytesDown }: Traffic, placed: Omit<Placement, 'what'>): void {
  const { gpu, dispatches, cpu, copies } = placed;
  const cells = [title, runs, gpu, dispatches, `${cpu}, ${copies}`, bytesUp, waits, bytesDown];
  console.log(`| ${cells.join(' | ')} |`);
}
