/**
 * A training server of made-up answers and real delays, in a process of its own: `node server.ts SCALE` prints "PORT n". It answers
 * in the protocol's form, with tokens of an agent that searches three times and answers; SCALE multiplies every delay.
 *
 * Delays: a sample .2 to 30 s, log-uniform; forward, forward_backward and optim_step 5 to 60 s a step in all.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { BASE_POLICY } from '../../src/checkpoint/base-policy.ts';
import { loadTokenizer } from '../../src/checkpoint/tokenizer.ts';

const scale = Number(process.argv[2] ?? 1);
const { encode, decode } = await loadTokenizer(BASE_POLICY);
const [information] = encode('<information>');
/** Sixty tokens a turn, a thought and an action, as a policy of the paper's size writes more of. */
const thought = encode(`<think> ${'capital author spouse '.repeat(16)} </think>`);
const search = [...thought, ...encode('<search> capital author </search>')];
const answers = ['author', 'spouse'].map((word) => [...thought, ...encode(`<answer> ${word} </answer>`)]);

const promises = new Map<string, { readonly ready: Promise<unknown>; readonly answer: object }>();
let count = 0;
const promise = (seconds: number, answer: object) => {
  const id = `r${count++}`;
  promises.set(id, { ready: scale === 0 ? Promise.resolve() : wait(1000 * scale * seconds), answer });
  return { request_id: id };
};
const logUniform = (low: number, high: number) => low * (high / low) ** Math.random();

type Datum = { readonly model_input: { readonly chunks: readonly { readonly tokens: readonly number[] }[] } };
const outputs = (data: readonly Datum[]) => ({
  loss_fn_outputs: data.map(({ model_input }) => ({
    logprobs: { data: Array(model_input.chunks[0]!.tokens.length).fill(-1) },
  })),
  metrics: {},
});

function answer(name: string, body: Record<string, unknown>): object | Promise<object> {
  switch (name) {
    case 'retrieve_future': {
      const found = promises.get(String(body.request_id))!;
      return found.ready.then(() => {
        promises.delete(String(body.request_id));
        return found.answer;
      });
    }
    case 'asample': {
      const { chunks } = body.prompt as { chunks: { tokens: number[] }[] };
      const tokens = chunks[0]!.tokens;
      const turns = tokens.filter((id) => id === information).length;
      const { max_tokens: most } = body.sampling_params as { max_tokens: number };
      const written = (turns < 3 ? search : answers[Math.random() < 0.5 ? 0 : 1]!).slice(0, most);
      const probe = decode(tokens).includes('<q>') ? written : tokens.slice(0, 1);
      const sequence = { tokens: probe, logprobs: probe.map(() => -1), stop_reason: 'stop' };
      return promise(logUniform(0.2, 30), { sequences: [sequence] });
    }
    case 'forward':
      return promise(logUniform(2, 15), outputs((body.forward_input as { data: Datum[] }).data));
    case 'forward_backward':
      return promise(logUniform(2, 25), outputs((body.forward_backward_input as { data: Datum[] }).data));
    case 'optim_step':
      return promise(logUniform(1, 5), { metrics: {} });
    case 'create_session':
      return { session_id: `s${count++}` };
    case 'create_model':
      return promise(0, { model_id: `m${count++}` });
    case 'save_weights':
      return promise(logUniform(1, 5), { path: `tinker://m/weights/w${count++}` });
    case 'save_weights_for_sampler':
      return promise(logUniform(1, 5), { path: null, sampling_session_id: `s${count++}` });
    case 'load_weights':
      return promise(logUniform(1, 5), {});
    case 'healthz':
      return { status: 'ok' };
    default:
      return {};
  }
}

const server = createServer(async (request, response) => {
  let text = '';
  for await (const part of request.setEncoding('utf8')) text += part;
  const name = new URL(request.url!, 'http://x').pathname.replace('/api/v1/', '');
  const value = await answer(name, text === '' ? {} : JSON.parse(text));
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
});
server.listen(0, '127.0.0.1', () => console.log(`PORT ${(server.address() as AddressInfo).port}`));
