/** What happens to calls when the way to the server breaks, server by server: nothing is ever carried out twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdamWStep, type LossBatch, NonFiniteError } from '../../policy/policy.ts';
import { TinkerFailure } from './failures.ts';
import type { FaultKind } from './testing/faults.ts';
import { KEY, type OpenMock, openMock, quick } from './testing/open-mock.ts';

const open: OpenMock[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function mockOf(...args: Parameters<typeof openMock>): Promise<OpenMock> {
  const mock = await openMock(...args);
  open.push(mock);
  return mock;
}

async function newFolder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'tinker-'));
  folders.push(made);
  return made;
}

const step: AdamWStep = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: 0,
};
const ids = [1, 2, 3, 4, 5];
const batch: LossBatch = {
  loss: 'cross-entropy',
  sequences: [{ ids, weights: new Float32Array(5).fill(0.2) }],
  denominator: 1,
};
const failure = (kind: TinkerFailure['kind']) => (error: unknown) => {
  expect(error).toBeInstanceOf(TinkerFailure);
  expect((error as TinkerFailure).kind).toBe(kind);
  return true;
};
const failing = async (promise: Promise<unknown>): Promise<TinkerFailure> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TinkerFailure);
  return error as TinkerFailure;
};

/** Losses of an answer after the request was, or may have been, carried out. */
const lost: readonly FaultKind[] = [
  { kind: 'reset after' },
  { kind: 'reset before' },
  { kind: 'cut' },
  { kind: 'half JSON' },
  { kind: 'status', status: 502, body: '<html>Bad gateway</html>' },
];

describe.each(lost)('after a lost answer ($kind)', (fault) => {
  it('a server that carries a seq_id out once is asked again, with the same bytes, and has taken one step', async () => {
    const mock = await mockOf('skyrl');
    const policy = await mock.open();
    mock.server.faults.add({ call: 'forward_backward', ...fault }, { call: 'optim_step', ...fault });
    await policy.train([batch], step);
    expect(mock.server.carriedOut).toEqual(['forward_backward', 'optim_step']);
    for (const call of ['forward_backward', 'optim_step']) {
      const [first, second] = mock.server.requests.filter((request) => request.call === call);
      expect(second!.text).toBe(first!.text);
      expect(second!.headers['x-idempotency-key']).toBe(first!.headers['x-idempotency-key']);
    }
    expect(mock.server.faults.left).toEqual([]);
  });

  it.each(['hatchery', 'verl'] as const)(
    '%s is not asked again: the state is unknown until restore, which undoes it',
    async (profile) => {
      const mock = await mockOf(profile);
      const policy = await mock.open();
      const folder = await newFolder();
      await policy.save(folder);
      const before = await policy.logprobs([ids], 'present');
      mock.server.faults.add({ call: 'forward_backward', ...fault });
      await expect(policy.train([batch], step)).rejects.toSatisfy(failure('state-unknown'));
      expect(mock.server.requests.filter(({ call }) => call === 'forward_backward')).toHaveLength(1);
      await expect(
        policy.sample({ prompt: ids, maxTokens: 1, temperature: 1, stop: [], stopTokens: [], key: [1, 1] }),
      ).rejects.toSatisfy(failure('state-unknown'));
      await policy.restore(folder, { optimizer: 'kept' });
      expect(await policy.logprobs([ids], 'present')).toEqual(before);
      // The gradient that may have been left is gone: the step is that of a policy to which nothing happened.
      await policy.train([batch], step);
      const other = await mock.open();
      await other.train([batch], step);
      expect(await policy.logprobs([ids], 'present')).toEqual(await other.logprobs([ids], 'present'));
    },
  );

  it('a forward is sent again on any server', async () => {
    const mock = await mockOf('hatchery');
    const policy = await mock.open();
    const expected = await policy.logprobs([ids], 'present');
    mock.server.faults.add({ call: 'forward', ...fault });
    expect(await policy.logprobs([ids], 'present')).toEqual(expected);
  });

  it('a sample is asked for again, and counted where the first may have been drawn', async () => {
    const mock = await mockOf('hatchery');
    const policy = await mock.open();
    mock.server.faults.add({ call: 'asample', ...fault });
    const { ids: drawn } = await policy.sample({
      prompt: ids,
      maxTokens: 5,
      temperature: 1,
      stop: [],
      stopTokens: [],
      key: [1, 1],
    });
    expect(drawn).toHaveLength(5);
    expect(policy.resampled).toBe(1);
  });

  it('a poll is made again', async () => {
    const mock = await mockOf('hatchery');
    const policy = await mock.open();
    mock.server.faults.add({ call: 'retrieve forward_backward', ...fault }, { call: 'retrieve optim_step', ...fault });
    await policy.train([batch], step);
    expect(mock.server.carriedOut).toEqual(['forward_backward', 'optim_step']);
  });
});

it('a result that is handed out once and lost makes the state unknown', async () => {
  const mock = await mockOf('verl');
  const policy = await mock.open();
  mock.server.faults.add({ call: 'retrieve forward_backward', kind: 'cut' });
  await expect(policy.train([batch], step)).rejects.toSatisfy(failure('state-unknown'));
});

it.each([404, 410])(
  'a promise that the server has forgotten (%i) is kept by sending again where that is harmless',
  async (status) => {
    const once = await mockOf('skyrl');
    const policy = await once.open();
    once.server.faults.add({ call: 'retrieve forward_backward', kind: 'status', status });
    await policy.train([batch], step);
    expect(once.server.carriedOut).toEqual(['forward_backward', 'optim_step']);
    const twice = await mockOf('hatchery');
    const other = await twice.open();
    twice.server.faults.add({ call: 'retrieve forward_backward', kind: 'status', status });
    await expect(other.train([batch], step)).rejects.toSatisfy(failure('state-unknown'));
  },
);

it.each([
  ['429, with Retry-After', { status: 429, headers: { 'Retry-After': '0' } }],
  ['503', { status: 503 }],
])('%s: nothing was carried out, so any request goes again', async (_, answer) => {
  const mock = await mockOf('hatchery');
  const policy = await mock.open();
  for (const call of ['forward_backward', 'optim_step', 'asample', 'forward', 'save_weights_for_sampler'])
    mock.server.faults.add({ call, kind: 'status', ...answer });
  await policy.train([batch], step);
  await policy.sample({ prompt: ids, maxTokens: 1, temperature: 1, stop: [], stopTokens: [], key: [1, 1] });
  await policy.logprobs([ids], 'present');
  expect(mock.server.carriedOut).toEqual(['forward_backward', 'optim_step']);
  expect(mock.server.faults.left).toEqual([]);
  expect(policy.resampled).toBe(0);
});

it('408 and try_again mean that a call is still running; results may come in any order', async () => {
  const mock = await mockOf('hatchery', {}, { tryAgain: (index) => (7 * index) % 5 });
  const policy = await mock.open();
  mock.server.faults.add({ call: 'retrieve optim_step', kind: 'status', status: 408 });
  await policy.train([batch], step);
  const samples = Array.from({ length: 8 }, (_, i) =>
    policy.sample({ prompt: [1, 2, i], maxTokens: 3, temperature: 1, stop: [], stopTokens: [], key: [i, 1] }),
  );
  const streams = await policy.logprobs(
    (await Promise.all(samples)).map(({ ids: drawn }, i) => [1, 2, i, ...drawn]),
    'present',
  );
  for (const [i, { logprobs }] of (await Promise.all(samples)).entries())
    for (const [t, logprob] of logprobs.entries()) expect(logprob).toBeCloseTo(streams[i]![3 + t]!, 4);
});

it('402 is waited for, and said aloud', async () => {
  const mock = await mockOf('skyrl');
  const policy = await mock.open();
  mock.server.faults.add({ call: 'forward', kind: 'status', status: 402, body: '{"detail": "out of credit"}' });
  await policy.logprobs([ids], 'present');
  expect(mock.notes.join()).toContain('out of credit');
});

it('other refusals are final, and name server, call and reason, never the request', async () => {
  const mock = await mockOf('skyrl');
  const policy = await mock.open();
  const body = JSON.stringify({
    detail: [{ loc: ['body', 'seq_id'], msg: 'reused', input: { model_input: 'the prompt' } }],
  });
  mock.server.faults.add({ call: 'forward', kind: 'status', status: 409, body });
  const before = mock.server.requests.length;
  const error = await failing(policy.logprobs([ids], 'present'));
  expect(error.kind).toBe('refused');
  expect(error.message).toBe(`${mock.server.url} refuses forward (409): body.seq_id: reused`);
  expect(mock.server.requests.slice(before).map(({ call }) => call)).toEqual(['forward']);
});

it('a server that is not there is waited for, and then named', async () => {
  const mock = await mockOf('skyrl');
  const policy = await mock.open({ patience: { ...quick, unavailable: 0.3 } });
  await mock.server.stop();
  const error = await failing(policy.logprobs([ids], 'present'));
  expect(error.kind).toBe('unavailable');
  expect(error.message).toContain(mock.server.url);
  await mock.server.start();
  await policy.logprobs([ids], 'present');
});

it('a call that never ends is given up, named with its request and the queue’s last words', async () => {
  const mock = await mockOf('skyrl', {}, { tryAgain: (index) => (index > 4 ? Number.POSITIVE_INFINITY : 0) });
  const policy = await mock.open({ patience: { ...quick, progress: 0.2 } });
  const error = await failing(policy.logprobs([ids], 'present').then(() => policy.logprobs([ids], 'present')));
  expect(error.kind).toBe('stalled');
  expect(error.message).toMatch(/forward \(request request-\d+\).*active: busy/);
});

describe('answers that are not what was asked for', () => {
  const changed = (call: string, change: (answer: Record<string, unknown>) => unknown) => ({
    call: `retrieve ${call}`,
    kind: 'changed' as const,
    change,
  });
  const sample = { prompt: ids, maxTokens: 3, temperature: 1, stop: [], stopTokens: [], key: [1, 1] as const };
  type Sampled = { sequences: { tokens: number[]; logprobs: number[] }[] };

  it.each([
    [
      'no logprobs',
      changed('asample', (answer) => ({ sequences: [{ ...(answer as Sampled).sequences[0], logprobs: undefined }] })),
    ],
    [
      'too few logprobs',
      changed('asample', (answer) => ({ sequences: [{ ...(answer as Sampled).sequences[0], logprobs: [-1] }] })),
    ],
    [
      'an id beyond the vocabulary',
      changed('asample', (answer) => ({ sequences: [{ ...(answer as Sampled).sequences[0], tokens: [1, 2, 99] }] })),
    ],
    [
      'more tokens than were asked for',
      changed('asample', () => ({
        sequences: [{ tokens: [1, 2, 3, 4], logprobs: [-1, -1, -1, -1], stop_reason: 'length' }],
      })),
    ],
    ['nothing', changed('asample', () => ({}))],
  ])('a sample with %s', async (_, fault) => {
    const mock = await mockOf('skyrl');
    const policy = await mock.open();
    mock.server.faults.add(fault);
    expect((await failing(policy.sample(sample))).kind).toBe('mismatch');
  });

  it('a forward of wrong length, with a result missing, and with a number that is none', async () => {
    const mock = await mockOf('skyrl');
    const policy = await mock.open();
    const outputs = (...data: unknown[][]) => ({
      loss_fn_outputs: data.map((values) => ({ logprobs: { data: values } })),
    });
    mock.server.faults.add(
      changed('forward', () => outputs([-1, -1])),
      changed('forward', () => outputs()),
      changed('forward', () => outputs([-1, null, -1, -1])),
    );
    expect((await failing(policy.logprobs([ids], 'present'))).kind).toBe('mismatch');
    expect((await failing(policy.logprobs([ids], 'present'))).kind).toBe('mismatch');
    await expect(policy.logprobs([ids], 'present')).rejects.toThrow(NonFiniteError);
  });
});

describe('a server that dies', () => {
  it.each(['death before', 'death after'] as const)(
    'between forward_backward and optim_step (%s): a clear state, and no doubled gradient',
    async (kind) => {
      const mock = await mockOf('hatchery');
      const policy = await mock.open({ patience: { ...quick, unavailable: 0.5 } });
      const folder = await newFolder();
      await policy.train([batch], step);
      await policy.save(folder);
      mock.server.faults.add({ call: 'optim_step', kind });
      await expect(policy.train([batch], step)).rejects.toSatisfy(failure('state-unknown'));
      await mock.server.start();
      // The same policy goes on with what was saved, in a new session; so does another process.
      await policy.restore(folder, { optimizer: 'kept' });
      const other = await mock.open();
      await other.restore(folder, { optimizer: 'kept' });
      for (const each of [policy, other]) await each.train([batch], step);
      expect(await policy.logprobs([ids], 'present')).toEqual(await other.logprobs([ids], 'present'));
      const straight = await mock.open();
      for (let i = 0; i < 2; i++) await straight.train([batch], step);
      expect(await policy.logprobs([ids], 'present')).toEqual(await straight.logprobs([ids], 'present'));
    },
  );

  it('and has dropped the saved weights too: the checkpoint is named as lost', async () => {
    const mock = await mockOf('skyrl');
    const policy = await mock.open();
    const folder = await newFolder();
    await policy.save(folder);
    mock.server.saved.clear();
    const error = await failing(policy.restore(folder, { optimizer: 'kept' }));
    expect(error.message).toContain('checkpoint not found');
  });
});

it('sends no key but in its header, and only where the server is', async () => {
  const mock = await mockOf('skyrl');
  const policy = await mock.open();
  mock.server.faults.add({
    call: 'forward',
    kind: 'status',
    status: 307,
    headers: { Location: 'http://127.0.0.1:1/elsewhere' },
  });
  const error = await failing(policy.logprobs([ids], 'present'));
  expect(error.kind).toBe('refused');
  mock.server.faults.add({
    call: 'forward',
    kind: 'status',
    status: 400,
    body: JSON.stringify({ detail: `bad key ${KEY}` }),
  });
  expect((await failing(policy.logprobs([ids], 'present'))).message).not.toContain(KEY);
  for (const request of mock.server.requests) {
    expect(request.url).not.toContain(KEY);
    expect(request.text).not.toContain(KEY);
    expect(request.headers['x-api-key']).toBe(KEY);
  }
});

it('numbers the requests of a model without gaps, and gives models back', async () => {
  const mock = await mockOf('skyrl-jax');
  const policy = await mock.open();
  const folder = await newFolder();
  await policy.logprobs([ids], 'present');
  await policy.freeze();
  await policy.train([batch], step);
  await policy.logprobs([ids], 'frozen');
  await policy.save(folder);
  await policy.restore(folder, { optimizer: 'fresh' });
  await policy.train([batch], step);
  await policy.close();
  expect(mock.server.models).toHaveLength(0);
  const numbers = new Map<unknown, unknown[]>();
  for (const { body } of mock.server.requests)
    if (body.model_id !== undefined && body.seq_id !== undefined)
      numbers.set(body.model_id, [...(numbers.get(body.model_id) ?? []), body.seq_id]);
  expect(numbers.size).toBe(3);
  for (const seen of numbers.values()) expect(seen).toEqual(seen.map((_, i) => i + 1));
});
