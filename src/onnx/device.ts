/**
 * What ONNX Runtime computes on: the processor, or a GPU by its WebGPU provider (D3D12 on Windows, Metal on macOS, Vulkan on Linux).
 *
 * All WebGPU sessions of a process share one GPU device, whose commands must not be recorded by two threads at once
 * ("CommandEncoder is already finished"): whatever they do waits in one queue.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

export const DEVICES = ['cpu', 'webgpu'] as const;
export type Device = (typeof DEVICES)[number];

/** What is asked for; `auto` is the processor until measurements on real GPUs say otherwise. */
export const DEVICE_CHOICES = ['auto', ...DEVICES] as const;
export type DeviceChoice = (typeof DEVICE_CHOICES)[number];

export function deviceOf(choice: DeviceChoice): Device {
  return choice === 'auto' ? 'cpu' : choice;
}

const FREE = 0;
const TAKEN = 1;
/** The name under which threads find the queue: threads inherit environment data, shared memory stays shared. */
const KEY = 'search-e1 webgpu queue';
const queue = sharedQueue();

function sharedQueue(): Int32Array {
  const known = getEnvironmentData(KEY) as Int32Array | undefined;
  const shared = known ?? new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  if (isMainThread) setEnvironmentData(KEY, shared as never);
  return shared;
}

/** Runs `work` while no other thread of the process, nor anything else of this one, does anything on the GPU. */
export async function inDeviceQueue<T>(work: () => Promise<T>): Promise<T> {
  while (Atomics.compareExchange(queue, 0, FREE, TAKEN) === TAKEN) await untilChanged();
  try {
    return await work();
  } finally {
    Atomics.store(queue, 0, FREE);
    Atomics.notify(queue, 0, 1);
  }
}

async function untilChanged(): Promise<void> {
  // Such a wait does not keep the process alive: one that waited for its thread's last run to close it would end here, nothing said.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    await Atomics.waitAsync(queue, 0, TAKEN).value;
  } finally {
    clearInterval(alive);
  }
}
