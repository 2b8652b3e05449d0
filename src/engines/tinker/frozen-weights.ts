/**
 * The frozen weights: the present ones as long as nothing was trained, then another model of the server, loaded when it is
 * first asked, or the weights that the server was started with.
 */
import { UserError } from '../../base/errors.ts';
import type { CallOptions, SoftTargets, TokenIds, TopLogprobs } from '../../policy/policy.ts';
import { type RemoteContext, RemoteWeights } from './remote-weights.ts';
import { SamplingSession } from './sampler.ts';
import type { Session } from './session.ts';

/** Where weights that were frozen, and are no longer the present ones, are to be had. */
export type FrozenSource =
  /** Saved under this path. */
  | { readonly kind: 'saved'; readonly path: string }
  /** The server was started with them. */
  | { readonly kind: 'initial' }
  | { readonly kind: 'lost' };

export class FrozenWeights {
  readonly source: FrozenSource;
  readonly #context: RemoteContext;
  readonly #session: Session;
  #model: Promise<RemoteWeights> | undefined;
  #sampler: Promise<SamplingSession> | undefined;

  constructor(source: FrozenSource, session: Session, context: RemoteContext) {
    this.source = source;
    this.#session = session;
    this.#context = context;
  }

  /** The same weights for another session: models of the old one are lost. */
  in(session: Session): FrozenWeights {
    return new FrozenWeights(this.source, session, this.#context);
  }

  async logprobs(sequences: readonly TokenIds[], options: CallOptions): Promise<Float32Array[]> {
    if (this.source.kind === 'saved') return (await this.#loaded(this.source.path)).logprobs(sequences, options);
    const sampler = await this.#initialSampler();
    return Promise.all(sequences.map((ids) => sampler.score(ids, options.signal)));
  }

  async topLogprobs(
    sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
    k: number,
    options: CallOptions,
  ): Promise<TopLogprobs[]> {
    const sampler =
      this.source.kind === 'saved'
        ? await (await this.#loaded(this.source.path)).sampler()
        : await this.#initialSampler();
    return Promise.all(sequences.map(({ ids, start }) => sampler.topLogprobs(ids, start, k, options.signal)));
  }

  /** Gives the model's place on the server free. */
  async release(): Promise<void> {
    const model = await this.#model?.catch(() => undefined);
    if (model !== undefined) await this.#session.unload(model.model.id);
  }

  #loaded(path: string): Promise<RemoteWeights> {
    this.#model ??= RemoteWeights.create(this.#session, this.#context).then(async (model) => {
      await model.load(path, { optimizer: false });
      return model;
    });
    return this.#model;
  }

  async #initialSampler(): Promise<SamplingSession> {
    if (this.source.kind !== 'initial')
      throw new UserError(
        `${this.#context.caller.url} cannot score with weights that were frozen before the last step`,
        {
          hint: 'Set grpo.klCoefficient=0. Where the server scores its initial weights: restart it with this checkpoint as its model.',
        },
      );
    this.#sampler ??= this.#session
      .createSampler({ base_model: this.#context.baseModel })
      .then((id) => new SamplingSession(id, this.#context));
    return this.#sampler;
  }
}
