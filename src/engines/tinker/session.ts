/** A session with a server: kept alive by a heartbeat, and the parent of models and sampling sessions, which it numbers. */
import { messageOf } from '../../base/errors.ts';
import type { Call, Caller } from './calls.ts';
import { inOneLine, RESTORE_HINT, TinkerFailure } from './failures.ts';
import { TrainedModel } from './trained-model.ts';
import { answerOf, answers } from './wire.ts';

/** The protocol's newest version that open servers know. */
const SDK_VERSION = '0.25.0';
/** SkyRL drops a session after 300 seconds of silence. */
const HEARTBEAT_SECONDS = 10;

/** LoRA of this rank on all linear layers; null trains all weights. */
export type LoraConfig = { readonly rank: number; readonly seed: number } | null;

export class Session {
  readonly caller: Caller;
  readonly id: string;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #models = new Set<string>();
  #modelCount = 0;
  #samplerCount = 0;
  #gone = false;

  private constructor(caller: Caller, id: string) {
    this.caller = caller;
    this.id = id;
    this.#heartbeat = setInterval(() => void this.#beat(), 1000 * HEARTBEAT_SECONDS).unref();
  }

  /** @param onNote told what the server says at the beginning */
  static async open(caller: Caller, onNote: (text: string) => void): Promise<Session> {
    await caller.run(call('client/config', 'reading', { sdk_version: SDK_VERSION })).catch((error: unknown) => {
      if (!(error instanceof TinkerFailure && error.status === 404)) throw error;
    });
    const body = { tags: [], user_metadata: {}, sdk_version: SDK_VERSION, type: 'create_session' };
    const answer = await caller.run(call('create_session', 'creating', body));
    const { session_id: id, ...said } = answerOf(answers.session, answer, caller.url, 'create_session');
    if (said.error_message) throw new TinkerFailure('refused', `${caller.url}: ${inOneLine(said.error_message)}`);
    if (said.warning_message) onNote(`${caller.url}: ${inOneLine(said.warning_message)}`);
    return new Session(caller, id);
  }

  /** True once the server has said that it no longer knows the session: its models are lost too. */
  get gone(): boolean {
    return this.#gone;
  }

  /** @throws TinkerFailure (state-unknown) when the session is gone */
  check(): void {
    if (this.#gone)
      throw new TinkerFailure(
        'state-unknown',
        `${this.caller.url}: the server has dropped the session and its models`,
        {
          hint: RESTORE_HINT,
        },
      );
  }

  /** A model with fresh weights: the base model's, with an adapter that changes nothing yet. */
  async createModel(baseModel: string, lora: LoraConfig, signal?: AbortSignal): Promise<TrainedModel> {
    this.check();
    this.#modelCount += 1;
    const body = {
      session_id: this.id,
      model_seq_id: this.#modelCount,
      base_model: baseModel,
      lora_config: lora && { ...lora, train_unembed: false, train_mlp: true, train_attn: true },
      type: 'create_model',
    };
    const answer = await this.caller.run(call('create_model', 'creating', body), signal);
    const { model_id: id } = answerOf(answers.model, answer, this.caller.url, 'create_model');
    this.#models.add(id);
    return new TrainedModel(this, id);
  }

  /** The number of the next sampling session. */
  nextSampler(): number {
    this.#samplerCount += 1;
    return this.#samplerCount;
  }

  /** A sampling session over saved weights, or over the base model's own. */
  async createSampler(weights: { readonly base_model: string } | { readonly model_path: string }): Promise<string> {
    this.check();
    const body = {
      session_id: this.id,
      sampling_session_seq_id: this.nextSampler(),
      ...weights,
      type: 'create_sampling_session',
    };
    const answer = await this.caller.run(call('create_sampling_session', 'creating', body));
    return answerOf(answers.samplingSession, answer, this.caller.url, 'create_sampling_session').sampling_session_id;
  }

  /** Gives a model's place on the server free. Failures are passed over: the model may be gone already. */
  async unload(id: string): Promise<void> {
    if (!this.#models.delete(id)) return;
    await this.caller.once({
      method: 'POST',
      // hatchery reads the query alone, others the body.
      path: `/api/v1/unload_model?model_id=${encodeURIComponent(id)}`,
      body: JSON.stringify({ model_id: id, type: 'unload_model' }),
      seconds: HEARTBEAT_SECONDS,
    });
  }

  /** Ends the heartbeat; with `unload`, all models are given back. */
  async close({ unload }: { readonly unload: boolean }): Promise<void> {
    clearInterval(this.#heartbeat);
    if (unload) await Promise.all([...this.#models].map((id) => this.unload(id)));
  }

  async #beat(): Promise<void> {
    const outcome = await this.caller
      .once({
        method: 'POST',
        path: '/api/v1/session_heartbeat',
        body: JSON.stringify({ session_id: this.id, type: 'session_heartbeat' }),
        seconds: HEARTBEAT_SECONDS,
      })
      .catch((error: unknown) => ({ kind: 'lost' as const, reason: messageOf(error) }));
    if (outcome.kind === 'answer' && (outcome.status === 404 || outcome.status === 410)) this.#gone = true;
  }
}

export function call(name: string, kind: Call['class'], body: object): Call {
  return { name, class: kind, body: JSON.stringify(body) };
}
