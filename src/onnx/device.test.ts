import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const module = JSON.stringify(new URL('./device.ts', import.meta.url).href);

it('the process stays until a thread has given up the queue of the GPU, and then has its turn', () => {
  const thread = `
    import { parentPort } from 'node:worker_threads';
    const { inDeviceQueue } = await import(${module});
    await inDeviceQueue(async () => {
      parentPort.postMessage('taken');
      await new Promise((end) => setTimeout(end, 300));
      process._rawDebug('the thread had it');
    });`;
  // Nothing but the queue is waited for, as when a thread that is in the middle of a run is to be closed.
  const main = `
    import { Worker } from 'node:worker_threads';
    const { inDeviceQueue } = await import(${module});
    const worker = new Worker(new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(thread)}`)}), { execArgv: [] });
    await new Promise((resolve) => worker.once('message', resolve));
    worker.unref();
    await inDeviceQueue(async () => process._rawDebug('the process had it'));`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', main], { encoding: 'utf8' });
  expect(ended).toMatchObject({ status: 0, stderr: 'the thread had it\nthe process had it\n' });
});
