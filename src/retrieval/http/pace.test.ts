import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { Pace } from './pace.ts';

const never = new AbortController().signal;
const limits = { making: 100, unsent: 1000, partSeconds: 10 };

describe('turns', () => {
  test('so many bytes at a time, in the order of the calls', async () => {
    const pace = new Pace(limits);
    const begun: number[] = [];
    let [making, most] = [0, 0];
    const make = async (i: number) => {
      begun.push(i);
      most = Math.max(most, ++making);
      await wait(1);
      making -= 1;
      return i * 10;
    };
    const calls = Array.from({ length: 20 }, (_, i) => pace.turn(() => make(i), 50, never));
    expect(await Promise.all(calls)).toEqual(begun.map((i) => i * 10));
    expect(begun).toEqual([...begun.keys()]);
    expect(most).toBe(2);
  });

  test('one that fails, or is called off while it waits or works, leaves its place', async () => {
    const pace = new Pace({ ...limits, making: 0 });
    await expect(pace.turn(() => Promise.reject(new Error('broken')), 1, never)).rejects.toThrow('broken');
    const [working, waiting] = [new AbortController(), new AbortController()];
    // Work that does not listen to its signal.
    const first = pace.turn(() => new Promise(() => {}), 1, working.signal);
    const second = pace.turn(() => Promise.reject(new Error('was begun')), 1, waiting.signal);
    const third = pace.turn(async () => 'third', 1, never);
    waiting.abort(new Error('waited enough'));
    await expect(second).rejects.toThrow('waited enough');
    working.abort(new Error('worked enough'));
    await expect(first).rejects.toThrow('worked enough');
    expect(await third).toBe('third');
    await expect(pace.turn(async () => 1, 1, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    expect(await pace.turn(async () => 2, 1, never)).toBe(2);
  });
});

test('what is larger than all that may be made is made alone', async () => {
  const pace = new Pace(limits);
  const order: string[] = [];
  const make = (name: string) => async () => {
    order.push(`${name} begins`);
    await wait(1);
    order.push(`${name} ends`);
  };
  await Promise.all([
    pace.turn(make('small'), 10, never),
    pace.turn(make('huge'), 1e9, never),
    pace.turn(make('last'), 10, never),
  ]);
  expect(order).toEqual(['small begins', 'small ends', 'huge begins', 'huge ends', 'last begins', 'last ends']);
});

describe('sending', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
  });

  /** A client that reads nothing, and the response it is sent. */
  async function slowClient() {
    const response = Promise.withResolvers<ServerResponse>();
    const server = createServer((_, given) => response.resolve(given));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => {}).pause();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    open.push({ close: () => [socket.destroy(), server.close(), server.closeAllConnections()] });
    return { response: await response.promise, socket };
  }
  /** More than the system takes over for a client that does not read. */
  const large = Buffer.alloc(64 << 20);

  test('no part is made while too much waits to be taken; a client that is too slow is cut off', async () => {
    const pace = new Pace({ ...limits, partSeconds: 0.3 });
    const { response } = await slowClient();
    let made = false;
    const sent = pace.send(response, large, false);
    const next = pace.turn(
      async () => {
        made = true;
      },
      1,
      never,
    );
    await wait(50);
    expect(made).toBe(false);
    await expect(sent).rejects.toThrow('the client left');
    await next;
    expect([made, response.destroyed]).toEqual([true, true]);
  });

  test('what a client takes in time goes on, and one that leaves is noticed', async () => {
    const pace = new Pace(limits);
    const { response, socket } = await slowClient();
    let bytes = 0;
    socket.on('data', (part) => {
      bytes += part.length;
    });
    socket.resume();
    await pace.send(response, large, false);
    socket.pause();
    const gone = pace.send(response, large, true);
    socket.destroy();
    await expect(gone).rejects.toThrow('the client left');
    expect(bytes).toBeGreaterThan(32 << 20);
    await expect(pace.send(response, Buffer.from('x'), true)).rejects.toThrow('the client left');
  });
});
