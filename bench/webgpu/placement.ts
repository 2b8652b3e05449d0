/**
 * `node bench/webgpu/placement.ts`: of every graph of the engine for WebGPU, how many nodes run on the GPU, how many fall
 * back to the processor, and how many copies between the two the library puts in.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { openModel } from './open-model.ts';
import { recordAll } from './record.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'placement-'));
console.log('| graph | nodes on the GPU | on the processor | copies | what falls back |\n|---|---|---|---|---|');
try {
  for (const [n, { model, feeds }] of (await recordAll()).entries()) {
    const session = await InferenceSession.create(model, {
      executionProviders: ['webgpu', 'cpu'],
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: path.join(folder, `${n}_`),
    });
    await session.run(feeds);
    session.endProfiling();
    const { outputs } = openModel(model);
    const counts = await count(`${n}_`);
    console.log(
      `| ${outputs.slice(0, 3).join(', ')} | ${counts.gpu} | ${counts.cpu} | ${counts.copies} | ${counts.what} |`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit();

async function count(prefix: string) {
  const file = (await readdir(folder)).find((name) => name.startsWith(prefix))!;
  const events = JSON.parse(await readFile(path.join(folder, file), 'utf8')) as {
    cat: string;
    name: string;
    args?: { op_name?: string; provider?: string };
  }[];
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  const isCopy = (name: string) => name.startsWith('Memcpy');
  const of = (provider: string) =>
    nodes.filter(({ args }) => args?.provider?.startsWith(provider) && !isCopy(args.op_name ?? ''));
  return {
    gpu: of('WebGpu').length,
    cpu: of('CPU').length,
    copies: nodes.filter(({ args }) => isCopy(args?.op_name ?? '')).length,
    what: [...new Set(of('CPU').map(({ args }) => args!.op_name))].join(' '),
  };
}
