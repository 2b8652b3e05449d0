/** What a server can do of the method: what is known of its kind, and what it shows when it is asked. */
import { randomUUID } from 'node:crypto';
import type { Capabilities } from '../../policy/policy.ts';
import type { TinkerPolicy } from './engine.ts';
import { probeTraining, samplerGapOf, type TrainingProbe } from './probe.ts';
import type { Profile } from './profiles.ts';
import { openTinker, type TinkerSettings } from './settings.ts';

export interface Examination {
  readonly url: string;
  readonly profile: Profile;
  readonly capabilities: Capabilities;
  readonly vocabulary: number;
  /** Mean |Δ log p| between sampler and trainer, in nats. */
  readonly samplerGap: number;
  /** Null where the server holds one model at a time: the probe would train it. */
  readonly training: TrainingProbe | null;
}

/**
 * Connects, makes a model, samples and scores; where the server holds several models, also trains scratch ones.
 * @throws UserError that names setting, server and way out
 */
export async function examineServer(
  settings: TinkerSettings,
  pieces: readonly string[],
  onNote?: (text: string) => void,
): Promise<Examination> {
  const { policy } = await openTinker(settings, { pieces, seed: 0, onNote });
  try {
    const { weights, profile } = policy.parts;
    return {
      url: settings.url,
      profile,
      capabilities: policy.capabilities,
      vocabulary: pieces.length,
      samplerGap: await samplerGapOf(weights, pieces.length, settings.url),
      training: profile.frozen === 'model' ? await tried(policy) : null,
    };
  } finally {
    await policy.close();
  }
}

async function tried({ parts }: TinkerPolicy): Promise<TrainingProbe> {
  const { weights, profile, scratch, discard } = parts;
  const { path } = await weights.save(`search-e1-probe-${randomUUID()}`);
  try {
    return await probeTraining(profile, path, scratch);
  } finally {
    await discard(path);
  }
}
