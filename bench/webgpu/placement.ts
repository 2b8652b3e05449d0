/**
 * `node bench/webgpu/placement.ts`: of every graph of the engine for WebGPU, how many nodes run on the GPU, in how many dispatches, how many
 * nodes fall back to the processor, and how many copies between the two the library puts in.
 */
import { openModel } from './open-model.ts';
import { placementOf } from './profile.ts';
import { recordAll } from './record.ts';

console.log(
  '| graph | nodes on the GPU | dispatches | on the processor | copies | what falls back |\n|---|---|---|---|---|---|',
);
for (const { model, feeds } of await recordAll()) {
  const { gpu, dispatches, cpu, copies, what } = await placementOf(model, feeds);
  const { outputs } = openModel(model);
  console.log(`| ${outputs.slice(0, 3).join(', ')} | ${gpu} | ${dispatches} | ${cpu} | ${copies} | ${what} |`);
}
// The provider's own threads would keep the process.
process.exit();
