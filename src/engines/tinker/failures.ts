/** What can go wrong between this program and a training server, as a closed union, in words that name server and call. */
import { UserError } from '../../base/errors.ts';

/**
 * refused: the server says no. unavailable: it could not be reached, or was busy, for too long. stalled: a call was accepted
 * and never resolved. state-unknown: a call that changes weights or gradients was lost, and sending it again might do it twice.
 * mismatch: an answer without what was asked for, or of another size.
 */
export type FailureKind = 'refused' | 'unavailable' | 'stalled' | 'state-unknown' | 'mismatch';

export class TinkerFailure extends UserError {
  readonly kind: FailureKind;
  /** The HTTP status, also one that a server hides inside of an answer of 200; undefined where there is none. */
  readonly status: number | undefined;

  constructor(kind: FailureKind, message: string, options: { hint?: string; status?: number } = {}) {
    super(message, options.hint === undefined ? {} : { hint: options.hint });
    this.kind = kind;
    this.status = options.status;
  }
}

/** What to do about a lost change. */
export const RESTORE_HINT =
  'The policy goes on from its last checkpoint: continue the run with --resume, it loads the checkpoint and repeats the step.';

const LONGEST = 300;

/**
 * A server's words for a person: one line, without control characters, at most 300 characters. Of a Python traceback the last
 * line, which holds the exception; else the first.
 */
export function inOneLine(text: string): string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const line = (/^\s*Traceback/.test(text) ? lines.at(-1) : lines[0]) ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const plain = line.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').trim();
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST)}…` : plain;
}

/** A server's reason in an answer that refuses: `detail` (a text, or pydantic's list), `error_message`, `error`, `message`; else its first line. */
export function reasonIn(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return body.trimStart().startsWith('<') ? 'a page of HTML' : inOneLine(body);
  }
  return reasonOf(value) ?? 'no reason given';
}

/** Pydantic repeats the request's body beside each complaint; place and complaint are enough. */
export function reasonOf(value: unknown): string | undefined {
  if (typeof value === 'string') return inOneLine(value);
  if (Array.isArray(value)) {
    const parts = value.slice(0, 3).flatMap((each: unknown) => reasonOf(each) ?? []);
    return parts.length === 0 ? undefined : inOneLine(parts.join('; '));
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  if (Array.isArray(fields.loc) && typeof fields.msg === 'string')
    return inOneLine(`${fields.loc.join('.')}: ${fields.msg}`);
  for (const name of ['detail', 'error_message', 'error', 'message']) {
    const found = reasonOf(fields[name]);
    if (found !== undefined && found !== '') return found;
  }
  return undefined;
}
