/** The embedded engine: a policy that samples and trains in this process, in a thread of its own. */
import os from 'node:os';
import { UserError } from '../../base/errors.ts';
import { readConfig, readWeights } from '../../checkpoint/model-directory.ts';
import type { Tensor } from '../../checkpoint/safetensors.ts';
import { type Device, inDeviceQueue } from '../../onnx/device.ts';
import { type SharedFloats, sharedFloats } from '../../onnx/shared-floats.ts';
import { WorkerClient } from '../../onnx/worker-client.ts';
import {
  type AdamWStep,
  type CallOptions,
  type Capabilities,
  DIVERGENCES,
  type LossBatch,
  type Policy,
  type PolicyInfo,
  type Sample,
  type SampleOptions,
  type SampleRequest,
  type SoftTargets,
  type TokenIds,
  type TopLogprobs,
} from '../../policy/policy.ts';
import type { Computing, EngineStatistics, Verbs, WorkerSetup } from './messages.ts';
import { layoutOf, type ModelConfig, viewOf } from './model/parameters.ts';
import { randomWeights } from './model/random-weights.ts';

export type { EngineStatistics } from './messages.ts';

/** Sequences that are sampled at a time. */
const MAX_ACTIVE = 96;

export interface EngineOptions {
  /** Default: as many as the machine runs at a time. */
  readonly threads?: number;
  /** Most sequences that are sampled at a time, at least 1; the others wait. Default 96. */
  readonly maxActive?: number;
  /**
   * Bits of a weight in sampling: 8 or 4 for large models on the processor, 16 on a GPU that computes with 16-bit floats, see
   * docs/engine.md. Training, `logprobs` and everything on disk stay in float32. Default 32.
   */
  readonly decodeBits?: 32 | 16 | 8 | 4;
  /** Default: the processor. */
  readonly device?: Device;
  /** What the GPU is called in records; default its provider's name. */
  readonly deviceTitle?: string;
}

export interface PolicySource extends EngineOptions {
  readonly config: ModelConfig;
  /** Every tensor of the model under its Hugging Face name, as `readModel` gives them. Copied. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** The text of each token, for stop strings: see `Tokenizer.pieces`. */
  readonly pieces: readonly string[];
}

/**
 * Opens an engine. It has to be closed.
 * @throws RangeError when a tensor is missing or has another size than the configuration says.
 */
export async function openPolicy({ config, weights, pieces, ...options }: PolicySource): Promise<OnnxPolicy> {
  const layout = layoutOf(config);
  const flat = sharedFloats(layout.total);
  for (const { name, shape, offset, size } of layout.entries) {
    const tensor = weights.get(name);
    if (tensor?.data.length !== size)
      throw new RangeError(
        `weights: ${name} of shape [${shape}] is ${tensor ? `given as [${tensor.shape}]` : 'missing'}`,
      );
    flat.set(tensor.data, offset);
  }
  return open(config, flat, pieces, options);
}

/** Opens a Hugging Face model directory: config.json and safetensors. The weights are held once. */
export async function openPolicyDirectory(
  folder: string,
  { pieces, ...options }: EngineOptions & Pick<PolicySource, 'pieces'>,
): Promise<OnnxPolicy> {
  const config = await readConfig(folder);
  const layout = layoutOf(config);
  // Not before the weights bear the configuration out.
  let flat: SharedFloats | undefined;
  await readWeights(folder, config, (name) => {
    flat ??= sharedFloats(layout.total);
    return viewOf(layout, flat, name);
  });
  return open(config, flat!, pieces, options);
}

/** Opens a model of this shape with made-up weights, which compute as fast as any and mean nothing. */
export function openMadeUpPolicy(
  config: ModelConfig,
  { pieces, ...options }: EngineOptions & Pick<PolicySource, 'pieces'>,
): Promise<OnnxPolicy> {
  return open(config, randomWeights(config), pieces, options);
}

/** @param weights flat, as `layoutOf` says; shared with the engine's threads, which change them */
async function open(
  config: ModelConfig,
  weights: SharedFloats,
  pieces: readonly string[],
  {
    threads = os.availableParallelism(),
    maxActive = MAX_ACTIVE,
    decodeBits = 32,
    device = 'cpu',
    deviceTitle = 'WebGPU',
  }: EngineOptions,
): Promise<OnnxPolicy> {
  const computing = computingOf(device, decodeBits);
  const info: PolicyInfo = {
    engine: device === 'cpu' ? 'onnx' : `onnx on ${deviceTitle}`,
    parameters: weights.length,
    vocabulary: config.vocabulary,
    contextLength: config.contextLength,
    threads,
  };
  const capabilities: Capabilities = {
    // On a GPU a sequence's last bits depend on what is sampled beside it.
    deterministic: device === 'cpu',
    sampler: decodeBits === 32 ? 'exact' : 'approximate',
    dryRun: true,
    divergences: DIVERGENCES,
    pointwiseClip: true,
    softTargets: 'signed',
    topLogprobs: config.vocabulary,
    frozen: 'any',
    adapter: 'attachable',
    optimizer: { fresh: true, clip: true, betasPerStep: true, gradientNorm: true },
    checkpoints: 'files',
  };
  const setup: WorkerSetup = { config, weights, pieces, threads, maxActive, computing };
  // Beside this file lies the worker's source, or, when built, its JavaScript.
  const script = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
  const client = new WorkerClient<Verbs>(script, setup);
  const close = () => closeThread(client, device);
  try {
    await client.ready();
  } catch (error) {
    await close();
    throw error;
  }
  return new OnnxPolicy(info, capabilities, client, close);
}

function computingOf(device: Device, decodeBits: 32 | 16 | 8 | 4): Computing {
  if (device === 'cpu' && decodeBits !== 16) return { device, decodeBits };
  if (device === 'webgpu' && (decodeBits === 32 || decodeBits === 16)) return { device, decodeBits };
  const [where, possible] = device === 'cpu' ? ['the processor', '32, 8 or 4'] : ['a GPU', '32 or 16'];
  throw new UserError(`engine.decodeBits is ${decodeBits}: ${where} samples with ${possible} bits of a weight`, {
    hint: `Set engine.decodeBits=32, or --device ${device === 'cpu' ? 'webgpu' : 'cpu'}.`,
  });
}

/** A thread that ends gives up what it has on the GPU, which is one of the things that only one thread may do at a time. */
function closeThread(client: WorkerClient<Verbs>, device: Device): Promise<void> {
  return device === 'cpu' ? client.close() : inDeviceQueue(() => client.close());
}

export class OnnxPolicy implements Policy {
  readonly info: PolicyInfo;
  readonly capabilities: Capabilities;
  readonly #client: WorkerClient<Verbs>;
  readonly #close: () => Promise<void>;

  constructor(info: PolicyInfo, capabilities: Capabilities, client: WorkerClient<Verbs>, close: () => Promise<void>) {
    this.info = info;
    this.capabilities = capabilities;
    this.#client = client;
    this.#close = close;
  }

  sample(request: SampleRequest, { signal, onTokens }: SampleOptions = {}): Promise<Sample> {
    const onTold = onTokens && ((...ids: number[]) => onTokens(ids));
    return this.#client.call('sample', [request, onTokens !== undefined], signal, { onTold });
  }

  release(session: string): void {
    this.#client.post({ kind: 'release', session });
  }

  logprobs(
    sequences: readonly TokenIds[],
    weights: 'present' | 'frozen',
    { signal, onProgress }: CallOptions = {},
  ): Promise<Float32Array[]> {
    return this.#client.call('logprobs', [sequences, weights], signal, { onTold: onProgress });
  }

  topLogprobs(
    sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
    k: number,
    weights: 'present' | 'frozen',
    { signal, onProgress }: CallOptions = {},
  ): Promise<TopLogprobs[]> {
    return this.#client.call('topLogprobs', [sequences, k, weights], signal, { onTold: onProgress });
  }

  /** Weights and optimiser are untouched when it rejects. */
  train(
    batches: readonly LossBatch[],
    step: AdamWStep,
    { signal, onProgress }: CallOptions = {},
  ): ReturnType<Policy['train']> {
    return this.#client.call('train', [batches, step], signal, { onTold: onProgress, rejects: 'when stopped' });
  }

  freeze(): Promise<void> {
    return this.#client.call('freeze', []);
  }

  attachAdapter(...args: Parameters<Verbs['attachAdapter']>): Promise<void> {
    return this.#client.call('attachAdapter', args);
  }

  mergeAdapter(): Promise<void> {
    return this.#client.call('mergeAdapter', []);
  }

  save(folder: string): Promise<void> {
    return this.#client.call('save', [folder]);
  }

  restore(...args: Parameters<Policy['restore']>): Promise<void> {
    return this.#client.call('restore', args);
  }

  /** A saved folder is all that there is. */
  async discard(_folder: string): Promise<void> {}

  /** Running totals of tokens and seconds. */
  statistics(): Promise<EngineStatistics> {
    return this.#client.call('statistics', []);
  }

  close(): Promise<void> {
    return this.#close();
  }
}
