import { describe, expect, it } from 'vitest';
import { PromptTooLong, type TextRequest } from '../policy/text-model.ts';
import { testTokenizer } from '../protocol/testing/tokenizer.ts';
import { fakePolicy, type Script } from '../rollout/testing/fake-policy.ts';
import { textPolicy } from './text-policy.ts';

const request: TextRequest = { prompt: 'go on', maxTokens: 60, temperature: 1, stop: ['</search>'], seed: 5 };

function model(script: Script, { chat = true, contextLength = 1000 } = {}) {
  const tokenizer = testTokenizer({ chat });
  const policy = fakePolicy(tokenizer, script, { contextLength });
  return { policy, tokenizer, model: textPolicy(policy, tokenizer, { name: 'tiny', weights: 'abc' }) };
}

/** Goes on with a text from where the context, behind the prompt, has got to. */
const going =
  (prompt: string, text: string): Script =>
  (context) =>
    text.slice(context.length - prompt.length);

describe('a policy as a text model', () => {
  it('says what it is', () => {
    expect(model(() => '').model.info).toEqual({ engine: 'fake', name: 'tiny', weights: 'abc', deterministic: true });
  });

  it('ends at a stop string, though the last token carries more', async () => {
    const { model: asked, policy } = model(going('go on', '<search> x </search> and'));
    const pieces: string[] = [];
    const [silent, heard] = await Promise.all([
      asked.complete(request),
      asked.complete({ ...request, onText: (piece) => pieces.push(piece) }),
    ]);
    // The token "rch> and" was sampled whole.
    expect(silent).toEqual({
      text: '<search> x </search>',
      finish: 'stop',
      promptTokens: 5,
      newTokens: expect.any(Number),
    });
    expect(heard).toEqual(silent);
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.join('')).toBe(silent.text);
    expect(policy.released).toHaveLength(2);
    // The same seed, the same stream.
    expect(new Set(policy.calls.map(({ request: { key } }) => key.join())).size).toBe(1);
  });

  it('ends by its end token, which is no text', async () => {
    const { model: asked } = model(() => 'yes');
    expect(await asked.complete(request)).toEqual({ text: 'yes', finish: 'stop', promptTokens: 5, newTokens: 4 });
  });

  it('says when a limit was reached', async () => {
    const limited = model(() => 'abcdefgh');
    expect(await limited.model.complete({ ...request, maxTokens: 3 })).toMatchObject({ text: 'abc', finish: 'length' });
    const full = model(() => 'abcdefgh', { contextLength: 5 });
    const refused = full.model.complete(request);
    await expect(refused).rejects.toThrow(PromptTooLong);
    await expect(refused).rejects.toThrow('the prompt of 5 tokens leaves no room in a context of 5');
  });

  it('puts messages into the chat template, or one below the other without one', async () => {
    const prompt = [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'why ?' },
    ] as const;
    const seen: string[] = [];
    const script: Script = (context) => {
      seen.push(context);
      return 'so';
    };
    await model(script).model.complete({ ...request, prompt });
    await model(script, { chat: false }).model.complete({ ...request, prompt });
    expect(seen).toEqual([
      '<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nwhy ?<|im_end|>\n<|im_start|>assistant\n',
      'be brief\n\nwhy ?',
    ]);
  });

  it('passes on what is asked of the sampler, and its failures', async () => {
    const { model: asked, policy } = model(() => 'x');
    await asked.complete({ ...request, topP: 0.9, temperature: 0.5 });
    expect(policy.calls[0]!.request).toMatchObject({ topP: 0.9, temperature: 0.5, maxTokens: 60, stop: ['</search>'] });
    const failing = model(() => Promise.reject(new Error('broken')));
    await expect(failing.model.complete(request)).rejects.toThrow('broken');
    expect(failing.policy.released).toHaveLength(1);
  });
});
