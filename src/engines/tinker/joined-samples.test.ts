import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { SampleRequest } from '../../policy/policy.ts';
import { spacedSeed } from './joined-samples.ts';
import type { TinkerSource } from './open-policy.ts';
import type { Dialect } from './testing/dialects.ts';
import { type OpenMock, openMock } from './testing/open-mock.ts';

const open: OpenMock[] = [];
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
});

async function opened(overrides: TinkerSource['overrides'] = {}, dialect: Partial<Dialect> = {}) {
  const mock = await openMock('hatchery', dialect);
  open.push(mock);
  const policy = await mock.open({ overrides });
  mock.server.requests.length = 0;
  const asked = () => mock.server.requests.filter(({ call }) => call === 'asample').map(({ body }) => body);
  return { mock, policy, asked };
}

const request = (n: number, changes: Partial<SampleRequest> = {}): SampleRequest => ({
  prompt: [1, 2, 3],
  maxTokens: 12,
  temperature: 1,
  stop: [],
  stopTokens: [],
  key: [n, 7],
  ...changes,
});

describe('samples of one moment', () => {
  it('with equal prompts are one request, each with log-probabilities of its own', async () => {
    const { policy, asked } = await opened();
    const samples = await Promise.all([0, 1, 2, 3, 4].map((n) => policy.sample(request(n))));
    expect(asked().map(({ num_samples }) => num_samples)).toEqual([5]);
    expect(new Set(samples.map(({ ids }) => ids.join())).size).toBe(5);
    for (const { ids, logprobs } of samples) {
      const [scores] = await policy.logprobs([[1, 2, 3, ...ids]], 'present');
      for (const [t, logprob] of logprobs.entries()) expect(logprob).toBeCloseTo(scores![3 + t]!, 4);
    }
  });

  it('with other prompts or other sampling are not, nor are greedy ones or those of another moment', async () => {
    const { policy, asked } = await opened();
    await Promise.all([
      policy.sample(request(0)),
      policy.sample(request(1)),
      policy.sample(request(2, { prompt: [1, 2] })),
      policy.sample(request(3, { maxTokens: 11 })),
      policy.sample(request(4, { temperature: 0 })),
      policy.sample(request(5, { temperature: 0 })),
    ]);
    await policy.sample(request(6));
    expect(asked().map(({ num_samples }) => num_samples)).toEqual([1, 1, 2, 1, 1, 1]);
  });

  it('are at most 64 in a request, and none where the profile does not say so', async () => {
    const { policy, asked } = await opened();
    await Promise.all(Array.from({ length: 70 }, (_, n) => policy.sample(request(n, { maxTokens: 1 }))));
    expect(asked().map(({ num_samples }) => num_samples)).toEqual([64, 6]);
    const single = await opened({ joins: false });
    await Promise.all([0, 1].map((n) => single.policy.sample(request(n))));
    expect(single.asked().map(({ num_samples }) => num_samples)).toEqual([1, 1]);
  });

  it('are drawn as single ones are: 300 first tokens by both ways, bounded by the difference that chance makes', async () => {
    const counts = async (joins: boolean) => {
      const { policy } = await opened({ joins });
      const drawn = await Promise.all(
        Array.from({ length: 300 }, (_, n) => policy.sample(request(n, { maxTokens: 1 }))),
      );
      const [scores] = await policy.logprobs([[1, 2, 3, drawn[0]!.ids[0]!]], 'present');
      const same = drawn.filter(({ ids }) => ids[0] === drawn[0]!.ids[0]).length;
      const p = Math.exp(scores![3]!);
      return (same - 300 * p) / Math.sqrt(300 * p * (1 - p));
    };
    // Five standard deviations of a binomial count.
    expect(Math.abs(await counts(true))).toBeLessThan(5);
    expect(Math.abs(await counts(false))).toBeLessThan(5);
  });

  it('one that is given up leaves the others; the request goes when nobody waits for it any more', async () => {
    const { policy } = await opened();
    await policy.sample(request(9));
    const [first, all] = [new AbortController(), new AbortController()];
    const [a, b] = [policy.sample(request(0), { signal: first.signal }), policy.sample(request(1))];
    first.abort(new Error('given up'));
    await expect(a).rejects.toThrow('given up');
    expect((await b).ids).toHaveLength(12);
    const both = [0, 1].map((n) => policy.sample(request(n), { signal: all.signal }));
    all.abort(new Error('all given up'));
    for (const each of await Promise.allSettled(both)) expect(each).toMatchObject({ status: 'rejected' });
  });

  it('fail together, and fewer than were asked for are refused', async () => {
    const { mock, policy } = await opened();
    mock.server.faults.add({ call: 'asample', kind: 'status', status: 400, body: '{"detail":"no"}' });
    const refused = await Promise.allSettled([0, 1].map((n) => policy.sample(request(n))));
    for (const each of refused) expect(each).toMatchObject({ reason: { kind: 'refused' } });
    mock.server.faults.add({
      call: 'retrieve asample',
      kind: 'changed',
      change: (answer) => ({ ...answer, sequences: (answer.sequences as unknown[]).slice(1) }),
    });
    const short = await Promise.allSettled([0, 1].map((n) => policy.sample(request(n))));
    for (const each of short)
      expect(each).toMatchObject({ reason: { kind: 'mismatch', message: expect.stringContaining('1 samples') } });
  });
});

it('seeds of requests for n samples are 31 bits, and n apart', () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(chance, chance, fc.integer({ min: 1, max: 64 }), (a, b, n) => {
      const [first, second] = [spacedSeed(a, n), spacedSeed(b, n)];
      expect(Number.isInteger(first) && first >= 0 && first + n <= 2 ** 31).toBe(true);
      expect(first === second || Math.abs(first - second) >= n).toBe(true);
    }),
  );
});
