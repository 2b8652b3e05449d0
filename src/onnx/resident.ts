/**
 * Tensors that stay on the GPU between runs: brought there once, given out by sessions and fed to others, read when the host has to
 * know. Nothing changes one: a step makes new tensors. So several sets of weights (present, frozen) may hold the same tensor, which is
 * freed when the last one lets go of it.
 *
 * `getData()` of such a tensor would end the process: they are read here, by a session whose output is the host's.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { inDeviceQueue } from './device.ts';
import { Graph } from './graph.ts';
import { guarded } from './native-guard.ts';
import { createSession, floats, integers } from './session.ts';

/** How many sets hold a tensor, where it is not one. */
const holders = new WeakMap<Tensor, number>();

/** One more set holds these. */
export function hold(tensors: Iterable<Tensor>): void {
  for (const tensor of tensors) holders.set(tensor, (holders.get(tensor) ?? 1) + 1);
}

/** One set less holds these; those that none holds any more are freed. */
export async function letGo(tensors: Iterable<Tensor>): Promise<void> {
  const free: Tensor[] = [];
  for (const tensor of tensors) {
    const left = (holders.get(tensor) ?? 1) - 1;
    if (left > 0) holders.set(tensor, left);
    else free.push(tensor);
  }
  // The library's pool of buffers is shared by all threads.
  if (free.length > 0)
    await inDeviceQueue(() =>
      guarded(async () => {
        for (const tensor of free) tensor.dispose();
      }),
    );
}

export class Transfers {
  #up: Promise<InferenceSession> | undefined;
  #down: Promise<InferenceSession> | undefined;
  #zeros: Promise<InferenceSession> | undefined;

  /** A copy on the GPU. */
  async bring(data: Float32Array, dims: readonly number[]): Promise<Tensor> {
    this.#up ??= createSession(identity(), 1, { device: 'webgpu', resident: ['y'] });
    return (await (await this.#up).run({ x: floats(data, dims) })).y as Tensor;
  }

  /** Copies a tensor into `target`, which is as long. */
  async read(tensor: Tensor, target: Float32Array): Promise<void> {
    this.#down ??= createSession(identity(), 1, { device: 'webgpu' });
    const { y } = await (await this.#down).run({ x: tensor });
    target.set((y as Tensor).data as Float32Array);
  }

  /** Zeros, made there. */
  async zeros(dims: readonly number[]): Promise<Tensor> {
    this.#zeros ??= createSession(zerosGraph(), 1, { device: 'webgpu', resident: ['y'] });
    const shape = integers(Float64Array.from(dims), [dims.length]);
    return (await (await this.#zeros).run({ shape })).y as Tensor;
  }

  async close(): Promise<void> {
    for (const session of [this.#up, this.#down, this.#zeros]) await (await session)?.release();
  }
}

/** Any number of dimensions. */
function identity(): Uint8Array {
  const graph = new Graph('webgpu');
  graph.output('y', 'float32', undefined, graph.input('x', 'float32'));
  return graph.build();
}

function zerosGraph(): Uint8Array {
  const graph = new Graph('webgpu');
  graph.output(
    'y',
    'float32',
    undefined,
    graph.op('Expand', [graph.float(0), graph.input('shape', 'int64', ['dims'])]),
  );
  return graph.build();
}
