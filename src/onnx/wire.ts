/** What a process and its worker threads say to one another: calls by number, replies, progress, errors. */
import { UserError } from '../base/errors.ts';
import { NonFiniteError } from '../policy/policy.ts';
import { outOfMemory } from './out-of-memory.ts';

/** Verbs of any worker: asynchronous functions by name. */
export type VerbTable<Table> = { readonly [V in keyof Table]: (...args: never[]) => Promise<unknown> };

export type ToWorker<Table extends VerbTable<Table>> =
  | { readonly kind: 'call'; readonly id: number; readonly verb: keyof Table; readonly args: readonly unknown[] }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'release'; readonly session: string }
  | { readonly kind: 'close' };

export type FromWorker =
  /** What a verb tells on its way: progress as [done, total], or whatever else it says in numbers. */
  | { readonly id: number; readonly told: readonly number[] }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ThrownError };

/** Call id 0: the worker says that it is ready. */
export const READY = 0;

/** An error as it crosses the border: structured clones forget classes and own properties. */
export interface ThrownError {
  readonly message: string;
  readonly stack: string | undefined;
  /** Present for a `UserError`. */
  readonly user?: { readonly hint: string | undefined; readonly continues: boolean };
  readonly kind: 'range' | 'non-finite' | 'other';
}

export function packError(thrown: unknown): ThrownError {
  const error = outOfMemory(thrown, 'engine') ?? thrown;
  if (!(error instanceof Error)) return { message: String(error), stack: undefined, kind: 'other' };
  const { message, stack } = error;
  const user = error instanceof UserError ? { user: { hint: error.hint, continues: error.continues } } : {};
  const kind = error instanceof RangeError ? 'range' : error instanceof NonFiniteError ? 'non-finite' : 'other';
  return { message, stack, kind, ...user };
}

export function unpackError({ message, stack, user, kind }: ThrownError): Error {
  if (user) {
    const { hint, continues } = user;
    return new UserError(message, { continues, ...(hint !== undefined && { hint }) });
  }
  const Class = kind === 'range' ? RangeError : kind === 'non-finite' ? NonFiniteError : Error;
  const error = new Class(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
