import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sharedFloats } from '../../../onnx/shared-floats.ts';
import type { SampleRequest } from '../../../policy/policy.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { randomWeights } from '../training/reference.testing.ts';
import { Decoder } from './decoder.ts';
import { Scheduler, type WeightSource } from './scheduler.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 26,
  hidden: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  headSize: 8,
  intermediate: 24,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 60,
};
const letters = Array.from({ length: config.vocabulary }, (_, id) => String.fromCharCode(97 + id));

const request = (change: Partial<SampleRequest> = {}): SampleRequest => ({
  prompt: [1, 2, 3],
  maxTokens: 10,
  temperature: 1,
  stop: [],
  stopTokens: [],
  key: [7, 7],
  ...change,
});

class Source implements WeightSource<Float32Array> {
  version = 0;
  weights = randomWeights(config, [1, 1]);
  effectiveWeights() {
    return this.weights;
  }
}

describe('Scheduler', () => {
  const decoders: Decoder[] = [];
  const open = (options: { maxActive?: number; source?: Source; pieces?: string[] } = {}) => {
    const decoder = new Decoder(config, { threads: 1 });
    decoders.push(decoder);
    const { maxActive = 96, source = new Source(), pieces = letters } = options;
    return new Scheduler(decoder, source, { config, pieces, maxActive });
  };
  let scheduler: Scheduler;
  beforeAll(() => {
    scheduler = open();
  });
  afterAll(async () => {
    for (const decoder of decoders) await decoder.close();
  });

  it('is a function of prompt, key and offset alone', async () => {
    const full = await scheduler.sample(request({ maxTokens: 12 }));
    expect(full.ids).toHaveLength(12);
    expect(full.logprobs).toHaveLength(12);
    expect(full.stop).toBe('length');
    const rest = await scheduler.sample(
      request({ prompt: [1, 2, 3, ...full.ids.slice(0, 5)], maxTokens: 7, offset: 5 }),
    );
    expect(rest.ids).toEqual(full.ids.slice(5));
    expect(rest.logprobs).toEqual(full.logprobs.slice(5));
    expect((await scheduler.sample(request({ maxTokens: 12, key: [7, 8] }))).ids).not.toEqual(full.ids);
  });

  it('gives the same samples whatever shares the batch, also with few places', async () => {
    const narrow = open({ maxActive: 3 });
    const requests = fc.array(
      fc.record({
        // Long enough prefixes in common to be shared, some prompts being the prefix of others.
        prompt: fc
          .tuple(fc.nat(30), fc.array(fc.nat(25), { maxLength: 8 }))
          .map(([common, own]) => [3, ...Array.from({ length: common }, (_, i) => (i * i) % 26), ...own]),
        maxTokens: fc.integer({ min: 1, max: 25 }),
        temperature: fc.constantFrom(0, 0.5, 1),
        key: fc.tuple(fc.nat(100), fc.nat(100)),
        session: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 9 },
    );
    await fc.assert(
      fc.asyncProperty(requests, async (changes) => {
        const all = changes.map(({ session, ...rest }) => request({ ...rest, ...(session && { session }) }));
        const together = await Promise.all(all.map((one) => narrow.sample(one)));
        for (const [i, one] of all.entries()) {
          const { session: _, ...fresh } = one;
          expect(await scheduler.sample(fresh)).toEqual(together[i]);
        }
      }),
      { numRuns: 15, seed: 1 },
    );
  });

  it('draws from the tokens that topK and topP keep, with their renormalised probabilities', async () => {
    const free = await scheduler.sample(request());
    const one = await scheduler.sample(request({ topK: 1 }));
    expect(one.ids).toEqual((await scheduler.sample(request({ temperature: 0 }))).ids);
    for (const logprob of one.logprobs) expect(logprob).toBeCloseTo(0, 12);
    expect((await scheduler.sample(request({ topP: 1e-9 }))).ids).toEqual(one.ids);
    expect(await scheduler.sample(request({ topK: 1000, topP: 1 }))).toEqual({
      ...free,
      logprobs: free.logprobs.map((logprob) => expect.closeTo(logprob, 6)),
    });
  });

  describe('ends a sample', () => {
    it('with the token that completes a stop string, also one that spans tokens', async () => {
      const { ids } = await scheduler.sample(request({ maxTokens: 12 }));
      const text = ids.map((id) => letters[id]).join('');
      for (const [from, to] of [
        [3, 4],
        [2, 6],
        [0, 12],
      ] as const) {
        const stop = ['??', text.slice(from, to)];
        const end = text.indexOf(stop[1]!) + (to - from);
        const sample = await scheduler.sample(request({ maxTokens: 12, stop }));
        expect(sample).toMatchObject({ ids: ids.slice(0, end), stop: 'stop' });
        expect(sample.logprobs).toHaveLength(end);
      }
    });

    it('when the stop string ends inside a token, and not for text of the prompt', async () => {
      const { ids } = await scheduler.sample(request({ maxTokens: 4 }));
      const pieces = letters.map((letter) => `<${letter}>`);
      const stop = [`>${pieces[ids[2]!]!.slice(0, 2)}`];
      const end = ids.findIndex((id, n) => n > 0 && id === ids[2]) + 1;
      expect(await open({ pieces }).sample(request({ stop }))).toMatchObject({ ids: ids.slice(0, end), stop: 'stop' });
      const prompt = [1, 2, ids[0] === 3 ? 4 : 3];
      const spanning = letters[prompt[2]!]! + letters[ids[0]!]!;
      const unaffected = await scheduler.sample(request({ maxTokens: 1, stop: [spanning] }));
      expect(unaffected.stop).toBe('length');
    });

    it('with a stop token, at the end of the context, at maxTokens', async () => {
      const { ids } = await scheduler.sample(request());
      const first = ids.indexOf(ids[4]!) + 1;
      expect(await scheduler.sample(request({ stopTokens: [ids[4]!] }))).toMatchObject({
        ids: ids.slice(0, first),
        stop: 'stop-token',
      });
      const long = await scheduler.sample(request({ maxTokens: 1000 }));
      expect(long.stop).toBe('context');
      expect(long.ids).toHaveLength(config.contextLength - 3);
      expect(await scheduler.sample(request({ prompt: Array(60).fill(1) }))).toEqual({
        ids: [],
        logprobs: [],
        stop: 'context',
      });
    });
  });

  it('computes only what a session does not hold yet', async () => {
    const own = open();
    const first = await own.sample(request({ session: 's' }));
    expect(own.totals.prefilledTokens).toBe(2);
    const prompt = [1, 2, 3, ...first.ids, 4, 5, 6];
    const second = await own.sample(request({ prompt, session: 's', offset: 10 }));
    // Known: the prompt and nine of ten new tokens. The last of the new prompt is computed with the first draw.
    expect(own.totals.prefilledTokens).toBe(2 + 3);
    expect(second).toEqual(await scheduler.sample(request({ prompt, offset: 10 })));

    // Another prompt under the same name shares what it shares.
    expect(await own.sample(request({ prompt: [1, 2, 9, 9], session: 's' }))).toEqual(
      await scheduler.sample(request({ prompt: [1, 2, 9, 9] })),
    );
    expect(own.totals.prefilledTokens).toBe(2 + 3 + 1);
    own.release('s');
    own.release('unknown');
    // What is released may still be of use: the prefix is there, 2 of it from either prompt.
    await own.sample(request({ prompt: [1, 2, 9, 8, 8], session: 's' }));
    expect(own.totals.prefilledTokens).toBe(2 + 3 + 1 + 1);
  });

  it('computes equal prompts of a group once', async () => {
    const own = open();
    const prompt = Array.from({ length: 24 }, (_, i) => (i * i) % 26);
    const group = await Promise.all(Array.from({ length: 5 }, (_, n) => own.sample(request({ prompt, key: [1, n] }))));
    expect(own.totals.prefilledTokens).toBe(23);
    for (const [n, sample] of group.entries())
      expect(sample).toEqual(await scheduler.sample(request({ prompt, key: [1, n] })));
  });

  it('computes once what siblings go on with alike, also when one is ahead or has ended', async () => {
    const own = open();
    const prompt = Array.from({ length: 20 }, (_, i) => (i * i) % 26);
    const observed = [...prompt, ...Array.from({ length: 20 }, (_, i) => (i * 7) % 26)];
    await own.sample(request({ prompt, session: 'a' }));
    await own.sample(request({ prompt, session: 'b' }));
    const before = own.totals.prefilledTokens;
    const first = await own.sample(request({ prompt: observed, session: 'a' }));
    own.release('a');
    expect(own.totals.prefilledTokens - before).toBe(19);
    const second = await own.sample(request({ prompt: observed, session: 'b' }));
    expect(own.totals.prefilledTokens - before).toBe(19);
    expect(second).toEqual(first);
  });

  it('computes what prompts begin with once, also when some are under way already', async () => {
    const own = open({ maxActive: 4 });
    const template = Array.from({ length: 20 }, (_, i) => i % 26);
    const requests = Array.from({ length: 9 }, (_, n) =>
      request({ prompt: [...template, n, 3], key: [2, n], maxTokens: 5 + n }),
    );
    const samples = await Promise.all(requests.map((one) => own.sample(one)));
    // Of 22 tokens the last is read with the first draw, which leaves one of each prompt's own.
    expect(own.totals.prefilledTokens).toBe(20 + 9);
    for (const [n, sample] of samples.entries()) expect(sample).toEqual(await scheduler.sample(requests[n]!));
  });

  it('reads prompts that no run could hold', async () => {
    const long: ModelConfig = { ...config, contextLength: 3000 };
    const openLong = () => {
      const decoder = new Decoder(long, { threads: 1 });
      decoders.push(decoder);
      return new Scheduler(decoder, new Source(), { config: long, pieces: letters, maxActive: 96 });
    };
    const own = openLong();
    const requests = [2500, 700, 3].map((length, n) =>
      request({ prompt: Array.from({ length }, (_, i) => (i * i + n) % 26), key: [3, n], maxTokens: 5 }),
    );
    const samples = await Promise.all(requests.map((one) => own.sample(one)));
    expect(own.totals.prefilledTokens).toBe(2499 + 699 + 2);
    for (const [n, one] of requests.entries()) expect(samples[n]).toEqual(await openLong().sample(one));
  });

  it('leaves the rows of others alone when a sequence under way holds a whole prompt', async () => {
    const own = open();
    const template = Array.from({ length: 30 }, (_, i) => (i * i) % 26);
    const whole = request({ prompt: template, key: [5, 1] });
    const other = request({ prompt: [9, 8, 7, 6, 5, 4, 3], key: [5, 2] });
    const underWay = own.sample(request({ prompt: [...template, 1], maxTokens: 29 }));
    while (own.totals.sampledTokens === 0) await new Promise(setImmediate);
    const samples = await Promise.all([own.sample(whole), own.sample(other), underWay]);
    expect(samples[0]).toEqual(await scheduler.sample(whole));
    expect(samples[1]).toEqual(await scheduler.sample(other));
    expect(own.totals.prefilledTokens).toBe(30 + 6);
  });

  it('takes changed weights, and forgets what the old ones computed', async () => {
    const source = new Source();
    const own = open({ source });
    const old = await own.sample(request({ session: 's', maxTokens: 20 }));
    source.weights = randomWeights(config, [2, 2]);
    source.version += 1;
    const fresh = await own.sample(request({ session: 's', maxTokens: 20 }));
    expect(old).toEqual(await scheduler.sample(request({ maxTokens: 20 })));
    expect(fresh.ids).not.toEqual(old.ids);
    const other = new Source();
    other.weights = source.weights;
    expect(fresh).toEqual(await open({ source: other }).sample(request({ maxTokens: 20 })));
  });

  it('drops aborted samples, running or waiting, and no other', async () => {
    const own = open({ maxActive: 1 });
    const [running, waiting] = [new AbortController(), new AbortController()];
    const a = own.sample(request({ maxTokens: 50 }), running.signal);
    const b = own.sample(request({ maxTokens: 50 }), waiting.signal);
    const c = own.sample(request({ maxTokens: 5 }));
    while (own.totals.sampledTokens === 0) await new Promise(setImmediate);
    running.abort(new Error('enough'));
    waiting.abort();
    await expect(a).rejects.toThrow('enough');
    await expect(b).rejects.toThrow(/aborted/);
    expect(own.totals.sampledTokens).toBeLessThan(50);
    expect(await c).toEqual(await scheduler.sample(request({ maxTokens: 5 })));
  });

  it('reports weights that are no numbers, and goes on with better ones', async () => {
    const source = new Source();
    const good = source.weights;
    source.weights = sharedFloats(good.length).fill(Number.NaN);
    const own = open({ source });
    await expect(own.sample(request())).rejects.toThrow(/not numbers/);
    source.weights = good;
    source.version += 1;
    expect(await own.sample(request())).toEqual(await scheduler.sample(request()));
  });

  it('rejects every sample when the decoder fails', async () => {
    const source = new Source();
    const good = source.weights;
    source.weights = good.subarray(1);
    const own = open({ source });
    const results = await Promise.allSettled([own.sample(request()), own.sample(request())]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    source.weights = good;
    expect(await own.sample(request())).toEqual(await scheduler.sample(request()));
  });

  it.each([
    [{ prompt: [] }, /prompt is empty/],
    [{ prompt: [1, 26] }, /id 26, the vocabulary has 26/],
    [{ prompt: [0.5] }, /id 0.5/],
    [{ maxTokens: 0 }, /maxTokens is 0/],
    [{ temperature: -1 }, /temperature is -1/],
    [{ temperature: Number.NaN }, /temperature is NaN/],
    [{ topK: 0 }, /topK is 0/],
    [{ topP: 0 }, /topP is 0/],
    [{ topP: 1.1 }, /topP is 1.1/],
    [{ stop: [''] }, /stop string is empty/],
  ])('refuses %j', async (change, message) => {
    await expect(scheduler.sample(request(change))).rejects.toThrow(message);
  });

  it('rejects every sample when memory runs out where a prefix is shared, and goes on afterwards', async () => {
    const decoder = new Decoder(config, { threads: 1 });
    decoders.push(decoder);
    const narrow = new Scheduler(decoder, new Source(), { config, pieces: letters, maxActive: 4 });
    const before = await narrow.sample(request());
    const fork = vi.spyOn(decoder.cache, 'fork').mockImplementationOnce(() => {
      throw new RangeError('WebAssembly.Memory.grow(): Unable to grow instance memory');
    });
    const all = await Promise.allSettled([9, 10, 11].map((n) => narrow.sample(request({ key: [1, n] }))));
    fork.mockRestore();
    for (const one of all) expect(one).toMatchObject({ status: 'rejected', reason: { name: 'RangeError' } });
    expect(await narrow.sample(request())).toEqual(before);
  });
});
