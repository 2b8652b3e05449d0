/**
 * Answers in the shapes of OpenAI's chat completions: the answer alone as content, the work as `reasoning_content` (as vLLM,
 * SGLang, llama.cpp and DeepSeek name it), what was read as `citations`, and how it ended as `search_e1`.
 */
import type { Asked } from '../evaluation/agent.ts';
import type { ChatRequest } from './chat-request.ts';

/** What all events of an answer share. */
export interface ReplyHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

/** A passage that the policy was shown. */
export interface Citation {
  readonly id: string;
  readonly title: string;
  readonly score: number;
  /** Which search found it, from 1. */
  readonly search: number;
  readonly text?: string;
}

/** In the order of searches and ranks; a passage that several searches found stands where it was found first. */
export function citationsOf({ found }: Pick<Asked, 'found'>, withTexts: boolean): Citation[] {
  const cited = new Map<string, Citation>();
  for (const [search, hits] of found.entries())
    for (const { passage, score } of hits)
      if (!cited.has(passage.id))
        cited.set(passage.id, {
          id: passage.id,
          title: passage.title,
          score,
          search: search + 1,
          ...(withTexts && { text: passage.text }),
        });
  return [...cited.values()];
}

/** The answer; nothing where there is none. It ends before the first stop string. */
export function contentOf({ answer }: Pick<Asked, 'answer'>, stop: readonly string[]): string {
  const text = answer ?? '';
  const ends = stop.map((string) => text.indexOf(string)).filter((at) => at >= 0);
  return text.slice(0, Math.min(text.length, ...ends));
}

/** 'length' where a limit on tokens ended the work; else 'stop', also for work that ended without an answer. */
function finishReason({ stop }: Pick<Asked, 'stop'>): 'stop' | 'length' {
  return stop === 'response-full' || stop === 'context-full' ? 'length' : 'stop';
}

function usageOf({ promptTokens, newTokens }: Asked) {
  const [prompt_tokens, completion_tokens] = [promptTokens ?? 0, newTokens ?? 0];
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

/** How it ended, for programs that know this one. */
function endingOf({ stop, searches, wellFormed, grounded, seconds }: Asked) {
  const rounded = Math.round(1000 * seconds) / 1000;
  return { stop, searches: searches.length, well_formed: wellFormed, grounded, seconds: rounded };
}

/** The whole answer. */
export function completionOf(head: ReplyHead, request: ChatRequest, asked: Asked, reasoning: string) {
  return {
    id: head.id,
    object: 'chat.completion' as const,
    created: head.created,
    model: head.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant' as const,
          content: contentOf(asked, request.stop),
          refusal: null,
          reasoning_content: reasoning,
          citations: citationsOf(asked, request.returnPassages),
        },
        finish_reason: finishReason(asked),
        logprobs: null,
      },
    ],
    usage: usageOf(asked),
    search_e1: endingOf(asked),
  };
}

type Delta = { readonly role?: 'assistant'; readonly content?: string; readonly reasoning_content?: string };

/** One event of a streamed answer. */
export function chunkOf(
  head: ReplyHead,
  delta: Delta & { readonly citations?: readonly Citation[] },
  more: object = {},
) {
  return {
    id: head.id,
    object: 'chat.completion.chunk' as const,
    created: head.created,
    model: head.model,
    choices: [{ index: 0, delta, finish_reason: null, logprobs: null, ...more }],
  };
}

/** The last events, once the answer is there. */
export function lastChunks(head: ReplyHead, request: ChatRequest, asked: Asked): object[] {
  const citations = citationsOf(asked, request.returnPassages);
  return [
    chunkOf(head, { content: contentOf(asked, request.stop), citations }),
    { ...chunkOf(head, {}, { finish_reason: finishReason(asked) }), search_e1: endingOf(asked) },
    ...(request.includeUsage ? [{ ...chunkOf(head, {}), choices: [], usage: usageOf(asked) }] : []),
  ];
}
