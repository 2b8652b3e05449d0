import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { NonFiniteError } from '../policy/policy.ts';
import { packError, unpackError } from './wire.ts';
import { WorkerClient } from './worker-client.ts';

/** Verbs of a thread that only talks. */
type Verbs = Record<'freeze' | 'restore', (...args: unknown[]) => Promise<unknown>>;

/** A thread that says it is ready, then does `onCall` with each call's `id` and `args`. */
function thread(onCall: string): WorkerClient<Verbs> {
  const script = `import { parentPort as port, workerData } from 'node:worker_threads';
    port.on('message', ({ kind, id, args }) => {
      if (kind === 'close') process.exit();
      if (kind === 'call') { ${onCall} }
    });
    port.postMessage({ id: 0, value: undefined });`;
  return new WorkerClient<Verbs>(new URL(`data:text/javascript,${encodeURIComponent(script)}`), { greeting: 'hello' });
}

describe('WorkerClient', () => {
  it('returns what the thread replies, calls answered in any order', async () => {
    const client = thread(
      'setTimeout(() => port.postMessage({ id, value: workerData.greeting + args[0] }), 20 * (2 - id))',
    );
    await client.ready();
    const replies = [client.call('restore', [' 1']), client.call('restore', [' 2'])];
    expect(await Promise.all(replies)).toEqual(['hello 1', 'hello 2']);
    await client.close();
    await client.close();
  });

  it('rejects all calls when the thread throws', async () => {
    const client = thread("if (args[0] === 'die') throw new Error('out of luck')");
    await client.ready();
    const calls = [client.call('restore', ['wait']), client.call('restore', ['die'])];
    for (const result of await Promise.allSettled(calls))
      expect(String((result as PromiseRejectedResult).reason)).toContain("the engine's thread failed: out of luck");
    await expect(client.call('freeze', [])).rejects.toThrow('out of luck');
    await client.close();
  });

  it('rejects all calls when the thread ends', async () => {
    const client = thread('process.exit(5)');
    await client.ready();
    await expect(client.call('freeze', [])).rejects.toThrow("the engine's thread ended unexpectedly (code 5)");
    await client.close();
  });

  it('reports a thread that cannot start', async () => {
    const client = new WorkerClient<Verbs>(new URL('data:text/javascript,import "./nothing.js"'), {});
    await expect(client.ready()).rejects.toThrow("the engine's thread failed");
    await client.close();
  });

  it('listens to the end of the process once for all threads, as long as there is one', async () => {
    const before = process.listenerCount('exit');
    const clients = Array.from({ length: 3 }, () => thread(''));
    expect(process.listenerCount('exit')).toBe(before + 1);
    await clients[0]!.close();
    await clients[1]!.close();
    expect(process.listenerCount('exit')).toBe(before + 1);
    await clients[2]!.close();
    expect(process.listenerCount('exit')).toBe(before);
  });

  it('rejects pending and later calls when closed', async () => {
    const client = thread('');
    await client.ready();
    const pending = expect(client.call('freeze', [])).rejects.toThrow('the engine is closed');
    await client.close();
    await pending;
    await expect(client.call('freeze', [])).rejects.toThrow('the engine is closed');
    client.post({ kind: 'release', session: 's' });
  });

  it('rejects aborted calls with their reason', async () => {
    const client = thread('');
    await client.ready();
    const controller = new AbortController();
    const call = client.call('freeze', [], controller.signal);
    controller.abort(new Error('no time'));
    await expect(call).rejects.toThrow('no time');
    await expect(client.call('freeze', [], controller.signal)).rejects.toThrow('no time');
    await client.close();
  });

  it('waits for the thread to stop where it is told to, and believes it when it had ended', async () => {
    const client = thread('setTimeout(() => port.postMessage({ id, ...args[0] }), 30)');
    await client.ready();
    const controller = new AbortController();
    const call = (reply: object) =>
      client.call('restore', [reply as never], controller.signal, { rejects: 'when stopped' });
    const [stopped, ended] = [
      call({ error: { message: 'This operation was aborted', kind: 'other' } }),
      call({ value: 'done' }),
    ];
    controller.abort(new Error('no time'));
    await expect(stopped).rejects.toThrow('no time');
    expect(await ended).toBe('done');
    await client.close();
  });

  it('passes progress on', async () => {
    const client = thread(`for (const done of [1, 2]) port.postMessage({ id, told: [done, 2] });
      port.postMessage({ id, value: 'done' })`);
    await client.ready();
    const seen: number[][] = [];
    const call = client.call('freeze', [], undefined, { onTold: (...now) => seen.push(now) });
    expect(await call).toBe('done');
    expect(seen).toEqual([
      [1, 2],
      [2, 2],
    ]);
    await client.close();
  });

  it('forgets a call whose arguments cannot be sent', async () => {
    const client = thread('port.postMessage({ id, value: 1 })');
    await client.ready();
    await expect(client.call('restore', [(() => {}) as unknown as string])).rejects.toThrow(/could not be cloned/);
    expect(await client.call('restore', ['x'])).toBe(1);
    await client.close();
  });
});

describe('errors across threads', () => {
  it('keep what they are', () => {
    const user = unpackError(structuredClone(packError(new UserError('bad file', { hint: 'mend it' }))));
    expect(user).toBeInstanceOf(UserError);
    expect(user).toMatchObject({ message: 'bad file', hint: 'mend it' });
    expect(unpackError(packError(new UserError('bad')))).toMatchObject({ hint: undefined });
    expect(unpackError(packError(new RangeError('far')))).toBeInstanceOf(RangeError);
    expect(unpackError(structuredClone(packError(new NonFiniteError('NaN'))))).toBeInstanceOf(NonFiniteError);
    const plain = new Error('plain');
    expect(unpackError(packError(plain))).toMatchObject({ message: 'plain', stack: plain.stack });
    expect(unpackError(packError('text')).message).toBe('text');
  });
});
