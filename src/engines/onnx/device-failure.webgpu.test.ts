/** What a run says of a GPU that fails: the failures are a driver's own (src/onnx/testing/faulty-driver.c), each in a process of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { Graph } from '../../onnx/graph.ts';
import { createSession, integers } from '../../onnx/session.ts';
import { buildFaultyDriver, type Fault, missingForFaultyDriver } from '../../onnx/testing/faulty-driver.ts';
import { adapterFor } from './adapter-for.ts';

const missing = missingForFaultyDriver();
const folder = await mkdtemp(path.join(tmpdir(), 'faulty-driver-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
const GOES_ON = 'a run goes on with --resume, on the processor with --resume and --device cpu';

describe.skipIf(missing !== undefined)(
  `a driver that fails${missing === undefined ? '' : ` (${missing})`}`,
  async () => {
    const environment = missing === undefined ? await buildFaultyDriver(folder) : undefined;
    const script = fileURLToPath(new URL('./on-faulty-driver.testing.ts', import.meta.url));
    const under = (fault: Fault, ...args: string[]) => {
      const { status, stdout } = spawnSync(process.execPath, [script, ...args], {
        env: environment!(fault),
        encoding: 'utf8',
        timeout: 300_000,
      });
      return { status, told: JSON.parse(stdout.trim().split('\n').at(-1)!) as unknown };
    };

    it('but has not yet, is no failure', () => {
      expect(under('lost=1000000')).toEqual({ status: 0, told: null });
    });

    it.each<[Fault, string, ...string[]]>([
      ['absent', 'this machine has no GPU that WebGPU can use', 'ask'],
      ['absent', 'this machine has no GPU that WebGPU can use'],
      ['open=0', 'the GPU was found, and its driver refused to open it', 'ask'],
      ['lost=0', 'the GPU was lost: its driver stopped, was reset, or had no memory left'],
      ['lost=60', 'the GPU was lost: its driver stopped, was reset, or had no memory left'],
      ['full=1000', "the GPU's memory is full"],
      ['shader=0', "the GPU's driver refused a shader"],
      ['shader=12', "the GPU's driver refused a shader"],
    ])('%s: %s', (fault, says, ...args) => {
      expect(under(fault, ...args)).toEqual({
        status: 0,
        told: { user: true, message: `${says}; ${GOES_ON}`, continues: true },
      });
    });
  },
);

it('a tensor larger than the GPU holds is said where it arises', async () => {
  const graph = new Graph('webgpu');
  const ones = graph.op('Expand', [graph.float(1), graph.input('shape', 'int64', [1])]);
  graph.output('sum', 'float32', [], graph.op('ReduceSum', [ones], { keepdims: 0 }));
  const session = await createSession(graph.build(), 1, { device: 'webgpu' });
  const error = await session
    .run({ shape: integers(Float64Array.of(2 ** 36), [1]) })
    .catch((reason: unknown) => reason);
  await session.release();
  expect(error).toMatchObject({ message: `a tensor is larger than this GPU may hold in one piece; ${GOES_ON}` });
});

it('a model with a tensor larger than the GPU holds is refused before it is opened', async () => {
  const wide = {
    family: 'qwen2',
    vocabulary: 2 ** 28,
    hidden: 64,
    layers: 1,
    heads: 1,
    keyValueHeads: 1,
    headSize: 64,
    intermediate: 64,
    ropeTheta: 1000,
    rmsEpsilon: 1e-6,
    tiedHead: true,
    contextLength: 64,
  } as const;
  await expect(adapterFor(wide)).rejects.toThrow(
    new RegExp(`cannot hold model.embed_tokens.weight in one piece: 68.7 GB; ${GOES_ON}$`),
  );
});
