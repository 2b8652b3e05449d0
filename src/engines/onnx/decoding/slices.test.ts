import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { streamKey } from '../../../base/random.ts';
import type { SampleRequest, TokenIds } from '../../../policy/policy.ts';
import { testTokenizer } from '../../../protocol/testing/tokenizer.ts';
import { fakePolicy } from '../../../rollout/testing/fake-policy.ts';
import { sampleInSlices } from './slices.ts';

const tokenizer = testTokenizer({ chat: true });

/** A policy that writes one text whatever it is asked, and goes on where the prompt has got to. */
function writer(text: string, contextLength?: number) {
  const start = 'prompt:';
  const policy = fakePolicy(
    tokenizer,
    (context) => text.slice(context.length - start.length),
    contextLength === undefined ? {} : { contextLength },
  );
  const request: SampleRequest = {
    prompt: tokenizer.encode(start),
    maxTokens: 60,
    temperature: 1,
    stop: ['</search>', '</answer>', '>.'],
    stopTokens: tokenizer.endTokens,
    key: streamKey(1, 'slices'),
    offset: 3,
    session: 's',
  };
  return { policy, request };
}

describe('a sample in slices', () => {
  // ASCII, since the fake policy finds its place by the length of the text; tags begin and end anywhere.
  const text = fc
    .array(fc.constantFrom('<search>', '</search>', '</answer>', ' the', 'a', '>', '.', '</sea', 'rch> and', ' of'), {
      maxLength: 30,
    })
    .map((parts) => parts.join(''));

  it('is the sample in one piece, wherever it ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 8, max: 60 }),
        async (text, max, context) => {
          const { policy, request } = writer(text, context);
          const asked = { ...request, maxTokens: max };
          const whole = await policy.sample(asked);
          const told: TokenIds[] = [];
          const sliced = await sampleInSlices(policy.sample, asked, tokenizer.pieces, (ids) => told.push(ids));
          expect(sliced).toEqual(whole);
          const read = whole.stop === 'stop-token' ? whole.ids.slice(0, -1) : whole.ids;
          expect(told.at(-1)).toEqual(read);
          for (const [i, ids] of told.entries()) expect(read.slice(0, ids.length), `call ${i}`).toEqual(ids);
        },
      ),
    );
  });
});
