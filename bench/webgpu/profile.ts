/** What ONNX Runtime's profile says of one run of a graph for WebGPU. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import type { Tensors } from './on-processor.ts';

export interface Placement {
  /** Nodes on the GPU; some, such as Reshape, may need nothing computed. */
  readonly gpu: number;
  /** Nodes that fall back to the processor. */
  readonly cpu: number;
  /** Between the two, put in by the library. */
  readonly copies: number;
  /** Programs that the GPU runs; 0 of every graph where its driver keeps no time, without which the library lists none. */
  readonly dispatches: number;
  /** The operators that fall back. */
  readonly what: string;
}

export async function placementOf(model: Uint8Array, feeds: Tensors): Promise<Placement> {
  const folder = await mkdtemp(path.join(tmpdir(), 'placement-'));
  try {
    const session = await InferenceSession.create(model, {
      executionProviders: ['webgpu', 'cpu'],
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: path.join(folder, 'profile'),
    });
    await session.run(feeds);
    session.endProfiling();
    await session.release();
    const [file] = await readdir(folder);
    return counted(JSON.parse(await readFile(path.join(folder, file!), 'utf8')) as Event[]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Event {
  readonly cat: string;
  readonly name: string;
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

function counted(events: readonly Event[]): Placement {
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  const isCopy = (name: string) => name.startsWith('Memcpy');
  const of = (provider: string) =>
    nodes.filter(({ args }) => args?.provider?.startsWith(provider) && !isCopy(args.op_name ?? ''));
  return {
    gpu: of('WebGpu').length,
    cpu: of('CPU').length,
    copies: nodes.filter(({ args }) => isCopy(args?.op_name ?? '')).length,
    dispatches: events.filter(({ cat }) => cat === 'Api').length,
    what: [...new Set(of('CPU').map(({ args }) => args!.op_name))].join(' '),
  };
}
