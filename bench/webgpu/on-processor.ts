/** Work for a GPU done on the processor, where every run of a session can be looked at: what it is fed, what it gives, what stays. */
import { InferenceSession, type Tensor } from 'onnxruntime-node';

export type Tensors = Readonly<Record<string, Tensor>>;

export interface SessionRun {
  readonly model: Uint8Array;
  readonly feeds: Tensors;
  /** Outputs that stay on the GPU as new tensors. */
  readonly resident: ReadonlySet<string>;
  /** Outputs that are written into tensors that there are. */
  readonly into: Tensors;
}

/** Stands around each run: calls `run` once and hands on what it gives. */
export type Watch = (session: SessionRun, run: () => Promise<Tensors>) => Promise<Tensors>;

type Create = (model: Uint8Array, options: InferenceSession.SessionOptions) => Promise<InferenceSession>;

/** Does `work` with the graphs and sessions for WebGPU, on the processor. */
export async function onProcessor(work: () => Promise<void>, watch: Watch): Promise<void> {
  const library = InferenceSession as unknown as { create: Create };
  const create = library.create;
  library.create = async (model, { executionProviders: _, preferredOutputLocation = {}, ...options }) => {
    const session = await create.call(InferenceSession, model, { ...options, executionProviders: ['cpu'] });
    const run = session.run.bind(session) as (...args: unknown[]) => Promise<Tensors>;
    const resident = new Set(Object.keys(preferredOutputLocation));
    session.run = (async (feeds: Tensors, into: Tensors = {}) =>
      watch({ model, feeds, resident, into }, () =>
        Object.keys(into).length > 0 ? run(feeds, into) : run(feeds),
      )) as InferenceSession['run'];
    return session;
  };
  try {
    await work();
  } finally {
    library.create = create;
  }
}
