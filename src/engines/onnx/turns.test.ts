import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('gives every micro-batch to one thread', () => {
    const turns = new Turns(3);
    const other = new Turns(3, turns.memory);
    expect([turns.take(), other.take(), turns.take(), other.take(), turns.take()]).toEqual([
      0,
      1,
      2,
      undefined,
      undefined,
    ]);
  });

  it('lets them through in order, whoever comes first', async () => {
    const turns = new Turns(4);
    const order: number[] = [];
    const come = async (index: number) => {
      expect(await turns.reach(index)).toBe(true);
      expect(turns.isOn(index)).toBe(true);
      order.push(index);
      turns.pass(index);
    };
    await Promise.all([3, 1, 2, 0].map(come));
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it('is stopped for good: those that wait, those that come later, and the one whose turn it was', async () => {
    const turns = new Turns(5);
    expect([turns.take(), turns.take()]).toEqual([0, 1]);
    const waiting = turns.reach(1);
    turns.stop();
    turns.pass(0);
    expect(await waiting).toBe(false);
    expect(await turns.reach(1)).toBe(false);
    expect(turns.take()).toBeUndefined();
  });

  it('wakes another thread', async () => {
    const turns = new Turns(2);
    const module = JSON.stringify(new URL('./turns.ts', import.meta.url).href);
    const script = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { Turns } = await import(${module});
      const turns = new Turns(2, workerData);
      parentPort.once('message', () => {});
      parentPort.postMessage('waiting');
      parentPort.postMessage(await turns.reach(1));`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
      workerData: turns.memory,
      execArgv: [],
    });
    const message = () => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    expect(await message()).toBe('waiting');
    const reached = message();
    await new Promise((resolve) => setTimeout(resolve, 20));
    turns.pass(0);
    expect(await reached).toBe(true);
    await worker.terminate();
  });
});
