/** How every session is opened, on whichever device, and short names for its tensors. */
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { type Device, inDeviceQueue } from './device.ts';
import { deviceFailure } from './device-failure.ts';
import { guarded } from './native-guard.ts';

export interface SessionOptions {
  /** Default: the processor. */
  readonly device?: Device | undefined;
  /** On WebGPU: the outputs that stay there, as tensors that other sessions take for inputs. Default: none. */
  readonly resident?: readonly string[];
  /** Whether it keeps the memory that a run has needed for the next one. Default: no. */
  readonly keepsMemory?: boolean | undefined;
}

/**
 * Opens a model, given as bytes or as a file, for `threads` threads of the processor.
 *
 * Each session has threads of its own, which by default spin while they have nothing to do, also for a while after a
 * run. With several sessions used in turn, those of the last one take the cores from the next (measured: a quarter of
 * the speed on two idle cores), and a thread that spins for another that the system has put aside wastes both (half to a
 * fifth of the speed beside other work). Waiting without spinning costs nothing that could be measured.
 *
 * By default a session of the library would also keep an arena of all that its runs have ever needed at once, and a plan of it for
 * every shape of input that it has seen. Without both, what a run needs goes back when it ends. That is right for large models and
 * for sampling; a small model's training takes fresh pages for every micro-batch then, at a twentieth of its speed (docs/log.md).
 */
export async function createSession(
  model: Uint8Array | string,
  threads: number,
  { device = 'cpu', resident = [], keepsMemory = false }: SessionOptions = {},
): Promise<InferenceSession> {
  const turn = turnOn(device);
  const session = await turn(() =>
    // The library overloads what it does not distinguish.
    InferenceSession.create(model as string, {
      ...PROVIDERS[device],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      enableCpuMemArena: keepsMemory,
      enableMemPattern: keepsMemory,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
      // A session with locations given makes its own outputs; without, it writes into those that a run is handed.
      ...(resident.length > 0 && {
        preferredOutputLocation: Object.fromEntries(resident.map((name) => [name, 'gpu-buffer' as const])),
      }),
    }),
  );
  takeTurns(session, device);
  return session;
}

/** Native code of a device at a time that it can stand. */
const turnOn = (device: Device) => (device === 'cpu' ? guarded : onDevice);

/**
 * A function of its own: functions made in one share all that any of them uses, so that those that a session keeps would keep the
 * bytes that it was made from, a second copy of its weights.
 */
function takeTurns(session: InferenceSession, device: Device): void {
  const turn = turnOn(device);
  const run = session.run.bind(session) as (...args: unknown[]) => Promise<InferenceSession.ReturnType>;
  session.run = (...args: unknown[]) => turn(() => run(...args));
  const release = session.release.bind(session);
  session.release = () => turn(release);
}

/** Providers by preference: what WebGPU has no kernel for, the processor computes. Its errors are thrown; logged they need not be. */
const PROVIDERS: Readonly<Record<Device, InferenceSession.SessionOptions>> = {
  cpu: { executionProviders: ['cpu'], logSeverityLevel: 3 },
  webgpu: { executionProviders: ['webgpu', 'cpu'], logSeverityLevel: 4 },
};
// The same for what belongs to no session, such as the GPU's device.
env.logLevel = 'fatal';

/** Native code on the GPU: one call of the process at a time, and its failures in words. */
function onDevice<T>(call: () => Promise<T>): Promise<T> {
  return inDeviceQueue(() =>
    guarded(call).catch((error: unknown) => {
      throw deviceFailure(error) ?? error;
    }),
  );
}

/** A float32 tensor over `data` itself, nothing is copied. */
export function floats(data: Float32Array, dims: readonly number[]): Tensor {
  return new Tensor('float32', data, dims);
}

/**
 * A float16 tensor over 16-bit patterns. The library's constructor would turn them into a Float16Array where Node has one,
 * which its own native part does not know; what that part looks at is the type's name and the array.
 */
export function halves(patterns: Uint16Array, dims: readonly number[]): Tensor {
  return Object.assign(new Tensor('uint16', patterns, dims), { type: 'float16' });
}

/** An int64 tensor of whole numbers. */
export function integers(values: Float64Array, dims: readonly number[]): Tensor {
  const data = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i]!);
  return new Tensor('int64', data, dims);
}
