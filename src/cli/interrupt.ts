/** Ctrl-C and termination: the first one asks the work to stop with everything saved, the second one ends the process at once. */
import { UserError } from '../base/errors.ts';

/** The work was stopped by a signal; the command exits with 128 + the signal's number, as shells expect. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode: number;
  readonly hint: string;

  constructor(message: string, exitCode: number, hint: string) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

const SAME_KEY_MILLISECONDS = 500;

/**
 * Runs `work` with a signal that Ctrl-C aborts. When it rejects after that, throws `Interrupted` with message and hint.
 * @param hint how the work is continued; errors after which it can be say so too
 */
export async function interruptible<T>(
  hint: string,
  work: (signal: AbortSignal) => Promise<T>,
  message = 'stopped; what was finished is saved',
): Promise<T> {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let first = 0;
  const listener = (name: keyof typeof exitCodes) => {
    if (exitCode !== undefined) {
      // One Ctrl-C may arrive twice, from the terminal and from a parent process that passes it on.
      if (performance.now() - first < SAME_KEY_MILLISECONDS) return;
      process.exit(exitCodes[name]);
    }
    first = performance.now();
    exitCode = exitCodes[name];
    controller.abort(new Error(`stopped by ${name}`));
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  try {
    return await work(controller.signal);
  } catch (error) {
    // An error that the stop did not cause is still an error.
    if (exitCode === undefined || (error !== controller.signal.reason && !isCancellation(error)))
      throw withWayOn(error, hint);
    throw new Interrupted(message, exitCode, hint);
  } finally {
    process.off('SIGINT', listener);
    process.off('SIGTERM', listener);
  }
}

/** What to mend, and then how to go on; on a line of its own, for both may end in a command. */
function withWayOn(error: unknown, wayOn: string): unknown {
  if (!(error instanceof UserError) || !error.continues) return error;
  const hint = [error.hint, wayOn].filter((part) => part !== undefined && part !== '').join('\n');
  return new UserError(error.message, { hint, cause: error, continues: true });
}

function isCancellation(error: unknown): boolean {
  return error instanceof Error && (error.name === 'Cancelled' || error.name === 'AbortError');
}
