/** Whether this machine's GPU takes a model, before anything of it is opened there. */

import { byteSize } from '../../base/bytes.ts';
import { type Adapter, askAdapter } from '../../onnx/adapter.ts';
import { gpuError } from '../../onnx/device-failure.ts';
import { layoutOf, type ModelConfig } from './model/parameters.ts';

/**
 * The GPU, for the record.
 * @throws UserError when there is none, or when it cannot hold the model's largest tensor in one piece
 */
export async function adapterFor(config: ModelConfig, onNote?: (text: string) => void): Promise<Adapter> {
  const { name, bytes } = largestTensor(config);
  const { holds, ...adapter } = await askAdapter([bytes]);
  if (holds < bytes)
    throw gpuError(`${adapter.name} cannot hold ${name} in one piece: ${byteSize(bytes)}`, {
      hint: 'Use --device cpu, or a model with a smaller vocabulary.',
    });
  if (adapter.software)
    onNote?.(`${adapter.name} is no GPU: it computes on the processor, and slower than --device cpu`);
  return adapter;
}

/** What has to fit into one buffer, in float32. */
export function largestTensor(config: ModelConfig): { readonly name: string; readonly bytes: number } {
  const largest = layoutOf(config).entries.reduce((a, b) => (b.size > a.size ? b : a));
  return { name: largest.name, bytes: Float32Array.BYTES_PER_ELEMENT * largest.size };
}
