import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { guarded, sharedGuard, useGuard, waitForNativeCode } from './native-guard.ts';

describe('native-guard', () => {
  afterEach(() => useGuard(sharedGuard()));

  it('passes results and errors through', async () => {
    expect(await guarded(async () => 5)).toBe(5);
    await expect(guarded(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('lets no call begin once they are forbidden', async () => {
    const guard = sharedGuard();
    useGuard(guard);
    waitForNativeCode(guard);
    let began = false;
    const call = guarded(async () => {
      began = true;
    });
    expect(await Promise.race([call, new Promise((resolve) => setTimeout(resolve, 20, 'still waiting'))])).toBe(
      'still waiting',
    );
    expect(began).toBe(false);
  });

  it('blocks until the calls of another thread have ended', async () => {
    const guard = sharedGuard();
    const module = JSON.stringify(new URL('./native-guard.ts', import.meta.url).href);
    const script = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { guarded, useGuard } = await import(${module});
      useGuard(workerData.guard);
      const call = (ms) => guarded(() => new Promise((end) => setTimeout(end, ms)));
      const calls = [call(10), call(60)];
      parentPort.postMessage('begun');
      await Promise.all(calls);
      Atomics.store(workerData.ended, 0, 1);
      setInterval(() => {}, 1000);`;
    const ended = new Int32Array(new SharedArrayBuffer(4));
    const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
    const worker = new Worker(url, { workerData: { guard, ended }, execArgv: [] });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    waitForNativeCode(guard);
    expect(Atomics.load(guard, 0)).toBe(0);
    // The count is given back just before the caller goes on.
    while (Atomics.load(ended, 0) === 0) await new Promise(setImmediate);
    await worker.terminate();
  });

  it('does not count what a thread that ended by itself will never run', async () => {
    const guard = sharedGuard();
    const module = JSON.stringify(new URL('./native-guard.ts', import.meta.url).href);
    const script = `
      import { workerData } from 'node:worker_threads';
      const { guarded, useGuard } = await import(${module});
      useGuard(workerData.guard);
      guarded(() => new Promise(() => {}));
      process.exit();`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
    const worker = new Worker(url, { workerData: { guard }, execArgv: [] });
    await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
    expect(Atomics.load(guard, 0)).toBe(0);
  });
});
