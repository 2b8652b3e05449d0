/** The official SDK as an oracle: for one training step it and this client send the same, field by field, to a server that records. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProtobufWriter } from '../src/base/protobuf.ts';
import { type Datum, shifted, stream } from '../src/engines/tinker/datums.ts';
import { passRequests } from '../src/engines/tinker/passes.ts';
import { usualPatience } from '../src/engines/tinker/patience.ts';
import type { Recorded } from '../src/engines/tinker/testing/mock-server.ts';
import { KEY, type OpenMock, openMock } from '../src/engines/tinker/testing/open-mock.ts';
import { pythonOf } from './peer.ts';

const python = pythonOf('sdk');
const CALLS = [
  ...['create_session', 'create_model', 'forward', 'forward_backward', 'optim_step', 'save_weights'],
  ...['save_weights_for_sampler', 'asample', 'load_weights', 'retrieve_future'],
] as const;

describe.skipIf(python === undefined)('the official SDK and this client', () => {
  let folder: string;
  let theirs: OpenMock;
  let ours: OpenMock;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sdk-'));
    ours = await openMock('hatchery', { load: 'any' });
    theirs = await openMock('hatchery', { load: 'any' });

    const policy = await ours.open({ patience: usualPatience });
    const ids = [1, 2, 3, 4, 5];
    const batch = {
      loss: 'policy-gradient',
      sequences: [
        {
          ids,
          mask: Uint8Array.of(0, 0, 1, 1, 1),
          advantages: new Float32Array(5).fill(0.7),
          oldLogprobs: (await policy.logprobs([ids], 'present'))[0]!,
        },
      ],
      clipLow: 0.2,
      clipHigh: 0.2,
      klCoefficient: 0,
      denominator: 3,
    } as const;
    ours.server.requests.length = 0;
    const saved = path.join(folder, 'saved');
    const adam = { learning_rate: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.01, grad_clip_norm: 1 };
    await policy.train([batch], {
      learningRate: 0.01,
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: 0.01,
      clipNorm: 1,
      minGradientNorm: 0,
    });
    await policy.save(saved);
    await policy.sample({
      prompt: [7, 8, 9],
      maxTokens: 4,
      temperature: 0.7,
      topP: 0.9,
      topK: 5,
      stop: ['z'],
      stopTokens: [],
      key: [1, 1],
    });
    await policy.restore(saved, { optimizer: 'kept' });
    // Session and model were made before the requests were counted.
    await ours.open({ patience: usualPatience });

    const sent = (call: string) => ours.server.requests.find((request) => request.call === call)!.body;
    const step = {
      rank: 8,
      seed: 1,
      name: sent('save_weights').path,
      adam,
      prompt: [7, 8, 9],
      sampling: sent('asample').sampling_params,
      forward: (sent('forward').forward_input as { data: object[] }).data,
      backward: (sent('forward_backward').forward_backward_input as { data: object[] }).data,
    };
    const file = path.join(folder, 'step.json');
    await writeFile(file, JSON.stringify(step));
    const script = path.join(import.meta.dirname, 'sdk_oracle.py');
    const child = spawn(python!, [script, theirs.server.url, KEY, theirs.server.baseModel, file], {
      env: { ...process.env, TINKER_TELEMETRY: '0', HF_HUB_OFFLINE: '1' },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (said += part.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    if (!said.includes('DONE')) throw new Error(said.slice(-3000));
  });
  afterAll(async () => {
    await ours?.close();
    await theirs?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const first = ({ server }: OpenMock, call: string): Recorded => {
    const found = server.requests.find((request) => request.call === call);
    if (found === undefined) throw new Error(`no ${call} among ${server.requests.map((each) => each.call).join(', ')}`);
    return found;
  };
  /** Names that a server has given, and numbers of requests, of which the two make different ones. */
  const named = [
    'session_id',
    'model_id',
    'request_id',
    'sampling_session_id',
    'seq_id',
    'model_seq_id',
    'sampling_session_seq_id',
    'path',
  ];
  /** Of its own kind in each: the version, and whether long results may be told of before they are sent. */
  const own = ['sdk_version', 'allow_metadata_only'];
  const withoutNames = (body: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(body).filter(([key]) => !named.includes(key) && !own.includes(key)));
  /** float32 values; nulls, false and a table of 0 entries are what leaving a field out means. */
  const withoutDefaults = (value: unknown): unknown => {
    if (typeof value === 'number') return Math.fround(value);
    if (Array.isArray(value)) return value.map(withoutDefaults);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key, inner]) => inner !== null && inner !== false && !(key === 'topk_prompt_logprobs' && inner === 0))
        .map(([key, inner]) => [key, withoutDefaults(inner)]),
    );
  };

  it.each(CALLS)('%s', (call) => {
    const [a, b] = [first(ours, call).body, first(theirs, call).body];
    expect(
      Object.keys(withoutDefaults(a) as object)
        .filter((key) => named.includes(key))
        .sort(),
    ).toEqual(
      Object.keys(withoutDefaults(b) as object)
        .filter((key) => named.includes(key))
        .sort(),
    );
    expect(withoutDefaults(withoutNames(a))).toEqual(withoutDefaults(withoutNames(b)));
  });

  it('the key in the same header, an idempotency key beside each post', () => {
    for (const mock of [ours, theirs]) {
      const { headers } = first(mock, 'forward_backward');
      expect(headers['x-api-key']).toBe(KEY);
      expect(headers['x-idempotency-key']).toEqual(expect.any(String));
      expect(headers['content-type']).toBe('application/json');
    }
  });

  it('the same order of a model’s requests', () => {
    const order = ({ server }: OpenMock) =>
      server.requests
        .filter(({ body }) => body.model_id !== undefined && body.seq_id !== undefined)
        .map(({ call }) => call);
    expect(order(ours).slice(0, 6)).toEqual(order(theirs).slice(0, 6));
  });
});

describe.skipIf(python === undefined)('Protocol Buffers of the official SDK', () => {
  const script = path.join(import.meta.dirname, 'sdk_messages.py');
  const run = (mode: string, input?: Uint8Array): unknown => {
    const { status, stdout, stderr } = spawnSync(python!, [script, mode], { input });
    if (status !== 0) throw new Error(stderr.toString().slice(-2000));
    return JSON.parse(stdout.toString());
  };

  it('the examples of the default suite are what it writes and reads', async () => {
    const file = path.join(import.meta.dirname, '..', 'src', 'engines', 'tinker', 'testing', 'sdk-messages.json');
    expect(run('make')).toEqual(JSON.parse(await readFile(file, 'utf8')));
  });

  it.each(['forward', 'forward_backward'] as const)('a %s holds what it does in JSON', (pass) => {
    const ids = [5, 151_935, 7, 0];
    const weights = stream(Float32Array.of(9, 0.1, -1e-12, 3.25));
    const table = { dtype: 'float32', data: Float32Array.of(0.5, 0, 1 / 3, -2, 1e-12, 7), columns: 2 } as const;
    const targets = { dtype: 'int64', data: Int32Array.of(1, 2, 3, 4, 5, 151_935), columns: 2 } as const;
    const datums: Datum[] = [
      { ids, inputs: { target_tokens: shifted(ids), logprobs: weights, advantages: weights, weights } },
      { ids, inputs: { target_tokens: targets, weights: table } },
    ];
    const [message] = passRequests('protobuf', pass, datums, 'importance_sampling');
    const [json] = passRequests('json', pass, datums, 'importance_sampling');
    if (!(message!.fields instanceof ProtobufWriter)) throw new Error('no message');
    message!.fields.bytes(1, 'model-1');
    message!.fields.integer(2, 300);
    const { data, loss_fn } = JSON.parse(`{${json!.fields as string}}`)[`${pass}_input`];
    type Tensor = { data: number[]; shape: number[] };
    const wanted = (data as { model_input: object; loss_fn_inputs: Record<string, Tensor> }[]).map((datum) => ({
      tokens: (datum.model_input as { chunks: { tokens: number[] }[] }).chunks.map(({ tokens }) => tokens),
      inputs: Object.fromEntries(
        Object.entries(datum.loss_fn_inputs).map(([name, { data: values, shape }]) => [
          name,
          { data: name === 'target_tokens' ? values : values.map(Math.fround), shape },
        ]),
      ),
    }));
    expect(run('read', message!.fields.finish())).toEqual({
      ...{ model_id: 'model-1', seq_id: 300, loss_fn, forward_only: pass === 'forward', unknown: false },
      data: wanted,
    });
  });
});
