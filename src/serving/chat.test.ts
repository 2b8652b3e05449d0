/** The interface as OpenAI's own client sees it. */
import OpenAI, { type APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Script } from '../engines/openai/testing/scripted-server.ts';
import { chatProtocol } from './chat.ts';
import type { DeskOptions } from './desk.ts';
import type { RequestLine, ServingOptions } from './serve-agent.ts';
import { type ScriptedAgent, scriptedAgent, served } from './testing/scripted-agent.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** A server and a client for it. */
async function behind(
  { agent }: Pick<ScriptedAgent, 'agent'>,
  desk: Partial<DeskOptions> = {},
  options: Partial<ServingOptions> = {},
  apiKey = 'any',
) {
  const server = await served(agent, chatProtocol(), desk, options);
  open.push({ close: () => server.close(0.1) });
  return { server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 }) };
}

/** The same with an agent of its own. */
async function alone(script: Script, ...more: [Partial<DeskOptions>?, Partial<ServingOptions>?, string?]) {
  const scripted = await scriptedAgent(script);
  open.push(scripted);
  return { ...(await behind(scripted, ...more)), ...scripted };
}

const question = { role: 'user', content: 'who wrote Faust?' } as const;
const asking = { model: 'scripted', messages: [question] };
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error('was answered')),
    (error: unknown) => error as APIError,
  );
const work = 'I have to look it up.\nSearch: author of Faust\n1. Faust\n2. (no title)\nFound it.';

let shared: ScriptedAgent;
beforeAll(async () => {
  shared = await scriptedAgent();
});
afterAll(() => shared.close());

describe('an answer', () => {
  it('is content; the work is its reasoning, what was read its citations', async () => {
    const { client } = await behind(shared);
    const answer = await client.chat.completions.create(asking);
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      model: 'scripted',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'Goethe',
            reasoning_content: work,
            citations: [
              { id: 'p1', title: 'Faust', score: expect.any(Number), search: 1 },
              { id: 'p2', title: '', search: 1 },
            ],
          },
          finish_reason: 'stop',
        },
      ],
      search_e1: { stop: 'answered', searches: 1, well_formed: true, grounded: true },
    });
    expect(JSON.stringify(answer)).not.toContain('Faust is a play');
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage!;
    expect(prompt_tokens).toBeGreaterThan(20);
    expect(completion_tokens).toBeGreaterThan(5);
    expect(total_tokens).toBe(prompt_tokens + completion_tokens);
  });

  it('is the same when it is streamed, the work as it happens', async () => {
    const { client } = await behind(shared);
    const stream = await client.chat.completions.create({
      ...asking,
      stream: true,
      stream_options: { include_usage: true },
    });
    const deltas: { role?: string; content?: string; reasoning_content?: string; citations?: unknown[] }[] = [];
    let [finish, usage]: [string | null | undefined, unknown] = [undefined, undefined];
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      if (choice !== undefined) deltas.push(choice.delta as (typeof deltas)[number]);
      finish = choice?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    expect(deltas[0]).toMatchObject({ role: 'assistant' });
    expect(deltas.map(({ reasoning_content }) => reasoning_content ?? '').join('')).toBe(work);
    expect(deltas.filter(({ reasoning_content }) => reasoning_content !== undefined).length).toBeGreaterThan(4);
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe('Goethe');
    expect(deltas.flatMap(({ citations }) => citations ?? [])).toHaveLength(2);
    expect([finish, usage]).toEqual(['stop', expect.objectContaining({ prompt_tokens: expect.any(Number) })]);
  });

  it('keeps to what was asked for: stops, limits, texts of passages, temperature and seed', async () => {
    const { client, model } = await alone(({ messages }) =>
      messages.length > 1 ? `<answer> Johann Wolfgang Goethe </answer>` : '<search> Faust </search>',
    );
    const more = { stop: [' Wolfgang'], temperature: 0.7, seed: 5, return_passages: true };
    const answer = await client.chat.completions.create({ ...asking, ...more });
    expect(answer.choices[0]!.message).toMatchObject({
      content: 'Johann',
      citations: [{ id: 'p1', text: 'Faust is a play by Goethe.' }],
    });
    await client.chat.completions.create({ ...asking, ...more });
    const bodies = model.asked.map(({ body }) => body);
    expect(bodies.map(({ temperature }) => temperature)).toEqual([0.7, 0.7, 0.7, 0.7]);
    expect(bodies.slice(2).map(({ seed }) => seed)).toEqual(bodies.slice(0, 2).map(({ seed }) => seed));
    const cut = await client.chat.completions.create({ ...asking, max_tokens: 2 });
    expect(cut.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '' } });
    expect(model.asked[4]!.body.max_tokens).toBe(2);
  });

  it('is none where the model gives none, which is no error', async () => {
    const { client } = await alone(() => 'I do not know');
    const answer = await client.chat.completions.create(asking);
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '', citations: [] } });
    expect(answer).toMatchObject({ search_e1: { stop: 'no-answer' } });
  });

  it('follows earlier turns of a conversation, of a model that converses', async () => {
    const { client, model } = await alone(() => '<answer> Goethe </answer>');
    const earlier = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
      { role: 'assistant', content: 'Hi.' },
    ] as const;
    await client.chat.completions.create({ ...asking, messages: [...earlier, question] as never });
    expect(model.asked[0]!.messages.slice(0, 3)).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi.' },
    ]);
    expect(model.asked[0]!.messages[3]!.content).toContain('Question: who wrote Faust?');
  });
});

describe('models', () => {
  it('are the one that is served', async () => {
    const { client } = await behind(shared);
    expect((await client.models.list()).data).toEqual([
      { id: 'scripted', object: 'model', created: expect.any(Number), owned_by: 'search-e1' },
    ]);
    expect(await client.models.retrieve('scripted')).toMatchObject({ id: 'scripted' });
    await expect(client.models.retrieve('gpt-4')).rejects.toThrow(NotFoundError);
  });
});

describe('a request that is refused', () => {
  const user = (content: unknown) => [{ role: 'user', content }];
  const wrong: readonly [string, object, string][] = [
    ['no messages', { messages: [] }, 'messages'],
    ['messages that are none', { messages: 'hello' }, 'messages'],
    ['an empty question', { messages: user('  ') }, 'messages'],
    ['a last message of another', { messages: [question, { role: 'assistant', content: 'x' }] }, 'messages'],
    ['a tool’s message', { messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role'],
    ['an image', { messages: user([{ type: 'image_url', image_url: { url: 'x' } }]) }, 'messages.0.content.0.type'],
    ['too much text', { messages: user('x'.repeat(200_001)) }, 'messages'],
    ['too many messages', { messages: Array.from({ length: 257 }, () => question) }, 'messages'],
    ['two answers', { n: 2 }, 'n'],
    ['a temperature below 0', { temperature: -1 }, 'temperature'],
    ['another share of mass', { top_p: 0.5 }, 'top_p'],
    ['no tokens', { max_tokens: 0 }, 'max_tokens'],
    ['five stops', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    ['tools', { tools: [{ type: 'function' }] }, 'tools'],
    ['JSON wanted', { response_format: { type: 'json_object' } }, 'response_format.type'],
    ['log-probabilities', { logprobs: true }, 'logprobs'],
  ];
  it.each(wrong)('names the field: %s', async (_, changes, param) => {
    const { client } = await behind(shared);
    const error = await failureOf(client.chat.completions.create({ ...asking, ...changes } as never));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error.message).toContain(param);
  });

  it('passes over what only describes a request, and what says what is so anyway', async () => {
    const { client } = await behind(shared);
    const more = {
      n: 1,
      top_p: 1,
      user: 'me',
      metadata: {},
      store: false,
      tools: [],
      presence_penalty: 0,
      logit_bias: {},
    };
    const answer = await client.chat.completions.create({ ...asking, ...more } as never);
    expect(answer).toMatchObject({ choices: [{ message: { content: 'Goethe' } }] });
  });

  it('knows no other model', async () => {
    const { client } = await behind(shared);
    const error = await failureOf(client.chat.completions.create({ ...asking, model: 'gpt-4' }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', message: expect.stringContaining('"scripted"') });
  });

  it('needs a key where keys are wanted', async () => {
    const keyed = { keys: ['key-1', 'key-2'] };
    const { client } = await behind(shared, {}, keyed, 'key-2');
    expect((await client.chat.completions.create(asking)).choices[0]!.message.content).toBe('Goethe');
    for (const key of ['key-3', 'key-', 'x'.repeat(10_000)]) {
      const other = await behind(shared, {}, keyed, key);
      const error = await failureOf(other.client.models.list());
      expect(error).toBeInstanceOf(AuthenticationError);
      expect(error.code).toBe('invalid_api_key');
      expect(error.message).not.toContain('key-1');
      expect((await fetch(`${other.server.url}/healthz`)).status).toBe(200);
      expect((await fetch(`${other.server.url}/metrics`)).status).toBe(401);
    }
  });

  it('tells a client of failures inside no more than that, and its own log what they were', async () => {
    const lines: RequestLine[] = [];
    const { client, model } = await alone(
      () => ({ fault: 'status', status: 404, message: 'no such adapter' }),
      {},
      { onRequest: (line) => lines.push(line) },
    );
    for (const stream of [false, true]) {
      const error = await failureOf(client.chat.completions.create({ ...asking, stream }));
      expect(error).toMatchObject({ status: 502, code: 'sample-failed', message: '502 no answer: sample-failed' });
    }
    expect(lines.map(({ status }) => status)).toEqual([502, 502]);
    expect(lines[0]!.failure).toContain(`${model.url}: 404 no such adapter`);
    expect(JSON.stringify(lines)).not.toContain('Faust');
  });
});

describe('many at once', () => {
  /** Answers when it is let. */
  const held = () => {
    const gate = Promise.withResolvers<void>();
    const script: Script = async () => {
      await gate.promise;
      return '<answer> Goethe </answer>';
    };
    return { script, release: gate.resolve };
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it('wait in a queue with a limit; beyond it 429 says when to come again', async () => {
    const { script, release } = held();
    const { client, server } = await alone(script, { concurrency: 2, waiting: 1 });
    const inside = [1, 2, 3].map(() => client.chat.completions.create(asking));
    await until(() => server.desk.load.waiting === 1);
    expect(server.desk.load).toEqual({ underWay: 2, waiting: 1 });
    const error = await failureOf(client.chat.completions.create(asking));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.code).toBe('queue_full');
    expect(Number(error.headers!.get('retry-after'))).toBeGreaterThanOrEqual(1);
    release();
    for (const answer of await Promise.all(inside)) expect(answer.choices[0]!.message.content).toBe('Goethe');
    expect(server.desk.load).toEqual({ underWay: 0, waiting: 0 });
    expect((await client.chat.completions.create(asking)).choices[0]!.message.content).toBe('Goethe');
  });

  it('free their place when they leave, whether waiting or worked on', async () => {
    const { script, release } = held();
    const { client, server, model } = await alone(script, { concurrency: 1, waiting: 1 });
    const leaving = new AbortController();
    const gone = [false, true].map((stream) =>
      failureOf(client.chat.completions.create({ ...asking, stream }, { signal: leaving.signal })),
    );
    await until(() => server.desk.load.waiting === 1);
    leaving.abort();
    await Promise.all(gone);
    await until(() => server.desk.load.underWay + server.desk.load.waiting === 0);
    release();
    expect((await client.chat.completions.create(asking)).choices[0]!.message.content).toBe('Goethe');
    // Who left while waiting was never asked for.
    expect(model.asked).toHaveLength(2);
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('search_e1_requests_total{status="499"} 2');
  });

  it('have a deadline each, waiting included', async () => {
    const { script, release } = held();
    const { client } = await alone(script, { concurrency: 1, waiting: 1, seconds: 0.2 });
    const errors = await Promise.all([1, 2].map(() => failureOf(client.chat.completions.create(asking))));
    for (const error of errors)
      expect(error).toMatchObject({ status: 504, code: 'deadline', message: '504 no answer within 0.2 s' });
    release();
  });

  it('end a stream with an error when it is too late for a status', async () => {
    const script: Script = ({ messages }) =>
      messages.length > 1 ? { fault: 'silence' } : '<think> hm </think> <search> Faust </search>';
    const { client } = await alone(script, { seconds: 0.3 });
    const stream = await client.chat.completions.create({ ...asking, stream: true });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { choices } of stream)
        seen.push((choices[0]?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? '');
    })();
    expect(await failureOf(reading)).toMatchObject({ code: 'deadline' });
    expect(seen.join('')).toBe('hm\nSearch: Faust\n1. Faust\n');
  });

  it('are answered when the server is asked to stop, and no others', async () => {
    const { script, release } = held();
    const { client, server } = await alone(script);
    const [whole, streamed] = [
      client.chat.completions.create(asking),
      client.chat.completions.create({ ...asking, stream: true }).then(async (stream) => {
        let text = '';
        for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
        return text;
      }),
    ];
    await until(() => server.desk.load.underWay === 2);
    const closed = server.close(20);
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
    release();
    expect((await whole).choices[0]!.message.content).toBe('Goethe');
    expect(await streamed).toBe('Goethe');
    expect(await closed).toEqual({ answered: 2, unanswered: 0 });
  });
});

describe('what is told of it', () => {
  it('at /healthz and /metrics', async () => {
    const { client, server } = await alone(({ messages }) =>
      messages.length > 1 ? '<answer> Goethe </answer>' : '<search> Faust </search>',
    );
    await client.chat.completions.create(asking);
    await failureOf(client.chat.completions.create({ ...asking, n: 2 }));
    expect(await (await fetch(`${server.url}/healthz`)).json()).toMatchObject({
      status: 'ok',
      policy: { name: 'scripted' },
      retriever: { passages: 2 },
      load: { underWay: 0, waiting: 0 },
    });
    const text = await (await fetch(`${server.url}/metrics`)).text();
    for (const line of [
      'search_e1_requests_total{status="200"} 2',
      'search_e1_requests_total{status="400"} 1',
      'search_e1_answers_total{stop="answered"} 1',
      'search_e1_answer_seconds_count 1',
      'search_e1_searches_total 1',
      'search_e1_questions_under_way 0',
    ])
      expect(text).toContain(`${line}\n`);
    // Every sample belongs to a family that is declared before it, as Prometheus' parser wants.
    let family = '';
    for (const line of text.trim().split('\n')) {
      if (line.startsWith('# TYPE ')) family = line.split(' ')[2]!;
      else if (!line.startsWith('#'))
        expect(line).toMatch(new RegExp(`^${family}(_bucket|_sum|_count)?(\\{[^}]*\\})? [-+\\d.e]+$`));
    }
  });
});
