/** Reading a known range of an open file. */
import type { FileHandle } from 'node:fs/promises';
import { UserError } from '../base/errors.ts';

/** One read of the operating system takes at most 2 GiB. */
const READ_LIMIT = 2 ** 30;

/** Fills `bytes` with what stands at `position`; `file` is named when it ends before. */
export async function readFully(handle: FileHandle, bytes: Uint8Array, position: number, file: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, READ_LIMIT);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) throw new UserError(`${file}: became shorter while it was read`);
    done += bytesRead;
  }
}
