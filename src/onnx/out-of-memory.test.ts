import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { PagedCache } from '../engines/onnx/decoding/paged-cache.ts';
import { Graph } from './graph.ts';
import { outOfMemory } from './out-of-memory.ts';
import { createSession, integers } from './session.ts';
import { packError, unpackError } from './wire.ts';

/** What the process sees of an error that its thread has met. */
const acrossThreads = (error: unknown) => unpackError(structuredClone(packError(error)));

describe('memory that runs out', () => {
  it('in ONNX Runtime, is said', async () => {
    const graph = new Graph();
    graph.output('y', 'float32', ['n'], graph.op('ConstantOfShape', [graph.input('n', 'int64', [1])]));
    const session = await createSession(graph.build(), 1);
    const error = await session.run({ n: integers(Float64Array.of(2 ** 44), [1]) }).catch((reason: unknown) => reason);
    await session.release();
    expect(acrossThreads(error)).toBeInstanceOf(UserError);
    expect(acrossThreads(error)).toMatchObject({
      message: 'the engine ran out of memory: bad_alloc',
      hint: expect.stringContaining('rollout.concurrency'),
    });
  });

  it('in a typed array, is said', () => {
    let error: unknown;
    try {
      new ArrayBuffer(2 ** 50);
    } catch (reason) {
      error = reason;
    }
    expect(acrossThreads(error)).toMatchObject({ message: expect.stringContaining('the engine ran out of memory') });
  });

  it('in the memory of the key-value cache, is said', () => {
    const [heads, keyValueHeads, headSize] = [2, 1, 4];
    const shape = { heads, keyValueHeads, headSize, layers: 1, contextLength: 2 ** 27 };
    let error: unknown;
    try {
      // Who sees what would alone take 8 GB, more than such a memory can have.
      new PagedCache(shape, 256).extend({ pages: [], length: 0 }, 1);
    } catch (reason) {
      error = reason;
    }
    expect(acrossThreads(error)).toMatchObject({
      message: expect.stringMatching(/the engine ran out of memory: WebAssembly\.Memory\.grow\(\): \w+/),
    });
  });

  it('in the heap of a thread, is said', async () => {
    const script = 'const kept = []; for (;;) kept.push(new Array(10_000).fill({}));';
    const worker = new Worker(script, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } });
    const error = await new Promise<unknown>((resolve) => worker.once('error', resolve));
    expect(outOfMemory(error, 'engine')).toMatchObject({
      message: 'the engine ran out of memory: Worker terminated due to reaching memory limit',
    });
  });

  it('leaves other errors alone', () => {
    expect(outOfMemory(new Error('no luck'), 'engine')).toBeUndefined();
    expect(outOfMemory('text', 'engine')).toBeUndefined();
  });
});
