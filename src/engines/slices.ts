/**
 * A sample taken in short slices, so that somebody can read along while it is written. The same bits as in one piece: the
 * n-th new token depends on the context and the n-th number of its stream alone.
 */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Policy, Sample, SampleRequest, TokenIds } from '../policy/policy.ts';

/** Tokens of a slice: few enough to read along, enough that handing the cache back and forth costs little. */
const SLICE = 4;

/**
 * What `policy.sample(request)` gives. Give the request a session, or every slice computes the whole prompt again.
 * @param tell called with all new tokens so far, a stop token not included; `done` with the last of them
 */
export async function sampleInSlices(
  policy: Pick<Policy, 'sample'>,
  request: SampleRequest,
  { pieces }: Pick<Tokenizer, 'pieces'>,
  tell: (ids: TokenIds, done: boolean) => void,
  signal?: AbortSignal,
): Promise<Sample> {
  const { prompt, maxTokens, stop, offset = 0 } = request;
  const longest = Math.max(0, ...stop.map((string) => string.length));
  const ids: number[] = [];
  const logprobs: number[] = [];
  let tail = '';

  for (;;) {
    const slice = await policy.sample(
      {
        ...request,
        prompt: [...prompt, ...ids],
        maxTokens: Math.min(SLICE, maxTokens - ids.length),
        offset: offset + ids.length,
      },
      signal,
    );
    for (const [i, id] of slice.ids.entries()) {
      ids.push(id);
      logprobs.push(slice.logprobs[i]!);
      if (slice.stop === 'stop-token' && i === slice.ids.length - 1) break;
      // The engine sees one slice at a time: a stop string that began in an earlier one is found here, and what was
      // sampled behind it is dropped.
      tail += pieces[id] ?? '';
      if (stop.some((string) => tail.includes(string))) {
        tell(ids, true);
        return { ids, logprobs, stop: 'stop' };
      }
      tail = longest > 1 ? tail.slice(1 - longest) : '';
    }
    const done = slice.stop !== 'length' || ids.length >= maxTokens;
    tell(slice.stop === 'stop-token' ? ids.slice(0, -1) : ids, done);
    if (done) return { ids, logprobs, stop: slice.stop };
  }
}

/** OrderedReduction growing lists of ids into pieces of text; joined, the pieces are the text of the last list. */
export function textTeller(
  { decode }: Pick<Tokenizer, 'decode'>,
  onText: (piece: string) => void,
): (ids: TokenIds, done: boolean) => void {
  let told = 0;
  return (ids, done) => {
    // An unfinished character is decoded as U+FFFD; the next tokens may complete it.
    const text = done ? decode(ids) : decode(ids).replace(/\uFFFD+$/, '');
    if (text.length > told) onText(text.slice(told));
    told = text.length;
  };
}
