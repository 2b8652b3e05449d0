/**
 * Errors that are the user's to mend: a missing file, a malformed line, an unknown key.
 * The command prints the message alone (no stack) and exits with code 2.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  /** What to do about it, printed on a line of its own. */
  readonly hint: string | undefined;
  /** Once it is mended, work that is saved goes on from where it stopped. How is the command's to say (cli/interrupt.ts). */
  readonly continues: boolean;

  constructor(message: string, options: { hint?: string; cause?: unknown; continues?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
    this.continues = options.continues ?? false;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Message and, on a line of its own, what to do about it. */
export function adviceOf(error: unknown): string {
  return error instanceof UserError && error.hint !== undefined ? `${error.message}\n${error.hint}` : messageOf(error);
}

/** True for errors of the file system and other system calls, which carry a code such as ENOENT. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
