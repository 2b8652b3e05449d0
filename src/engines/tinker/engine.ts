/**
 * A policy on a server of the Tinker protocol: VeRL-Tinker, SkyRL, hatchery. What such a server cannot do is said by
 * `capabilities`, what it does in its own way by its profile (profiles.ts).
 */
import { randomUUID } from 'node:crypto';
import type {
  AdamWStep,
  CallOptions,
  Capabilities,
  LossBatch,
  LossResult,
  Policy,
  PolicyInfo,
  Sample,
  SampleOptions,
  SampleRequest,
  SoftTargets,
  StepResult,
  TokenIds,
  TopLogprobs,
} from '../../policy/policy.ts';
import { capabilitiesOf } from './capabilities.ts';
import { RESTORE_HINT, TinkerFailure } from './failures.ts';
import { FrozenWeights } from './frozen-weights.ts';
import { findHandle, type Handle, isShared, ownerOf, readHandle, writeHandle } from './handles.ts';
import type { Http } from './http.ts';
import type { Scratch } from './probe.ts';
import type { Profile, ProfileName } from './profiles.ts';
import { deleteSaved, type RemoteContext, RemoteWeights } from './remote-weights.ts';
import { Session } from './session.ts';
import { Turnstile } from './turnstile.ts';

/** What a policy is put together of (open-policy.ts). */
export interface Parts {
  readonly http: Http;
  readonly session: Session;
  readonly context: RemoteContext;
  readonly present: RemoteWeights;
  readonly closed: AbortController;
  readonly onNote: (text: string) => void;
}

export class TinkerPolicy implements Policy {
  readonly info: PolicyInfo;
  readonly capabilities: Capabilities;
  readonly #profileName: ProfileName;
  readonly #parts: Parts;
  #session: Session;
  readonly #turns = new Turnstile();
  #present: RemoteWeights;
  /** Where the present weights are saved, as long as nothing has changed them since. */
  #savedAs: string | undefined;
  /** Nothing was trained since the server was started with these weights, as far as is known. */
  #initial = true;
  /** Undefined before the first `freeze`; 'present' until a step is taken. */
  #frozen: 'present' | FrozenWeights | undefined;
  /** Saved weights that the frozen ones are loaded from, and that nobody else needs: deleted when others are frozen. */
  readonly #frozenAlone = new Set<string>();
  #saidExpiry = false;
  /** After a failed step: nothing but `restore` is meaningful. */
  #broken = false;

  constructor(profileName: ProfileName, parts: Parts) {
    const { context, present } = parts;
    this.#profileName = profileName;
    this.#parts = parts;
    this.#session = parts.session;
    this.#present = present;
    this.info = { engine: 'tinker', vocabulary: context.vocabulary, contextLength: context.contextLength };
    this.capabilities = capabilitiesOf(context.profile, context.lora !== null, context.vocabulary);
  }

  /** The server's names of session and model, for the record. */
  get ids(): { readonly session: string; readonly model: string } {
    return { session: this.#session.id, model: this.#present.model.id };
  }

  /** Below the contract: for probes of the server. `scratch` makes further models of saved weights. */
  get parts(): {
    readonly weights: RemoteWeights;
    readonly profile: Profile;
    readonly scratch: Scratch;
    readonly discard: (path: string) => Promise<void>;
  } {
    const { context } = this.#parts;
    return {
      weights: this.#usable(),
      profile: context.profile,
      scratch: {
        copyOf: async (path, { optimizer }) => {
          const copy = await RemoteWeights.create(this.#session, context);
          await copy.load(path, { optimizer });
          return copy;
        },
        release: (weights) => this.#session.unload(weights.model.id),
      },
      discard: (path) => deleteSaved(this.#session, path),
    };
  }

  /** Requests for samples that were sent again; their tokens may be others than those that were lost. */
  get resampled(): number {
    return this.#parts.context.caller.resampled;
  }

  sample(request: SampleRequest, { signal, onTokens }: SampleOptions = {}): Promise<Sample> {
    return this.#turns.read(async () => {
      const sample = await (await this.#usable().sampler()).sample(request, signal);
      onTokens?.(sample.stop === 'stop-token' ? sample.ids.slice(0, -1) : sample.ids);
      return sample;
    });
  }

  release(): void {}

  logprobs(
    sequences: readonly TokenIds[],
    weights: 'present' | 'frozen',
    options: CallOptions = {},
  ): Promise<Float32Array[]> {
    return this.#turns.read(() => this.#of(weights).logprobs(sequences, options));
  }

  topLogprobs(
    sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
    k: number,
    weights: 'present' | 'frozen',
    options: CallOptions = {},
  ): Promise<TopLogprobs[]> {
    const most = this.capabilities.topLogprobs;
    if (k > most) return Promise.reject(new RangeError(`topLogprobs: k is ${k}, this server gives at most ${most}`));
    return this.#turns.read(async () => {
      const source = this.#of(weights);
      if (source instanceof FrozenWeights) return source.topLogprobs(sequences, k, options);
      const sampler = await source.sampler();
      return Promise.all(sequences.map(({ ids, start }) => sampler.topLogprobs(ids, start, k, options.signal)));
    });
  }

  train(
    batches: readonly LossBatch[],
    step: AdamWStep,
    options: CallOptions = {},
  ): Promise<{ losses: readonly LossResult[]; update: StepResult }> {
    return this.#turns.change(async () => {
      const present = this.#usable();
      this.#broken = true;
      if (this.#frozen === 'present') this.#frozen = await this.#keepFrozen(present);
      const trainee = present.isSpent ? await this.#moved(present) : present;
      const trained = await trainee.trainer.train(batches, step, options);
      this.#broken = false;
      if (!trained.update.skipped) {
        trainee.changed();
        this.#savedAs = undefined;
        this.#initial = false;
      }
      return trained;
    });
  }

  freeze(): Promise<void> {
    return this.#turns.change(async () => {
      this.#usable();
      await this.#releaseFrozen();
      this.#frozen = 'present';
    });
  }

  /** The server has made its adapter with the model; that is the one. */
  async attachAdapter(): Promise<void> {
    this.#refuseWithoutAdapter('attachAdapter');
  }

  async mergeAdapter(): Promise<void> {
    this.#refuseWithoutAdapter('mergeAdapter');
  }

  save(folder: string): Promise<void> {
    return this.#turns.change(async () => {
      const present = this.#usable();
      const createdAt = new Date().toISOString();
      const { path, expiresAt } = await present.save(`search-e1-${randomUUID()}`);
      await writeHandle(folder, {
        schema: 1,
        engine: 'tinker',
        ...this.#identity,
        path,
        initial: this.#initial,
        madeBy: ownerOf(folder),
        createdAt,
        expiresAt,
      });
      this.#savedAs = path;
      if (expiresAt !== null && !this.#saidExpiry)
        this.#parts.onNote(`${this.#parts.context.caller.url} drops saved weights after a time: these at ${expiresAt}`);
      this.#saidExpiry ||= expiresAt !== null;
    });
  }

  restore(folder: string, { optimizer }: { readonly optimizer: 'kept' | 'fresh' }): Promise<void> {
    return this.#turns.change(async () => {
      const handle = await readHandle(folder, this.#identity);
      if (this.#frozen === 'present' && handle.path !== this.#savedAs)
        this.#frozen = await this.#keepFrozen(this.#usable());
      await this.#load(handle, optimizer);
      this.#savedAs = handle.path;
      this.#initial = handle.initial;
      this.#broken = false;
    });
  }

  discard(folder: string): Promise<void> {
    return this.#turns.change(async () => {
      const handle = await findHandle(folder);
      if (handle === undefined || handle.madeBy !== ownerOf(folder) || (await isShared(folder))) return;
      const frozen = this.#frozen instanceof FrozenWeights ? this.#frozen.source : undefined;
      // The frozen weights may still have to be loaded from there.
      if (frozen?.kind === 'saved' && frozen.path === handle.path) {
        this.#frozenAlone.add(handle.path);
        return;
      }
      if (this.#savedAs === handle.path) this.#savedAs = undefined;
      await deleteSaved(this.#session, handle.path);
    });
  }

  async close(): Promise<void> {
    const { http, context, closed, onNote } = this.#parts;
    if (closed.signal.aborted) return;
    if (this.resampled > 0)
      onNote(
        `${this.resampled} requests for samples were sent twice, since an answer was lost; their tokens may be other ones`,
      );
    await this.#releaseFrozen();
    closed.abort(new Error('the engine was closed'));
    await this.#session.close({ unload: context.profile.unload });
    http.close();
  }

  get #identity(): Pick<Handle, 'profile' | 'url' | 'baseModel' | 'loraRank'> {
    const { context } = this.#parts;
    return {
      profile: this.#profileName,
      url: context.caller.url,
      baseModel: context.baseModel,
      loraRank: context.lora?.rank ?? null,
    };
  }

  #usable(): RemoteWeights {
    if (this.#broken)
      throw new TinkerFailure(
        'state-unknown',
        `${this.#parts.context.caller.url}: the last training step failed, and what it left on the server is unknown`,
        { hint: RESTORE_HINT },
      );
    return this.#present;
  }

  #of(weights: 'present' | 'frozen'): RemoteWeights | FrozenWeights {
    const present = this.#usable();
    if (weights === 'present') return present;
    if (this.#frozen === undefined) throw new RangeError('nothing was frozen yet');
    return this.#frozen === 'present' ? present : this.#frozen;
  }

  /** The frozen weights are about to be no longer the present ones. */
  async #keepFrozen(present: RemoteWeights): Promise<FrozenWeights> {
    const { context } = this.#parts;
    const session = this.#session;
    const { frozen } = context.profile;
    if (frozen === 'model') {
      const path = this.#savedAs ?? (await present.save(`search-e1-frozen-${randomUUID()}`)).path;
      if (this.#savedAs === undefined) this.#frozenAlone.add(path);
      this.#savedAs = path;
      return new FrozenWeights({ kind: 'saved', path }, session, context);
    }
    const kind = frozen === 'initial' && this.#initial ? 'initial' : 'lost';
    return new FrozenWeights({ kind }, session, context);
  }

  /**
   * The present weights in a model that has saved nothing yet, before they change: what the server would keep of them later in the old
   * one would be these.
   */
  async #moved(present: RemoteWeights): Promise<RemoteWeights> {
    const { context } = this.#parts;
    // Nothing has changed since its first save, so that another one is right once more.
    const path = this.#savedAs ?? (await present.save(`search-e1-moved-${randomUUID()}`)).path;
    const next = await RemoteWeights.create(this.#session, context);
    await next.load(path, { optimizer: true });
    if (this.#savedAs === undefined) await deleteSaved(this.#session, path);
    if (context.profile.unload) await this.#session.unload(present.model.id);
    this.#present = next;
    return next;
  }

  async #releaseFrozen(): Promise<void> {
    if (this.#frozen instanceof FrozenWeights) await this.#frozen.release();
    this.#frozen = undefined;
    for (const path of this.#frozenAlone) {
      if (this.#savedAs === path) this.#savedAs = undefined;
      await deleteSaved(this.#session, path);
    }
    this.#frozenAlone.clear();
  }

  /** Where session or model are lost, as after a restart of the server, new ones are made: saved weights may have outlived them. */
  async #load({ path }: Handle, optimizer: 'kept' | 'fresh'): Promise<void> {
    const { context, onNote } = this.#parts;
    const { load, freshOptimizer, unload } = context.profile;
    const kept = optimizer === 'kept';
    const isLost = this.#broken && (this.#session.gone || !(await this.#present.model.exists()));
    this.#broken = true;
    if (isLost) {
      await this.#session.close({ unload: false });
      this.#session = await Session.open(context.caller, onNote);
      if (this.#frozen instanceof FrozenWeights) this.#frozen = this.#frozen.in(this.#session);
    }
    if (isLost || load === 'first' || this.#present.isSpent || (!kept && freshOptimizer === 'new-model')) {
      if (unload) await this.#session.unload(this.#present.model.id);
      this.#present = await RemoteWeights.create(this.#session, context);
    }
    await this.#present.load(path, { optimizer: kept });
    if (!kept && freshOptimizer === 'cleared') await this.#present.trainer.clearMoments();
  }

  #refuseWithoutAdapter(verb: string): void {
    if (this.capabilities.adapter === 'never')
      throw new RangeError(`${verb}: this engine trains all weights; capabilities.adapter is "never"`);
  }
}
