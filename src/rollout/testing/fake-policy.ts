/** A scripted policy for tests: a function from the decoded context to the next text. It speaks ids and keeps to the engine's contract for sampling. */
import { uniformAt } from '../../base/random.ts';
import type { Tokenizer } from '../../checkpoint/tokenizer.types.ts';
import type { Capabilities, PolicyInfo, Sample, SampleRequest, Sampler } from '../../policy/policy.ts';

export interface FakePolicy extends Sampler {
  /** Every request so far, in order, with what was answered. */
  readonly calls: readonly { readonly request: SampleRequest; readonly sample: Sample }[];
  /** Sessions that were released, in order. */
  readonly released: readonly string[];
}

/** Nothing but what sampling needs. */
const scripted: Capabilities = {
  deterministic: true,
  sampler: 'exact',
  dryRun: false,
  divergences: [],
  pointwiseClip: false,
  softTargets: 'none',
  topLogprobs: 0,
  frozen: 'none',
  adapter: 'never',
  optimizer: { fresh: false, clip: false, betasPerStep: false, gradientNorm: false },
  checkpoints: 'files',
};

/** The text that the policy would write on, given its whole context as text; a promise may also stay pending or reject. */
export type Script = (context: string, request: SampleRequest) => string | Promise<string>;

/**
 * Writes what the script says up to the first completed stop string, stop token or limit. When the script's text runs
 * out, the turn ends by the first stop token, or as if by the limit when there is none. The log-probability of new token
 * n is −uniformAt(key, offset + n), so that tests see the stream that was used.
 */
export function fakePolicy(
  tokenizer: Tokenizer,
  script: Script,
  { contextLength = 100_000 }: { contextLength?: number } = {},
): FakePolicy {
  const info: PolicyInfo = {
    engine: 'fake',
    vocabulary: tokenizer.vocabulary,
    contextLength,
  };
  const calls: { request: SampleRequest; sample: Sample }[] = [];
  const released: string[] = [];
  return {
    info,
    capabilities: scripted,
    calls,
    released,
    release: (session) => void released.push(session),
    async sample(request, { signal, onTokens } = {}) {
      signal?.throwIfAborted();
      const text = await script(tokenizer.decode(request.prompt), request);
      signal?.throwIfAborted();
      const { ids, stop } = write([...tokenizer.encode(text), ...request.stopTokens.slice(0, 1)], request);
      const logprobs = ids.map((_, n) => -uniformAt(request.key, (request.offset ?? 0) + n));
      const sample = { ids, logprobs, stop };
      calls.push({ request, sample });
      const read = stop === 'stop-token' ? ids.slice(0, -1) : ids;
      for (let n = 4; onTokens && n < read.length; n += 4) onTokens(read.slice(0, n));
      return sample;
    },
  };

  function write(wanted: readonly number[], request: SampleRequest): Pick<Sample, 'ids' | 'stop'> {
    const ids: number[] = [];
    let text = '';
    for (const id of wanted) {
      if (request.prompt.length + ids.length >= contextLength) return { ids, stop: 'context' };
      ids.push(id);
      text += tokenizer.pieces[id]!;
      if (request.stop.some((string) => text.includes(string))) return { ids, stop: 'stop' };
      if (request.stopTokens.includes(id)) return { ids, stop: 'stop-token' };
      if (ids.length === request.maxTokens) return { ids, stop: 'length' };
    }
    return { ids, stop: 'length' };
  }
}
