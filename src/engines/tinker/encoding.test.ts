/** What goes by Protocol Buffers is what goes by JSON, to the bit; and what happens when it does not arrive. */
import { afterEach, expect, it } from 'vitest';
import type { AdamWStep, LossBatch, SampleRequest } from '../../policy/policy.ts';
import type { TinkerPolicy } from './engine.ts';
import type { FaultKind } from './testing/faults.ts';
import type { Recorded } from './testing/mock-server.ts';
import { type OpenMock, openMock } from './testing/open-mock.ts';

const open: OpenMock[] = [];
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
});

async function mockOf(...args: Parameters<typeof openMock>): Promise<OpenMock> {
  const mock = await openMock(...args);
  open.push(mock);
  return mock;
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
const sequences = [
  [1, 2, 3, 4, 5],
  [9, 8, 7, 6],
];
const batches = (policy: TinkerPolicy): Promise<LossBatch[]> =>
  policy.logprobs(sequences, 'present').then((now) => [
    {
      loss: 'policy-gradient',
      sequences: sequences.map((ids, i) => ({
        ids,
        mask: Uint8Array.from(ids, (_, t) => (t > 1 ? 1 : 0)),
        advantages: new Float32Array(ids.length).fill([0.7, -1.1][i]!),
        oldLogprobs: now[i]!.map((x, t) => x + 0.1 * t - 0.2),
      })),
      ...{ clipLow: 0.2, clipHigh: 0.2, klCoefficient: 0, denominator: 5 },
    },
    {
      loss: 'soft-cross-entropy',
      sequences: [
        {
          ...{ ids: sequences[0]!, start: 3, k: 2, mask: Uint8Array.of(1, 1) },
          tokens: Int32Array.of(4, 9, 5, 30),
          weights: Float32Array.of(0.6, 0.3, 0.2, 1 / 3),
        },
      ],
      denominator: 2,
    },
  ]);

it('scores, samples, tables and steps are those of JSON', async () => {
  const mock = await mockOf('hatchery', { encodings: 'both', reduction: 'sum', sampler: 'copy' });
  const through = async (encoding: 'json' | 'protobuf') => {
    const policy = await mock.open({ overrides: { encoding, reduction: 'sum', lossMetric: 'loss:sum' } });
    const request: SampleRequest = {
      prompt: [1, 2],
      maxTokens: 9,
      temperature: 1,
      stop: ['e'],
      stopTokens: [],
      key: [1, 1],
    };
    const results = [
      await policy.train(await batches(policy), step),
      await policy.sample(request),
      await policy.logprobs(sequences, 'present'),
      await policy.topLogprobs([{ ids: sequences[0]!, start: 2 }], 3, 'present'),
    ];
    return { results, parameters: mock.server.models.at(-1)!.bigram.parameters };
  };
  const byJson = await through('json');
  mock.server.requests.length = 0;
  const byMessages = await through('protobuf');
  expect(byMessages).toEqual(byJson);

  // It was messages: the passes alone, to one route, with results asked for in kind; the rest is JSON.
  for (const { call, url, headers } of mock.server.requests) {
    const isPass = call === 'forward' || call === 'forward_backward';
    if (isPass) expect(url).toBe('/api/v1/forward_backward');
    expect(headers['content-type'] ?? 'application/json').toBe(isPass ? 'application/x-protobuf' : 'application/json');
    if (call !== 'retrieve_future') expect(headers.accept).toBe('application/json');
  }
  const count = (which: (request: Recorded) => boolean) => mock.server.requests.filter(which).length;
  const inKind = ({ headers }: Recorded) => headers.accept === 'application/x-protobuf, application/json';
  expect(count(inKind)).toBe(count(({ call }) => ['forward', 'forward_backward', 'asample'].includes(call)));
});

it.each<FaultKind>([{ kind: 'reset after' }, { kind: 'cut' }, { kind: 'half JSON' }])(
  'a result of which not all arrives is asked for again: $kind',
  async (fault) => {
    const mock = await mockOf('tuft');
    const policy = await mock.open();
    const [expected] = await policy.logprobs([sequences[0]!], 'present');
    mock.server.faults.add({ call: 'retrieve forward', ...fault });
    expect(await policy.logprobs([sequences[0]!], 'present')).toEqual([expected]);
    expect(mock.server.faults.left).toEqual([]);
  },
);

it('a message that was lost is sent again byte for byte, where the server carries it out once', async () => {
  const mock = await mockOf('skyrl');
  const policy = await mock.open({ overrides: { encoding: 'protobuf' } });
  const batch = (await batches(policy))[0]!;
  mock.server.faults.add({ call: 'forward_backward', kind: 'reset after' });
  await policy.train([batch], step);
  expect(mock.server.carriedOut).toEqual(['forward_backward', 'optim_step']);
  const [first, second] = mock.server.requests.filter(({ call }) => call === 'forward_backward');
  expect(second!.text).toBe(first!.text);
});

it('a server that reads the other encoding alone is told of, with the setting', async () => {
  const [json, messages] = [await mockOf('hatchery'), await mockOf('tuft')];
  await expect(json.open({ overrides: { encoding: 'protobuf' } })).rejects.toMatchObject({
    kind: 'refused',
    status: 422,
    hint: expect.stringContaining('engine.overrides.encoding=json'),
  });
  await expect(messages.open({ overrides: { encoding: 'json' } })).rejects.toMatchObject({
    kind: 'refused',
    status: 415,
    hint: expect.stringContaining('engine.overrides.encoding=protobuf'),
  });
});
