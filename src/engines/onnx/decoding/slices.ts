/**
 * A sample taken in short slices, so that somebody can read along while it is written. The same bits as in one piece: the
 * n-th new token depends on the context and the n-th number of its stream alone.
 */
import type { Sample, SampleRequest, TokenIds } from '../../../policy/policy.ts';

/** Tokens of a slice: few enough to read along, enough that handing the cache back and forth costs little. */
const SLICE = 4;

/**
 * What `sample(request)` gives. Give the request a session, or every slice computes the whole prompt again.
 * @param pieces the text of each token
 * @param onTokens called with all new tokens so far, a stop token not included
 */
export async function sampleInSlices(
  sample: (request: SampleRequest) => Promise<Sample>,
  request: SampleRequest,
  pieces: readonly string[],
  onTokens: (ids: TokenIds) => void,
): Promise<Sample> {
  const { prompt, maxTokens, stop, offset = 0 } = request;
  const longest = Math.max(0, ...stop.map((string) => string.length));
  const ids: number[] = [];
  const logprobs: number[] = [];
  let tail = '';

  for (;;) {
    const slice = await sample({
      ...request,
      prompt: [...prompt, ...ids],
      maxTokens: Math.min(SLICE, maxTokens - ids.length),
      offset: offset + ids.length,
    });
    for (const [i, id] of slice.ids.entries()) {
      ids.push(id);
      logprobs.push(slice.logprobs[i]!);
      if (slice.stop === 'stop-token' && i === slice.ids.length - 1) break;
      // The engine sees one slice at a time: a stop string that began in an earlier one is found here, and what was
      // sampled behind it is dropped.
      tail += pieces[id] ?? '';
      if (stop.some((string) => tail.includes(string))) {
        onTokens([...ids]);
        return { ids, logprobs, stop: 'stop' };
      }
      tail = longest > 1 ? tail.slice(1 - longest) : '';
    }
    onTokens(slice.stop === 'stop-token' ? ids.slice(0, -1) : [...ids]);
    if (slice.stop !== 'length' || ids.length >= maxTokens) return { ids, logprobs, stop: slice.stop };
  }
}
