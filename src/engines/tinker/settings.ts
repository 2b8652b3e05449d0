/** The settings' group `engine` for a training server, what is recorded of it, and how it is opened. */
import { z } from 'zod';
import { readKey, serverUrl } from './address.ts';
import type { TinkerPolicy } from './engine.ts';
import { openTinkerPolicy, type TinkerSource } from './open-policy.ts';
import { usualPatience } from './patience.ts';
import { PROFILE_NAMES, profileOverrides } from './profiles.ts';

const count = z.int().min(1);
const rank = count.nullable();

export const tinkerSettings = z.strictObject({
  kind: z.literal('tinker'),
  /** Where the server is: http://127.0.0.1:8000, or https with a path. */
  url: z.string(),
  /** What kind of server it is: servers do not say so themselves. */
  profile: z.enum(PROFILE_NAMES),
  /** Fields of the profile (engines/tinker/profiles.ts) that are otherwise on this server. */
  overrides: profileOverrides.default({}),
  /** As the server names it, e.g. Qwen/Qwen2.5-3B-Instruct. */
  baseModel: z.string().min(1),
  /** Rank of the LoRA that is trained, from the first step on; null trains all weights. */
  loraRank: rank,
  /** Longest sequence that the server takes, in tokens. */
  context: z.int().min(2).default(4096),
  /** Sampling requests under way at a time. */
  concurrency: count.default(256),
  /** File that holds the key; null: TINKER_API_KEY, if it is set. */
  keyFile: z.string().nullable().default(null),
  /** Reach the server by plain http beyond this machine: key, prompts and weights can then be read on the way. */
  plainHttp: z.boolean().default(false),
  /** Longest time, in seconds, without an answer that helps, and for one call to end. */
  unavailableSeconds: z.number().positive().default(usualPatience.unavailable),
  progressSeconds: z.number().positive().default(usualPatience.progress),
});

export type TinkerSettings = z.infer<typeof tinkerSettings>;

/** What stands in a run's record beside the capabilities; the URL without user, password and query. */
export const tinkerIdentity = {
  url: z.string(),
  profile: z.enum(PROFILE_NAMES),
  overrides: profileOverrides,
  baseModel: z.string(),
  loraRank: rank,
  session: z.string(),
  model: z.string(),
};

/** @throws UserError that names setting, server and way out */
export async function openTinker(
  settings: TinkerSettings,
  { pieces, seed, onNote }: Pick<TinkerSource, 'pieces' | 'seed'> & { onNote?: ((text: string) => void) | undefined },
): Promise<{ policy: TinkerPolicy; identity: z.infer<z.ZodObject<typeof tinkerIdentity>> }> {
  const { profile, overrides, baseModel, loraRank } = settings;
  const url = serverUrl(settings.url, settings);
  const policy = await openTinkerPolicy({
    url,
    key: await readKey(settings.keyFile),
    profile,
    overrides,
    baseModel,
    loraRank,
    seed,
    contextLength: settings.context,
    pieces,
    concurrency: settings.concurrency,
    patience: { ...usualPatience, unavailable: settings.unavailableSeconds, progress: settings.progressSeconds },
    ...(onNote !== undefined && { onNote }),
  });
  return { policy, identity: { url, profile, overrides, baseModel, loraRank, ...policy.ids } };
}
