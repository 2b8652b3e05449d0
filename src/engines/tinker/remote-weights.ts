/** One model on the server with what reads and changes it: trainer, sampling session, saving and loading. */
import type { CallOptions, TokenIds } from '../../policy/policy.ts';
import { TinkerFailure } from './failures.ts';
import { type SamplerContext, SamplingSession } from './sampler.ts';
import type { LoraConfig, Session } from './session.ts';
import type { TrainedModel } from './trained-model.ts';
import { Trainer } from './trainer.ts';
import { answerOf, answers } from './wire.ts';

export interface RemoteContext extends SamplerContext {
  readonly baseModel: string;
  readonly lora: LoraConfig;
}

export interface SavedWeights {
  readonly path: string;
  /** When the server will drop them; null where it names no time. */
  readonly expiresAt: string | null;
}

export class RemoteWeights {
  readonly model: TrainedModel;
  readonly trainer: Trainer;
  readonly #context: RemoteContext;
  #sampler: Promise<SamplingSession> | undefined;
  #hasSaved = false;
  /** Since the last save. */
  #hasChanged = false;

  private constructor(model: TrainedModel, context: RemoteContext) {
    this.model = model;
    this.trainer = new Trainer(model, context.profile);
    this.#context = context;
  }

  /** A new model of the session. */
  static async create(session: Session, context: RemoteContext): Promise<RemoteWeights> {
    return new RemoteWeights(await session.createModel(context.baseModel, context.lora), context);
  }

  /** A sampling session over the weights as they are now; made when it is first needed after a change. */
  sampler(): Promise<SamplingSession> {
    this.#sampler ??= this.#snapshot();
    return this.#sampler;
  }

  /** The weights are others from now on. */
  changed(): void {
    this.#hasChanged = true;
    this.#sampler = undefined;
  }

  logprobs(sequences: readonly TokenIds[], options?: CallOptions): Promise<Float32Array[]> {
    return this.trainer.logprobs(
      sequences.map((ids) => ({ ids })),
      options,
    );
  }

  /** True where another save, once the weights have changed, would keep those of the first, and another model can be had. */
  get isSpent(): boolean {
    const { profile, lora } = this.#context;
    return profile.savesOnce && this.#hasSaved && lora !== null;
  }

  /** Keeps the weights and their optimiser on the server; the path is the server's own. */
  async save(name: string): Promise<SavedWeights> {
    const { caller, profile } = this.#context;
    if (profile.savesOnce && this.#hasSaved && this.#hasChanged)
      throw new TinkerFailure(
        'refused',
        `${caller.url} saves the weights of a model once: what it would keep now are those of the first save`,
        {
          hint: 'Train a LoRA (engine.loraRank): after a save it is gone on with in a new model. Where another version of the server has mended it: engine.overrides.savesOnce=false.',
        },
      );
    this.#hasSaved = true;
    this.#hasChanged = false;
    const answer = await this.model.run('save_weights', 'harmless', { path: name });
    const { path, expires_at: at } = answerOf(answers.saved, answer, caller.url, 'save_weights');
    const expires = typeof at === 'number' ? new Date(1000 * at) : new Date(at ?? Number.NaN);
    return { path, expiresAt: Number.isNaN(expires.getTime()) ? null : expires.toISOString() };
  }

  async load(path: string, { optimizer }: { readonly optimizer: boolean }): Promise<void> {
    this.changed();
    await this.model.run('load_weights', 'changing', { path, optimizer });
  }

  async #snapshot(): Promise<SamplingSession> {
    const { caller } = this.#context;
    const fields = { sampling_session_seq_id: this.model.session.nextSampler() };
    const answer = await this.model.run('save_weights_for_sampler', 'harmless', fields).catch((error: unknown) => {
      this.#sampler = undefined;
      throw error;
    });
    const call = 'save_weights_for_sampler';
    const { sampling_session_id: id } = answerOf(answers.samplingSession, answer, caller.url, call);
    return new SamplingSession(id, this.#context);
  }
}

/** Deletes saved weights. Passes over paths of another form, and over failures: the weights may be gone already. */
export async function deleteSaved({ caller }: Session, path: string): Promise<void> {
  const [, run, kind, name] = /^tinker:\/\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (run === undefined || kind === undefined || name === undefined) return;
  // hatchery's kind is "checkpoints", and its route has none.
  const parts = [run, 'checkpoints', ...(kind === 'checkpoints' ? [] : [kind]), name].map(encodeURIComponent);
  await caller.once({ method: 'DELETE', path: `/api/v1/training_runs/${parts.join('/')}`, seconds: 30 });
}
