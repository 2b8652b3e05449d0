/** What an answer to a poll means: servers say "not yet", "failed" and "unknown" in many ways, some of them inside of a 200. */
import { messageOf } from '../../base/errors.ts';
import { reasonIn, reasonOf } from './failures.ts';

export type Polled =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'again'; readonly queue: string | undefined }
  /** The call failed, with the status that it would have had. */
  | { readonly kind: 'failed'; readonly reason: string; readonly status: number | undefined }
  /** The server does not know the request any more: its promise or its result is lost. */
  | { readonly kind: 'gone' }
  /** The poll itself went wrong, and says nothing about the call. */
  | { readonly kind: 'trouble'; readonly reason: string };

/** A result in Protocol Buffers: what is no result is told in JSON. */
export function interpretMessage(message: Uint8Array, decode: (message: Uint8Array) => unknown): Polled {
  try {
    return { kind: 'done', value: decode(message) };
  } catch (error) {
    return { kind: 'trouble', reason: `an answer that cannot be read: ${messageOf(error)}` };
  }
}

/** @param text of an answer to retrieve_future */
export function interpretPoll(status: number, text: string): Polled {
  if (status === 408) return { kind: 'again', queue: undefined };
  if (status === 404 || status === 410) return { kind: 'gone' };
  if (status === 429 || status >= 500) return { kind: 'trouble', reason: `status ${status}: ${reasonIn(text)}` };
  if (status !== 200) return { kind: 'failed', reason: reasonIn(text), status };
  const value = parseObject(text);
  if (value === undefined) return { kind: 'trouble', reason: 'an answer that is not a JSON object' };
  if (value.type === 'try_again' || value.status === 'complete_metadata') {
    const state = [value.queue_state, value.queue_state_reason].filter((part) => typeof part === 'string');
    return { kind: 'again', queue: state.length === 0 ? undefined : reasonOf(state.join(': ')) };
  }
  return failureIn(value) ?? { kind: 'done', value };
}

/** A failure told with status 200; undefined for a result. */
export function failureIn(
  value: Readonly<Record<string, unknown>>,
): Extract<Polled, { kind: 'failed' | 'gone' }> | undefined {
  const { type, error, error_message: message } = value;
  if (type !== 'request_failed' && type !== 'RequestFailedResponse' && !isReason(error)) return undefined;
  // VeRL-Tinker, once a result has been handed out or after a restart.
  if (typeof error === 'string' && (/^future id\b/.test(error) || 'seen_before' in value)) return { kind: 'gone' };
  const reason = reasonOf(error) ?? reasonOf(message) ?? 'no reason given';
  // VeRL-Tinker: {"error": "HTTPException(status_code=409, detail='…')"}
  const hidden = /status_code=(\d{3})/.exec(reason)?.[1];
  return { kind: 'failed', reason, status: hidden === undefined ? undefined : Number(hidden) };
}

/** Results may carry `error: null`. */
function isReason(error: unknown): boolean {
  return (typeof error === 'string' && error !== '') || (typeof error === 'object' && error !== null);
}

const STRING_OR_NAN = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

/** A JSON object; undefined for anything else. Python writes NaN and Infinity, which JSON does not have: they become null. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  const value = parse(text) ?? parse(text.replace(STRING_OR_NAN, (match) => (match.startsWith('"') ? match : 'null')));
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
