/** What is answered when a request is not: a status, and a reason in the shape that OpenAI's clients read. */
import { Refusal } from '../base/http/body.ts';

export class ApiError extends Refusal {
  /** E.g. "model_not_found"; null for most. */
  readonly code: string | null;
  /** The field at fault. */
  readonly param: string | null;
  /** In seconds. */
  readonly retryAfter: number | undefined;

  constructor(
    status: number,
    reason: string,
    {
      code = null,
      param = null,
      retryAfter,
    }: { code?: string | null; param?: string | null; retryAfter?: number } = {},
  ) {
    super(status, reason);
    this.code = code;
    this.param = param;
    this.retryAfter = retryAfter;
  }
}

const types: Readonly<Record<number, string>> = { 401: 'authentication_error', 429: 'rate_limit_error' };

/** The body of an answer. */
export function errorBody(refusal: Refusal): object {
  const { code, param } = refusal instanceof ApiError ? refusal : { code: null, param: null };
  const type = types[refusal.status] ?? (refusal.status >= 500 ? 'server_error' : 'invalid_request_error');
  return { error: { message: refusal.message, type, param, code } };
}

export function errorHeaders(refusal: Refusal): Record<string, string> {
  const after = refusal instanceof ApiError ? refusal.retryAfter : refusal.status === 503 ? 1 : undefined;
  return {
    ...(after !== undefined && { 'Retry-After': String(after) }),
    ...(refusal.status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    ...(refusal.status === 405 && { Allow: 'GET, POST' }),
  };
}
