/**
 * The one place that knows engines by name. Everything above asks here: for an engine by its settings, for a model behind a
 * server, for what is saved, for what a run would take. Another engine is another `kind` in this file and a folder beside it.
 */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import type { ServedAddress } from '../base/served-address.ts';
import { hashWeights, readConfig } from '../checkpoint/model-directory.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type Adapter, adapterSchema } from '../onnx/adapter.ts';
import { DEVICE_CHOICES, type DeviceChoice, deviceOf } from '../onnx/device.ts';
import { type Capabilities, DIVERGENCES, type Policy } from '../policy/policy.ts';
import type { TextModel } from '../policy/text-model.ts';
import { byCompletions } from './by-completions.ts';
import { adapterFor } from './onnx/adapter-for.ts';
import { openPolicyDirectory } from './onnx/engine.ts';
import { openServedModel } from './openai/served-model.ts';
import { findHandle } from './tinker/handles.ts';
import { openTinker, tinkerIdentity, tinkerSettings } from './tinker/settings.ts';

// ---------------------------------------------------------------------------------------------------------- settings

/** In this process. */
const embeddedSettings = z.strictObject({
  kind: z.literal('embedded'),
  /**
   * Bits of a weight in sampling; less than 32 are not quite the policy itself. 8 and 4 are for large models on the processor: faster and
   * smaller. 16 are for GPUs that compute with 16-bit floats.
   */
  decodeBits: z.literal([32, 16, 8, 4]),
  /** What computes: the processor, or a GPU by WebGPU. */
  device: z.enum(DEVICE_CHOICES).default('auto'),
});

/** The settings' group `engine`. */
export const engineSettingsSchema = z.discriminatedUnion('kind', [embeddedSettings, tinkerSettings]);
export type EngineSettings = z.infer<typeof engineSettingsSchema>;
export type LocalEngine = z.infer<typeof embeddedSettings>;

export const EMBEDDED: LocalEngine = { kind: 'embedded', decodeBits: 32, device: 'auto' };

/** Whether the engine computes on this machine, with weights from a folder, rather than on a server that has its own. */
export function isLocal(settings: EngineSettings): settings is LocalEngine {
  return settings.kind === 'embedded';
}

/**
 * The engine with which a policy is measured as it is, whatever it may have sampled with in training, and on whatever device.
 * @throws UserError when a device is chosen for what a server computes
 */
export function measuring(settings: EngineSettings, device: DeviceChoice = 'auto'): EngineSettings {
  return isLocal(settings) ? { ...EMBEDDED, device } : onDevice(settings, device);
}

/** The same on another device. The processor has no 16 bits to sample with: there it samples with all 32. */
export function locallyOn(settings: LocalEngine, device: DeviceChoice): LocalEngine {
  const decodeBits = deviceOf(device) === 'cpu' && settings.decodeBits === 16 ? 32 : settings.decodeBits;
  return { ...settings, device, decodeBits };
}

/**
 * The same engine on another device.
 * @throws UserError when it is a server's
 */
export function onDevice(settings: EngineSettings, device: DeviceChoice): EngineSettings {
  if (isLocal(settings)) return locallyOn(settings, device);
  if (device === 'auto') return settings;
  throw new UserError(`--device ${device}: a training server computes where it is`, { hint: 'Leave --device out.' });
}

// ---------------------------------------------------------------------------------------------------------- identity

/** The processor, or a GPU as it names itself. */
const deviceSchema = z.union([z.literal('cpu'), adapterSchema]);

const capabilitiesSchema: z.ZodType<Capabilities> = z.strictObject({
  deterministic: z.boolean(),
  sampler: z.enum(['exact', 'approximate']),
  dryRun: z.boolean(),
  divergences: z.array(z.enum(DIVERGENCES)),
  pointwiseClip: z.boolean(),
  softTargets: z.enum(['signed', 'non-negative', 'single', 'none']),
  topLogprobs: z.int().min(0),
  frozen: z.enum(['any', 'initial', 'none']),
  adapter: z.enum(['attachable', 'always', 'never']),
  optimizer: z.strictObject({
    fresh: z.boolean(),
    clip: z.boolean(),
    betasPerStep: z.boolean(),
    gradientNorm: z.boolean(),
  }),
  checkpoints: z.enum(['files', 'handles', 'one handle']),
});

/** What stands in a run's record about the engine that it was made with. */
export const engineIdentitySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('embedded'),
    /** Null in runs that were begun before they were recorded. */
    capabilities: capabilitiesSchema.nullable(),
    /** What it computed on, the present one last: more than one where a run was continued elsewhere by request. */
    devices: z.array(deviceSchema).min(1).default(['cpu']),
  }),
  z.strictObject({ kind: z.literal('tinker'), ...tinkerIdentity, capabilities: capabilitiesSchema }),
]);
export type EngineIdentity = z.infer<typeof engineIdentitySchema>;

/** Of runs that were begun when there was no other engine. */
export const FIRST_ENGINE: EngineIdentity = { kind: 'embedded', capabilities: null, devices: ['cpu'] };

/** In what the two differ that has to stay the same for a run to be continued; undefined when in nothing. */
export function engineDifference(had: EngineIdentity, found: EngineIdentity): string | undefined {
  if (had.kind !== found.kind) return `the engine was ${had.kind}, it is ${found.kind}`;
  if (had.kind === 'embedded' && found.kind === 'embedded') {
    const [before, now] = [deviceName(had), deviceName(found)];
    return before === now ? undefined : `it was computed on ${before}, this is ${now}`;
  }
  if (had.kind !== 'tinker' || found.kind !== 'tinker') return undefined;
  // Address, session and model are others after a restart; the rest decides what is computed.
  for (const part of ['profile', 'baseModel', 'loraRank'] as const)
    if (had[part] !== found[part]) return `engine.${part} was ${had[part]}, it is ${found[part]}`;
  return undefined;
}

/** The record of a run that goes on somewhere else: where it was before stays in it. */
export function movedEngine(had: EngineIdentity, found: EngineIdentity): EngineIdentity {
  if (had.kind !== 'embedded' || found.kind !== 'embedded') return found;
  return { ...found, devices: [...had.devices, ...found.devices] };
}

/** What an engine computes on, for people; undefined of a server's. */
export function deviceName(identity: EngineIdentity): string | undefined {
  if (identity.kind !== 'embedded') return undefined;
  const device = identity.devices.at(-1)!;
  return device === 'cpu' ? 'the processor' : adapterName(device);
}

/** "NAME (driver LIBRARY)" */
export function adapterName({ name, driver }: Adapter): string {
  return driver === null ? name : `${name} (driver ${driver})`;
}

// ----------------------------------------------------------------------------------------------------------- engines

export interface EngineRequest {
  /**
   * Where the policy begins: a model directory, or a folder that an engine of these settings saved. Null on a server: its own
   * base model.
   */
  readonly folder: string | null;
  /** The text of each token: `Tokenizer.pieces`. */
  readonly pieces: readonly string[];
  /** Sequences sampled at a time, at least 1. Default 96. */
  readonly concurrency?: number | undefined;
  /** Default: as many as the machine runs at a time. */
  readonly threads?: number | undefined;
  /** For what the engine itself draws at its beginning, 31 bits. Default 0. */
  readonly seed?: number | undefined;
  /** Told what a person should know while the engine is open. */
  readonly onNote?: ((text: string) => void) | undefined;
}

export interface OpenedEngine {
  /** Has to be closed. */
  readonly policy: Policy;
  readonly identity: EngineIdentity;
  /** Stands for the weights in the record (`hashWeights`); null where they are not at hand. */
  readonly weights: string | null;
}

/** @throws UserError naming what cannot be opened, and why */
export async function openEngine(settings: EngineSettings, request: EngineRequest): Promise<OpenedEngine> {
  const { folder, pieces, concurrency, threads, seed = 0, onNote } = request;
  if (!isLocal(settings)) {
    const { policy, identity } = await openTinker(settings, { pieces, seed, onNote });
    if (folder !== null)
      await policy.restore(folder, { optimizer: 'fresh' }).catch(async (error: unknown) => {
        await policy.close();
        throw error;
      });
    return { policy, identity: { kind: 'tinker', ...identity, capabilities: policy.capabilities }, weights: null };
  }
  if (folder === null) throw new RangeError('the embedded engine begins with a model directory');
  const device = deviceOf(settings.device);
  const adapter = device === 'cpu' ? 'cpu' : await adapterFor(await readConfig(folder), onNote);
  if (settings.decodeBits === 16 && adapter !== 'cpu' && !adapter.float16)
    throw new UserError(`engine.decodeBits is 16: ${adapterName(adapter)} does not compute with 16-bit floats`, {
      hint: 'Set engine.decodeBits=32.',
    });
  const weights = await hashWeights(folder);
  const policy = await openPolicyDirectory(folder, {
    pieces,
    decodeBits: settings.decodeBits,
    device,
    ...(adapter !== 'cpu' && { deviceTitle: adapterName(adapter) }),
    ...(concurrency !== undefined && { maxActive: concurrency }),
    ...(threads !== undefined && { threads }),
  });
  return { policy, identity: { kind: 'embedded', capabilities: policy.capabilities, devices: [adapter] }, weights };
}

export { type AdapterAnswer, askAdapter } from '../onnx/adapter.ts';
export { DEVICE_CHOICES, type DeviceChoice } from '../onnx/device.ts';
/** Speed of an engine, and engines on made-up weights, for `doctor`. */
export { openMadeUpPolicy } from './onnx/engine.ts';
/** What the embedded engine takes on this machine, before it is opened. */
export {
  type ComputationPlan,
  type MemoryPart,
  planComputation,
  samplingMemory,
  trainingMemory,
  trainingShards,
} from './onnx/memory.ts';
/** What an engine saved as a model of files. */
export { isSaved, mergedWeights, readSavedModel } from './onnx/saved-model.ts';
export { type Pace, probe } from './probe.ts';

/** Where the weights of a saved folder are that does not hold them itself: a server's address; undefined for any other folder. */
export async function remoteHome(folder: string): Promise<string | undefined> {
  return (await findHandle(folder))?.url;
}

// ------------------------------------------------------------------------------------------------------- text models

export interface ServedOptions {
  readonly apiKey?: string | undefined;
  /** Requests under way at a time. */
  readonly concurrency: number;
  /** Given: everything is sent as one raw text, messages in this model's chat template where it has one. */
  readonly completions?: { readonly chatTemplate: Tokenizer | undefined } | undefined;
}

/** A model behind a server. It has to be closed. */
export async function openServed(address: ServedAddress, options: ServedOptions): Promise<TextModel> {
  const { apiKey, concurrency, completions } = options;
  const served = await openServedModel(address, { apiKey, concurrency });
  return completions ? byCompletions(served, completions.chatTemplate) : served;
}

export { textPolicy } from './text-policy.ts';

// ------------------------------------------------------------------------------------------------------- for `doctor`

/** What a training server can do, asked of it. */
export { type Examination, examineServer } from './tinker/examine.ts';
