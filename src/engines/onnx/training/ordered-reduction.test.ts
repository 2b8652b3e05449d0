import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { OrderedReduction } from './ordered-reduction.ts';

describe('OrderedReduction', () => {
  it('gives every micro-batch to one thread', () => {
    const reduction = new OrderedReduction(3);
    const other = new OrderedReduction(3, reduction.memory);
    expect([reduction.take(), other.take(), reduction.take(), other.take(), reduction.take()]).toEqual([
      0,
      1,
      2,
      undefined,
      undefined,
    ]);
  });

  it('lets them through in order, whoever comes first', async () => {
    const reduction = new OrderedReduction(4);
    const order: number[] = [];
    const come = async (index: number) => {
      expect(await reduction.reach(index)).toBe(true);
      expect(reduction.isOn(index)).toBe(true);
      order.push(index);
      reduction.pass(index);
    };
    await Promise.all([3, 1, 2, 0].map(come));
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it('is stopped for good: those that wait, those that come later, and the one whose turn it was', async () => {
    const reduction = new OrderedReduction(5);
    expect([reduction.take(), reduction.take()]).toEqual([0, 1]);
    const waiting = reduction.reach(1);
    reduction.stop();
    reduction.pass(0);
    expect(await waiting).toBe(false);
    expect(await reduction.reach(1)).toBe(false);
    expect(reduction.take()).toBeUndefined();
  });

  it('wakes another thread', async () => {
    const reduction = new OrderedReduction(2);
    const module = JSON.stringify(new URL('./ordered-reduction.ts', import.meta.url).href);
    const script = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { OrderedReduction } = await import(${module});
      const reduction = new OrderedReduction(2, workerData);
      parentPort.once('message', () => {});
      parentPort.postMessage('waiting');
      parentPort.postMessage(await reduction.reach(1));`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
      workerData: reduction.memory,
      execArgv: [],
    });
    const message = () => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    expect(await message()).toBe('waiting');
    const reached = message();
    await new Promise((resolve) => setTimeout(resolve, 20));
    reduction.pass(0);
    expect(await reached).toBe(true);
    await worker.terminate();
  });
});
