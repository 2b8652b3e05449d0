/** What takes its time before anything can be shown is announced, so that nobody looks at an empty screen. */
import { statSync } from 'node:fs';
import { byteSize } from '../base/bytes.ts';
import type { Policy } from '../policy/policy.ts';
import type { Io } from './widgets/io.ts';
import { message } from './widgets/terminal.ts';

/** Files from this size on take seconds to be read and indexed. */
const LARGE = 5e6;
/** Models from this size on take minutes for a sample. */
const SLOW_PARAMETERS = 5e7;

/** Says on standard error what is being opened: servers, which may keep one waiting, and large files. */
export function announceOpening(io: Io, ...sources: readonly (string | null | undefined)[]): void {
  for (const source of sources) {
    if (!source) continue;
    const bytes = statSync(source, { throwIfNoEntry: false })?.size ?? 0;
    // An address with a password is refused at once.
    if (/^https?:\/\/(?![^/]*@)/.test(source))
      io.err.write(
        message(`asking ${source} … (a server that does not answer is asked again, for half a minute or so)`, io.err),
      );
    else if (bytes >= LARGE) io.err.write(message(`reading ${source}, ${byteSize(bytes)} …`, io.err));
  }
}

/** Says what a dry run of a model of this size is busy with; of a small one it is over before it is read. */
export function announceSample(io: Io, { info }: Pick<Policy, 'info'>): void {
  if ((info.parameters ?? 0) >= SLOW_PARAMETERS)
    io.err.write(
      message('taking a sample: some rollouts and a step over them, a few minutes for a model of this size …', io.err),
    );
}
