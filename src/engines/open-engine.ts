/**
 * The one place that knows engines by name. Everything above asks here: for an engine by its settings, for a model behind a
 * server, for what is saved, for what a run would take. Another engine is another `kind` in this file and a folder beside it.
 */
import { z } from 'zod';
import type { ServedAddress } from '../base/served-address.ts';
import { hashWeights } from '../checkpoint/model-directory.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type Capabilities, DIVERGENCES, type Policy } from '../policy/policy.ts';
import type { TextModel } from '../policy/text-model.ts';
import { byCompletions } from './by-completions.ts';
import { openPolicyDirectory } from './onnx/engine.ts';
import { openServedModel } from './openai/served-model.ts';

// ---------------------------------------------------------------------------------------------------------- settings

/** In this process, on its processor. */
const embeddedSettings = z.strictObject({
  kind: z.literal('embedded'),
  /** Bits of a weight in sampling. 8 and 4 are for large models: faster and smaller, and not quite the policy itself. */
  decodeBits: z.literal([32, 8, 4]),
});

/** The settings' group `engine`. */
export const engineSettingsSchema = z.discriminatedUnion('kind', [embeddedSettings]);
export type EngineSettings = z.infer<typeof engineSettingsSchema>;

export const EMBEDDED: EngineSettings = { kind: 'embedded', decodeBits: 32 };

// ---------------------------------------------------------------------------------------------------------- identity

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
  checkpoints: z.enum(['files', 'handles']),
});

/** What stands in a run's record about the engine that it was made with. */
export const engineIdentitySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('embedded'),
    /** Null in runs that were begun before they were recorded. */
    capabilities: capabilitiesSchema.nullable(),
  }),
]);
export type EngineIdentity = z.infer<typeof engineIdentitySchema>;

/** Of runs that were begun when there was no other engine. */
export const FIRST_ENGINE: EngineIdentity = { kind: 'embedded', capabilities: null };

/** In what the two differ that has to stay the same for a run to be continued; undefined when in nothing. */
export function engineDifference(had: EngineIdentity, found: EngineIdentity): string | undefined {
  return had.kind === found.kind ? undefined : `the engine was ${had.kind}, it is ${found.kind}`;
}

// ----------------------------------------------------------------------------------------------------------- engines

export interface EngineRequest {
  /** A model directory: where the policy begins. A folder that the engine saved is one too. */
  readonly folder: string;
  /** The text of each token: `Tokenizer.pieces`. */
  readonly pieces: readonly string[];
  /** Sequences sampled at a time, at least 1. Default 96. */
  readonly concurrency?: number | undefined;
  /** Default: as many as the machine runs at a time. */
  readonly threads?: number | undefined;
}

export interface OpenedEngine {
  /** Has to be closed. */
  readonly policy: Policy;
  readonly identity: EngineIdentity;
  /** Stands for the weights in the record (`hashWeights`); null where they are not at hand. */
  readonly weights: string | null;
}

/** @throws UserError naming what cannot be opened, and why */
export async function openEngine(
  { decodeBits }: EngineSettings,
  { folder, pieces, concurrency, threads }: EngineRequest,
): Promise<OpenedEngine> {
  const weights = await hashWeights(folder);
  const policy = await openPolicyDirectory(folder, {
    pieces,
    decodeBits,
    ...(concurrency !== undefined && { maxActive: concurrency }),
    ...(threads !== undefined && { threads }),
  });
  return { policy, identity: { kind: 'embedded', capabilities: policy.capabilities }, weights };
}

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
