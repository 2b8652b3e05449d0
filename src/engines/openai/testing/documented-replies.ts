/**
 * What servers send, in the forms that their documents, sources and public reports show: recorded by hand, shortened, each with
 * what the model had written. No such server was run for them.
 */
import type { TextReply } from '../../../policy/text-model.ts';

export interface DocumentedReply {
  readonly server: string;
  readonly status?: number;
  /** Content type; text/event-stream by default, null for none. */
  readonly type?: string | null;
  /** The body as it goes over the wire. */
  readonly body: string;
  /** The reply that was asked for with the stops </search> and </answer>. */
  readonly reply: TextReply;
}

const events = (...values: unknown[]) =>
  values.map((value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`).join('');

const chunk = (delta: unknown, more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1750067911,
  model: 'm',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: null, ...more }],
});
const counted = { prompt_tokens: 12, total_tokens: 20, completion_tokens: 8 };
const usage = { id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 'm', choices: [], usage: counted };
const answer: TextReply = { text: '<answer> Lisbon </answer>', finish: 'stop', promptTokens: 12, newTokens: 8 };

export const documentedReplies: readonly DocumentedReply[] = [
  {
    server: 'OpenAI',
    body: events(
      chunk({ role: 'assistant', content: '', refusal: null }),
      chunk({ content: '<answer> Lis' }),
      chunk({ content: 'bon ' }),
      chunk({}, { finish_reason: 'stop' }),
      usage,
      '[DONE]',
    ),
    reply: answer,
  },
  {
    server: 'vLLM: the stop string in stop_reason, beside the last piece of text',
    body: events(
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: '<answer> Lisbon' }),
      chunk({ content: ' ' }, { finish_reason: 'stop', stop_reason: '</answer>' }),
      usage,
      '[DONE]',
    ),
    reply: answer,
  },
  {
    server: 'vLLM with a reasoning parser',
    body: events(
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning: 'Portugal', reasoning_content: 'Portugal' }),
      chunk({ reasoning: ' it is', reasoning_content: ' it is' }),
      chunk({ content: '<answer> Lisbon ' }),
      chunk({ content: '' }, { finish_reason: 'stop', stop_reason: '</answer>' }),
      usage,
      '[DONE]',
    ),
    reply: { ...answer, reasoning: 'Portugal it is' },
  },
  {
    server: 'vLLM: the stop string met while it was reasoning',
    body: events(
      chunk({ reasoning_content: 'I would search <search> Portugal ' }),
      chunk({ content: '' }, { finish_reason: 'stop', stop_reason: '</search>' }),
      usage,
      '[DONE]',
    ),
    reply: { ...answer, text: '', reasoning: 'I would search <search> Portugal </search>' },
  },
  {
    server: 'SGLang: nulls for what is absent, matched_stop a token id at the model’s own end',
    body: events(
      { ...chunk({ role: null, content: 'I do not', reasoning_content: null, tool_calls: null }), usage: null },
      { ...chunk({ role: null, content: ' know', reasoning_content: null }, { matched_stop: null }), usage: null },
      chunk({ role: null, content: null }, { finish_reason: 'stop', matched_stop: 151645 }),
      usage,
      '[DONE]',
    ),
    reply: { ...answer, text: 'I do not know' },
  },
  {
    server: 'SGLang of 2024: an empty finish_reason until the end',
    body: events(
      chunk({ role: 'assistant', content: '<answer> Lis' }, { finish_reason: '' }),
      chunk({ content: 'bon ' }, { finish_reason: '' }),
      chunk({}, { finish_reason: 'stop', matched_stop: '</answer>' }),
      usage,
      '[DONE]',
    ),
    reply: answer,
  },
  {
    server: 'llama.cpp: the role with a null content first, usage and timings in a chunk of their own',
    body: events(
      chunk({ role: 'assistant', content: null }),
      chunk({ content: '<answer> Lisbon ' }),
      chunk({}, { finish_reason: 'stop' }),
      { ...usage, timings: { prompt_n: 12, predicted_n: 8 } },
      '[DONE]',
    ),
    reply: answer,
  },
  {
    server: 'Ollama of 2024: an empty finish_reason, no usage',
    body: events(
      {
        ...chunk({ role: 'assistant', content: '<answer> Lis' }, { finish_reason: '' }),
        system_fingerprint: 'fp_ollama',
      },
      chunk({ role: 'assistant', content: 'bon ' }, { finish_reason: '' }),
      chunk({ role: 'assistant', content: '' }, { finish_reason: 'stop' }),
      '[DONE]',
    ),
    reply: { ...answer, promptTokens: null, newTokens: null },
  },
  {
    server: 'Ollama, thinking',
    body: events(
      chunk({ role: 'assistant', content: '', reasoning: 'Portugal' }),
      chunk({ role: 'assistant', content: '<answer> Lisbon ' }),
      chunk({ role: 'assistant', content: '' }, { finish_reason: 'stop' }),
      usage,
      '[DONE]',
    ),
    reply: { ...answer, reasoning: 'Portugal' },
  },
  {
    server: 'LM Studio, with keep-alive comments',
    body: `: keep-alive\n\n${events(chunk({ role: 'assistant', content: '<answer> Lisbon ' }))}: keep-alive\r\n\r\n${events(
      chunk({}, { finish_reason: 'stop' }),
      usage,
      '[DONE]',
    )}`,
    reply: answer,
  },
  {
    server: 'TGI: its own words for the end',
    body: events(
      chunk({ role: 'assistant', content: 'I do not know' }),
      { ...chunk({ role: 'assistant', content: '' }, { finish_reason: 'eos_token' }), usage: counted },
      '[DONE]',
    ),
    reply: { ...answer, text: 'I do not know' },
  },
  {
    server: 'TGI: a stop sequence',
    body: events(
      chunk({ role: 'assistant', content: '<answer> Lisbon </answer>' }, { finish_reason: 'stop_sequence' }),
      usage,
      '[DONE]',
    ),
    reply: answer,
  },
  {
    server: 'Mistral: content in parts',
    body: events(
      chunk({ role: 'assistant', content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Portugal' }] }] }),
      chunk({ content: [{ type: 'text', text: '<answer> Lisbon ' }] }),
      { ...chunk({ content: '' }, { finish_reason: 'stop' }), usage: counted },
      '[DONE]',
    ),
    reply: { ...answer, reasoning: 'Portugal' },
  },
  {
    server: 'a gateway before Gemini: MAX_TOKENS, null choices beside the usage',
    body: events(
      chunk({ content: 'Lisbon is' }),
      chunk({}, { finish_reason: 'MAX_TOKENS' }),
      { choices: null, usage: counted },
      '[DONE]',
    ),
    reply: { ...answer, text: 'Lisbon is', finish: 'length' },
  },
  {
    server: 'a gateway that says "stop" with every piece',
    body: events(
      chunk({ content: '<answer> Lis' }, { finish_reason: 'stop' }),
      chunk({ content: 'bon ' }, { finish_reason: 'stop' }),
      usage,
      '[DONE]',
    ),
    reply: answer,
  },
  {
    server: 'a gateway that answers by Anthropic’s word, in another case',
    body: events(chunk({ content: 'I do not know' }), chunk({}, { finish_reason: 'END_TURN' }), usage, '[DONE]'),
    reply: { ...answer, text: 'I do not know' },
  },
  {
    server: 'a server that sends another choice beside, and none of its own number',
    body: events(
      { choices: [{ index: 1, delta: { content: '<answer> Madrid </answer>' }, finish_reason: null }] },
      { choices: [{ delta: { content: '<answer> Lisbon ' } }] },
      { choices: [{ index: 1, delta: {}, finish_reason: 'stop' }] },
      { choices: [{ delta: null, finish_reason: 'stop' }], usage: counted },
      '[DONE]',
    ),
    reply: answer,
  },
  {
    server: 'a server that does not stream',
    type: 'application/json; charset=utf-8',
    body: JSON.stringify({
      id: 'x',
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: '<answer> Lisbon ' }, finish_reason: 'stop' }],
      usage: counted,
    }),
    reply: answer,
  },
  {
    server: 'a server that does not say that it streams',
    type: null,
    body: events(chunk({ content: '<answer> Lisbon ' }), chunk({}, { finish_reason: 'stop' }), usage, '[DONE]'),
    reply: answer,
  },
  {
    server: 'a server that calls its stream plain text, with an event of nothing and a ping',
    type: 'text/plain',
    body: `data: \n\nevent: ping\ndata: {}\n\n${events(chunk({ content: '<answer> Lisbon ' }), chunk({}, { finish_reason: 'stop' }), usage)}`,
    reply: answer,
  },
];

/** How servers refuse a prompt that is too long, or one that leaves no room for the tokens asked for (500, behind 3,700 of 4,096). */
export const documentedRefusals: readonly {
  readonly server: string;
  readonly status: number;
  readonly body: unknown;
  /** The limit that it would take, where it says so. */
  readonly left?: number;
}[] = [
  {
    server: 'vLLM, max_tokens',
    status: 400,
    body: {
      error: {
        message:
          "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context length is 4096 tokens and your request has 3700 input tokens (500 > 4096 - 3700).",
        type: 'BadRequestError',
        param: 'max_tokens',
        code: 400,
      },
    },
    left: 396,
  },
  {
    server: 'vLLM of 2024',
    status: 400,
    body: {
      object: 'error',
      message:
        "This model's maximum context length is 4096 tokens. However, you requested 4200 tokens (3700 in the messages, 500 in the completion). Please reduce the length of the messages or completion.",
      type: 'BadRequestError',
      param: null,
      code: 400,
    },
    left: 396,
  },
  {
    server: 'SGLang',
    status: 400,
    body: {
      object: 'error',
      message:
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 4200 tokens: 3700 tokens from the input messages and 500 tokens for the completion. Please reduce the number of tokens in the input messages or the completion to fit within the limit.",
      type: 'BadRequestError',
      param: null,
      code: 400,
    },
    left: 396,
  },
  {
    server: 'TGI',
    status: 422,
    body: {
      error:
        'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3700 `inputs` tokens and 500 `max_new_tokens`',
      error_type: 'validation',
    },
    left: 396,
  },
  {
    server: 'OpenAI, a model of fewer output tokens',
    status: 400,
    body: {
      error: {
        message:
          'max_tokens is too large: 500. This model supports at most 396 completion tokens, whereas you provided 500.',
        type: 'invalid_request_error',
        param: 'max_tokens',
        code: 'invalid_value',
      },
    },
    left: 396,
  },
  {
    server: 'vLLM, the prompt',
    status: 400,
    body: {
      error: {
        message:
          "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens. Please reduce the length of the input messages.",
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    },
  },
  {
    server: 'SGLang, the prompt',
    status: 400,
    body: {
      object: 'error',
      message: "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
      code: 400,
    },
  },
  {
    server: 'llama.cpp',
    status: 400,
    body: {
      error: {
        code: 400,
        message: 'the request exceeds the available context size, try increasing it',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 5000,
        n_ctx: 4096,
      },
    },
  },
  {
    server: 'Ollama',
    status: 400,
    body: { error: { message: 'prompt too long; exceeded max context length by 1200 tokens', type: 'api_error' } },
  },
  {
    server: 'LM Studio',
    status: 400,
    body: {
      error:
        'Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.',
    },
  },
  { server: 'a gateway, as text in another language', status: 400, body: '上下文过长' },
  {
    server: 'a gateway, by size',
    status: 413,
    body: { error: { message: 'Request too large for model', code: 'rate_limit_exceeded' } },
  },
];
