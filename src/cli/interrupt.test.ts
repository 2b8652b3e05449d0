import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import { Interrupted, interruptible } from './interrupt.ts';

const wayOn = 'Give the same command again.';
const failing = (error: unknown) => interruptible(wayOn, () => Promise.reject(error));
const full = () => fileError(Object.assign(new Error('no space left'), { code: 'ENOSPC' }), 'runs/x', 'write');

describe('work that a signal stops', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends by %s with code %i and says how it goes on', async (name, exitCode) => {
    const stopped = interruptible(wayOn, async (signal) => {
      process.emit(name, name);
      signal.throwIfAborted();
    });
    await expect(stopped).rejects.toBeInstanceOf(Interrupted);
    await expect(stopped).rejects.toMatchObject({ exitCode, hint: wayOn });
  });

  it('passes on an error that the stop did not cause, and leaves no listener behind', async () => {
    const before = process.listenerCount('SIGINT');
    const stopped = interruptible(wayOn, async () => {
      process.emit('SIGINT', 'SIGINT');
      throw new TypeError('a defect');
    });
    await expect(stopped).rejects.toThrow('a defect');
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});

describe('work that can go on once something is mended', () => {
  it("says what to mend, and then the command's own way on", async () => {
    await expect(failing(full())).rejects.toMatchObject({
      message: 'runs/x: the disk is full',
      hint: 'Free some space.\nGive the same command again.',
    });
    await expect(failing(new UserError('gone', { continues: true }))).rejects.toMatchObject({ hint: wayOn });
    // A command that cannot go on promises nothing.
    expect(full()).toMatchObject({ hint: 'Free some space.' });
  });

  it('is not promised for what no repetition mends', async () => {
    await expect(failing(new UserError('wrong', { hint: 'Correct it.' }))).rejects.toMatchObject({
      hint: 'Correct it.',
    });
    await expect(failing(new TypeError('a defect'))).rejects.toThrow('a defect');
  });
});
