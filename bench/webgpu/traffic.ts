/** What goes between host and GPU while the engine's work for a GPU is done, counted where sessions run. */
import type { Tensor } from 'onnxruntime-node';
import type { Watch } from './on-processor.ts';
import { openModel } from './open-model.ts';

export interface Traffic {
  readonly runs: number;
  /** Of tensors that runs are fed from the host's memory. */
  readonly bytesUp: number;
  /** Runs that give something to the host: it waits for each. */
  readonly waits: number;
  /** Of what they give. */
  readonly bytesDown: number;
}

const NOTHING: Traffic = { runs: 0, bytesUp: 0, waits: 0, bytesDown: 0 };

/** Names a graph by what it gives out. */
export const titleOf = (model: Uint8Array) => openModel(model).outputs.slice(0, 3).join(', ');

/** Its `watch` is for `onProcessor`. */
export class TrafficCounter {
  /** Of tensors on the GPU. */
  residentBytes = 0;
  readonly #there = new WeakSet<Tensor>();
  #graphs = new Map<Uint8Array, Traffic>();

  readonly watch: Watch = async ({ model, feeds, resident, into }, run) => {
    const fromHost = Object.values(feeds).filter((tensor) => !this.#there.has(tensor));
    const bytesUp = total(fromHost);
    const results = await run();
    const down: Tensor[] = [];
    for (const [name, tensor] of Object.entries(results)) {
      if (resident.has(name)) this.#stays(tensor);
      else if (!(name in into && this.#there.has(into[name]!))) down.push(tensor);
    }
    const { runs, ...before } = this.#graphs.get(model) ?? NOTHING;
    this.#graphs.set(model, {
      runs: runs + 1,
      bytesUp: before.bytesUp + bytesUp,
      waits: before.waits + (down.length > 0 ? 1 : 0),
      bytesDown: before.bytesDown + total(down),
    });
    return results;
  };

  /** By graph, since this was last asked. */
  take(): ReadonlyMap<Uint8Array, Traffic> {
    const taken = this.#graphs;
    this.#graphs = new Map();
    return taken;
  }

  #stays(tensor: Tensor): void {
    const bytes = bytesOf(tensor);
    this.#there.add(tensor);
    this.residentBytes += bytes;
    const dispose = tensor.dispose.bind(tensor);
    tensor.dispose = () => {
      this.residentBytes -= bytes;
      dispose();
    };
  }
}

const bytesOf = ({ data }: Tensor) => (data as Float32Array).byteLength;
const total = (tensors: readonly Tensor[]) => tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);

export function sumOf(parts: Iterable<Traffic>): Traffic {
  const sum: { -readonly [key in keyof Traffic]: number } = { ...NOTHING };
  for (const part of parts) for (const key of Object.keys(sum) as (keyof Traffic)[]) sum[key] += part[key];
  return sum;
}
