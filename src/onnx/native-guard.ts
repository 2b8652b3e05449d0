/**
 * Keeps the end of the process and the library's native code apart.
 *
 * When a process ends, Node stops its worker threads; a thread that is inside ONNX Runtime at that moment cannot return
 * to JavaScript, and the binding then aborts the process (exit code 134 and a core dump instead of the code asked for).
 * So the thread counts its calls in shared memory, and the process, before it ends, forbids new ones and waits for the
 * running one: a fraction of a second.
 */
import { isMainThread } from 'node:worker_threads';

/** Layout of the shared memory. */
const RUNNING = 0;
const FORBIDDEN = 1;
/** Longest that the end of the process is held up. */
const PATIENCE_MS = 10_000;

/** In the thread: its memory. Alone until `useGuard`. */
let guard = sharedGuard();
/** In the thread: how many of the running calls are its own. */
let own = 0;

export function sharedGuard(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
}

/**
 * In the thread, before its first call and before it starts threads of its own: count in the memory shared with the process.
 * When the thread ends by itself, its calls still counted have not begun and never will: without taking them back, whoever
 * waits (the thread itself, for its own threads) would wait in vain.
 */
export function useGuard(shared: Int32Array): void {
  guard = shared;
  if (!isMainThread) process.on('exit', () => count(-own));
}

function count(calls: number): void {
  own += calls;
  Atomics.add(guard, RUNNING, calls);
  Atomics.notify(guard, RUNNING);
}

/** In the thread: runs native code, counted. Once calls are forbidden it never settles, the thread being about to end. */
export async function guarded<T>(call: () => Promise<T>): Promise<T> {
  // Counted first, looked second: the process forbids first and looks at the count second.
  count(1);
  const forbidden = Atomics.load(guard, FORBIDDEN) === 1;
  try {
    if (!forbidden) return await call();
  } finally {
    count(-1);
  }
  return new Promise<never>(() => {});
}

/** In the process: an entry for each running thread; threads may share a memory. */
const threads = new Set<{ readonly shared: Int32Array }>();

/**
 * In the process, for each thread that it starts: its end waits for the thread's native code. One listener serves all threads,
 * since Node warns of more than ten.
 * @returns what ends this, when the thread has ended
 */
export function waitAtExit(shared: Int32Array): () => void {
  const thread = { shared };
  if (threads.size === 0) process.on('exit', waitForThreads);
  threads.add(thread);
  return () => {
    threads.delete(thread);
    if (threads.size === 0) process.off('exit', waitForThreads);
  };
}

function waitForThreads(): void {
  for (const { shared } of threads) waitForNativeCode(shared);
}

/** Blocks until no native code runs in the thread; from now on, none does. */
export function waitForNativeCode(shared: Int32Array): void {
  Atomics.store(shared, FORBIDDEN, 1);
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const running = Atomics.load(shared, RUNNING);
    const patience = deadline - performance.now();
    if (running === 0 || patience <= 0) return;
    Atomics.wait(shared, RUNNING, running, patience);
  }
}
