/**
 * `node bench/webgpu/compare.ts`: every graph of the engine for WebGPU, tensor by tensor, on the processor and on the GPU. Of each graph it
 * names the first node whose inputs agree and whose output does not: that operator is computed otherwise. Exit code 1 when there is one.
 */
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { givingAll, openModel } from './open-model.ts';
import { recordAll } from './record.ts';

/** Of the largest magnitude in a tensor. */
const TOLERANCE = 1e-4;

let wrong = 0;
for (const { model, feeds } of await recordAll()) {
  const all = givingAll(model);
  const [here, there] = [await results(all, feeds, ['cpu']), await results(all, feeds, ['webgpu', 'cpu'])];
  const { nodes, outputs } = openModel(model);
  const differs = new Set(Object.keys(here).filter((name) => !(distance(here[name]!, there[name]!) <= TOLERANCE)));
  const first = nodes.find(
    (node) => node.outputs.some((name) => differs.has(name)) && !node.inputs.some((name) => differs.has(name)),
  );
  const worst = Math.max(0, ...Object.keys(here).map((name) => distance(here[name]!, there[name]!)));
  const title = outputs.length > 3 ? `${outputs.slice(0, 3).join(', ')}, …` : outputs.join(', ');
  console.log(`${first ? 'WRONG' : 'same '} ${nodes.length} nodes, apart by ${worst.toExponential(1)}: ${title}`);
  if (!first) continue;
  wrong += 1;
  console.log(`      first: ${first.type}(${first.inputs.join(', ')}) → ${first.outputs.join(', ')}`);
}
// The provider's own threads would keep the process.
process.exit(wrong === 0 ? 0 : 1);

type Results = Readonly<Record<string, Tensor>>;

async function results(
  model: Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
  executionProviders: string[],
): Promise<Results> {
  const session = await InferenceSession.create(model, {
    executionProviders,
    // Nothing is fused: a tensor that is given out is computed.
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  });
  const found = await session.run(feeds);
  await session.release();
  return found as Results;
}

/** max |a − b| / max |a|; NaN where either has one that the other has not. */
function distance(a: Tensor, b: Tensor): number {
  const [one, other] = [a.data as Float32Array, b.data as Float32Array];
  if (one.length !== other.length) return Number.NaN;
  let [most, scale] = [0, 1e-6];
  for (let i = 0; i < one.length; i++) {
    if (Object.is(one[i], other[i])) continue;
    const gap = Math.abs(Number(one[i]) - Number(other[i]));
    if (Number.isNaN(gap)) return gap;
    most = Math.max(most, gap);
    scale = Math.max(scale, Math.abs(Number(one[i])));
  }
  return most / scale;
}
