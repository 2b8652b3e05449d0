/** From an address to a policy: connected, a model made, sampler and trainer held against each other. */
import type { z } from 'zod';
import { Slots } from '../../base/slots.ts';
import { connect } from './connect.ts';
import { TinkerPolicy } from './engine.ts';
import { Http } from './http.ts';
import { type Patience, usualPatience } from './patience.ts';
import { isApproximate, samplerGapOf } from './probe.ts';
import { type Profile, type ProfileName, profileOf, type profileOverrides } from './profiles.ts';
import { type RemoteContext, RemoteWeights } from './remote-weights.ts';

export interface TinkerSource {
  /** Of `serverUrl`. */
  readonly url: string;
  readonly key: string | undefined;
  readonly profile: ProfileName;
  readonly overrides?: z.infer<typeof profileOverrides>;
  /** As the server names it. */
  readonly baseModel: string;
  /** Rank of the LoRA that is trained; null trains all weights. */
  readonly loraRank: number | null;
  /** For what is random on the server: the adapter's first weights. 31 bits. */
  readonly seed: number;
  /** Longest sequence in tokens, prompt and continuation together: servers do not tell it reliably. */
  readonly contextLength: number;
  /** The text of each token id: see `Tokenizer.pieces`. Its length is the vocabulary. */
  readonly pieces: readonly string[];
  /** Sampling requests under way at a time. */
  readonly concurrency: number;
  readonly patience?: Patience;
  /** Told what a person should know: what the server says, why it is being waited for. */
  readonly onNote?: (text: string) => void;
}

/**
 * Connects to a server and makes a model there. It has to be closed, which gives the model back.
 * @throws UserError that names setting, server and way out
 */
export async function openTinkerPolicy(source: TinkerSource): Promise<TinkerPolicy> {
  const { url, key, baseModel, loraRank, pieces, patience = usualPatience, onNote = () => {} } = source;
  const profile = profileOf(source.profile, loraRank !== null, source.overrides ?? {});
  const closed = new AbortController();
  const http = new Http(url, key);
  const { caller, session } = await connect(
    { http, profile, patience, onNote, closed: closed.signal },
    { baseModel, key },
  );
  const context: RemoteContext = {
    caller,
    profile,
    vocabulary: pieces.length,
    contextLength: source.contextLength,
    pieces,
    slots: new Slots(source.concurrency),
    baseModel,
    lora: loraRank === null ? null : { rank: loraRank, seed: source.seed },
  };
  try {
    const present = await RemoteWeights.create(session, context);
    const gap = await samplerGapOf(present, context.vocabulary, url);
    const exact: Profile = isApproximate(gap) ? { ...profile, sampler: 'approximate' } : profile;
    return new TinkerPolicy(source.profile, {
      http,
      session,
      context: { ...context, profile: exact },
      present,
      closed,
      onNote,
    });
  } catch (error) {
    await session.close({ unload: profile.unload });
    http.close();
    throw error;
  }
}
