/**
 * One task shared out among threads. Each takes the next micro-batch that nobody has, so none has to be told what the others
 * do; gradients are added in the order of the micro-batches, so no bit of the sum tells who computed what, or how many
 * there were.
 */
import type { Outputs, Task } from './model-runner.ts';
import type { Computed, WholeGraph } from './whole-graph.ts';

/** Layout of the shared memory: the next micro-batch to be taken, and the one whose turn it is to be added. */
const NEXT = 0;
const TURN = 1;
/** Nobody's turn any more. */
const STOPPED = -1;

export class OrderedReduction {
  /** Shared by the threads of one task. */
  readonly memory: Int32Array<SharedArrayBuffer>;
  readonly #count: number;

  /** @param count of micro-batches */
  constructor(count: number, memory = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))) {
    this.#count = count;
    this.memory = memory;
  }

  /** A micro-batch that nobody has; undefined when there is none left, or everything has stopped. */
  take(): number | undefined {
    if (Atomics.load(this.memory, TURN) === STOPPED) return undefined;
    const index = Atomics.add(this.memory, NEXT, 1);
    return index < this.#count ? index : undefined;
  }

  /** Whether it is the micro-batch's turn. */
  isOn(index: number): boolean {
    return Atomics.load(this.memory, TURN) === index;
  }

  /**
   * Waits for the micro-batch's turn; false when there will be none. Those before it are all in the shards of threads that
   * compute, and whoever sees one of these fail calls `stop`.
   */
  async reach(index: number): Promise<boolean> {
    for (;;) {
      const turn = Atomics.load(this.memory, TURN);
      if (turn === index || turn === STOPPED) return turn === index;
      await Atomics.waitAsync(this.memory, TURN, turn).value;
    }
  }

  /** The turn goes to the next micro-batch, unless everything has stopped meanwhile. */
  pass(index: number): void {
    Atomics.compareExchange(this.memory, TURN, index, index + 1);
    Atomics.notify(this.memory, TURN);
  }

  stop(): void {
    Atomics.store(this.memory, TURN, STOPPED);
    Atomics.notify(this.memory, TURN);
  }
}

/** A micro-batch's place in the task and what it gave. */
export type Done = readonly [index: number, outputs: Outputs];

/** Micro-batches of a thread that wait for their turn while it computes the next: one, for a gradient array each. */
const WAITING = 1;

/**
 * One thread's share of a task. Nothing is checked or added before its turn: the error that is thrown is that of the first
 * faulty micro-batch, whoever meets it. `onProgress` gets how many of all micro-batches are done.
 */
export async function computeShare(
  graph: WholeGraph,
  task: Task,
  reduction: OrderedReduction,
  onProgress?: (done: number) => void,
): Promise<Done[]> {
  const done: Done[] = [];
  const waiting: { readonly index: number; readonly result: PromiseSettledResult<Computed> }[] = [];
  /** Brings the first one that waits forward. */
  const finish = async () => {
    const { index, result } = waiting.shift()!;
    if (!(await reduction.reach(index))) return;
    try {
      if (result.status === 'rejected') throw result.reason;
      result.value.add();
      done.push([index, result.value.outputs]);
      reduction.pass(index);
      onProgress?.(index + 1);
    } catch (error) {
      reduction.stop();
      throw error;
    }
  };
  for (let index = reduction.take(); index !== undefined; index = reduction.take()) {
    const [result] = await Promise.allSettled([graph.compute(task, task.jobs[index]!)]);
    waiting.push({ index, result });
    while (waiting.length > WAITING || (waiting[0] && reduction.isOn(waiting[0].index))) await finish();
  }
  while (waiting.length > 0) await finish();
  return done;
}
