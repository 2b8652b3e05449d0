/** Models of a live server, below the engine: for tests that compare one way of sending a gradient with another. */

import { Slots } from '../src/base/slots.ts';
import { connect } from '../src/engines/tinker/connect.ts';
import { type DatumInputs, datumJson } from '../src/engines/tinker/datums.ts';
import { Http } from '../src/engines/tinker/http.ts';
import { usualPatience } from '../src/engines/tinker/patience.ts';
import { type Profile, type ProfileName, profileOf } from '../src/engines/tinker/profiles.ts';
import { type RemoteContext, RemoteWeights } from '../src/engines/tinker/remote-weights.ts';
import type { Session } from '../src/engines/tinker/session.ts';
import type { AdamWStep, TokenIds } from '../src/policy/policy.ts';
import { KEY } from './peer.ts';

export interface Remote {
  readonly profile: Profile;
  readonly session: Session;
  create(changes?: Partial<Profile>): Promise<RemoteWeights>;
  close(): Promise<void>;
}

export async function openRemote(
  url: string,
  name: ProfileName,
  {
    baseModel,
    rank,
    vocabulary,
  }: { readonly baseModel: string; readonly rank: number | null; readonly vocabulary: number },
): Promise<Remote> {
  const profile = profileOf(name, rank !== null, {});
  const http = new Http(url, KEY);
  const closed = new AbortController();
  const options = {
    http,
    profile,
    patience: { ...usualPatience, unavailable: 20 },
    onNote: () => {},
    closed: closed.signal,
  };
  const { caller, session } = await connect(options, { baseModel, key: KEY });
  const context: RemoteContext = {
    caller,
    profile,
    vocabulary,
    contextLength: 4096,
    pieces: [],
    slots: new Slots(16),
    baseModel,
    lora: rank === null ? null : { rank, seed: 1 },
  };
  return {
    profile,
    session,
    create: (changes = {}) => RemoteWeights.create(session, { ...context, profile: { ...profile, ...changes } }),
    close: async () => {
      await session.close({ unload: true });
      closed.abort();
      http.close();
    },
  };
}

/** One forward_backward of the server's own loss on datums as they are. */
export async function forwardBackward(
  weights: RemoteWeights,
  loss: string,
  datums: readonly { readonly ids: TokenIds; readonly inputs: DatumInputs }[],
  config?: Readonly<Record<string, number>>,
): Promise<unknown> {
  const data = datums.map(datumJson).join(',');
  const rest = config === undefined ? '' : `,"loss_fn_config":${JSON.stringify(config)}`;
  const fields = `"forward_backward_input":{"data":[${data}],"loss_fn":"${loss}"${rest}}`;
  return (await weights.model.begin('forward_backward', 'changing', fields)).result();
}

export async function optimStep(weights: RemoteWeights, step: AdamWStep): Promise<unknown> {
  const params = {
    learning_rate: step.learningRate,
    beta1: step.beta1,
    beta2: step.beta2,
    eps: step.epsilon,
    weight_decay: step.weightDecay,
    grad_clip_norm: step.clipNorm,
  };
  return weights.model.run('optim_step', 'changing', { adam_params: params });
}
