/**
 * The words of a real server, hatchery-core 0.3.0, recorded (live/record.ts) and said again: this client asks for nothing else, for all
 * of it, and takes from each answer what stands there.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADVANTAGE, converse, type Heard, PROMPT, SEQUENCES } from './testing/conversation.ts';
import { quick } from './testing/open-mock.ts';
import { type Exchange, type Replay, replay, type Transcript } from './testing/replay.ts';

const transcript = JSON.parse(
  readFileSync(new URL('testing/hatchery-0.3.0.json', import.meta.url), 'utf8'),
) as Transcript;
const { exchanges, baseModel } = transcript;

type Body = Record<string, unknown>;
const calls = (name: string) => exchanges.filter(({ path }) => path === `/api/v1/${name}`);
/** What came of a call in the end. */
const resultOf = ({ answer }: Exchange): Body => {
  const id = (answer as Body).request_id;
  return calls('retrieve_future').find(({ body }) => (body as Body).request_id === id)!.answer as Body;
};
const logprobsOf = (exchange: Exchange) =>
  (resultOf(exchange).loss_fn_outputs as { logprobs: { data: number[] } }[]).map(({ logprobs }) =>
    Float32Array.of(0, ...logprobs.data),
  );
const promptOf = ({ body }: Exchange) =>
  ((body as Body).prompt as { chunks: { tokens: number[] }[] }).chunks.flatMap(({ tokens }) => tokens);

describe(`a conversation with ${transcript.server}`, () => {
  let server: Replay;
  let heard: Heard;
  beforeAll(async () => {
    server = await replay(transcript);
    heard = await converse({ url: server.url, key: 'tml-any', profile: 'hatchery', baseModel }, quick);
  });
  afterAll(() => server.close());

  it('is word for word what it was', () => {
    expect(server.unknown).toEqual([]);
    expect(server.left()).toEqual([]);
  });

  it('the scores are those of the answers', () => {
    // The first forward of all is the one that holds the sampler against the trainer.
    const [, before, again, after, frozen, restored] = calls('forward').map(logprobsOf);
    expect(heard.before).toEqual(before);
    expect(again).toEqual(before);
    expect(heard.after).toEqual(after);
    expect(heard.frozen).toEqual(frozen);
    expect(heard.restored).toEqual(restored);
    // What the server did, not this client: the step moved it, frozen weights stayed, the checkpoint holds the step (in bfloat16).
    const gap = (a: Float32Array[], b: Float32Array[]) =>
      Math.max(...a.flatMap((stream, i) => [...stream].map((x, t) => Math.abs(x - b[i]![t]!))));
    expect(gap(heard.after, heard.before)).toBeGreaterThan(0.1);
    expect(gap(heard.frozen, heard.before)).toBeLessThan(2e-6);
    expect(gap(heard.restored, heard.after)).toBeLessThan(0.01);
  });

  it('the samples are those of the answers: two of one request, a greedy one beside them', () => {
    const [pair] = calls('asample').filter(({ body }) => (body as Body).num_samples === 2);
    expect(promptOf(pair!)).toEqual(PROMPT);
    const drawn = resultOf(pair!).sequences as { tokens: number[]; logprobs: number[] }[];
    for (const [i, { tokens, logprobs }] of drawn.entries())
      expect(heard.samples[i]).toEqual({
        ids: tokens,
        logprobs: logprobs.map(Math.fround),
        stop: tokens.includes('\n'.charCodeAt(0)) ? 'stop' : 'length',
      });
    const [greedy] = calls('asample').filter((exchange) => promptOf(exchange).join() === '5');
    expect(heard.samples[2]!.ids).toEqual((resultOf(greedy!).sequences as { tokens: number[] }[])[0]!.tokens);
  });

  it('the table is the one of the answer', () => {
    const [asked] = calls('asample').filter(({ body }) => (body as Body).topk_prompt_logprobs === 3);
    const rows = (resultOf(asked!).topk_prompt_logprobs as [number, number][][]).slice(3);
    expect([...heard.top[0]!.tokens]).toEqual(rows.flatMap((row) => row.map(([id]) => id)));
    expect([...heard.top[0]!.logprobs]).toEqual(rows.flatMap((row) => row.map(([, x]) => Math.fround(x))));
  });

  it('the losses: −A at the ratio 1; of soft targets, the sum over the table of −w log π', () => {
    const masked = SEQUENCES.reduce((sum, { length }) => sum + length - 2, 0);
    expect(heard.losses[0]).toMatchObject({ loss: expect.closeTo(-ADVANTAGE, 6), tokens: masked });
    expect(heard.losses[0]!.metrics).toMatchObject({ maxRatioDeviation: 0 });
    const [, soft] = calls('forward_backward');
    expect(heard.losses[1]!.loss).toBe((resultOf(soft!).metrics as Record<string, number>)['loss:mean']);
    expect(heard.update).toEqual({ gradientNorm: null, skipped: false });
  });

  it('holds no key, and no path of the machine on which it was recorded', () => {
    const text = JSON.stringify(exchanges);
    expect(text).not.toMatch(/tml-|\/(home|work|tmp|root|Users)\//);
  });
});
