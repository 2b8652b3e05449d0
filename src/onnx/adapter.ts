/**
 * Which GPU WebGPU computes on. The library does not say; its provider and the system's loader do, in what they log. So a process of
 * its own asks (adapter-question.ts): what drivers print while they are opened, and what they break, stays there.
 */
import { spawn } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { deviceFailure, gpuError } from './device-failure.ts';

export const adapterSchema = z.strictObject({
  /** As its driver calls it; on Apple's own chips that of the chip. */
  name: z.string(),
  /** The driver's library, on Linux; null where the loader does not tell. */
  driver: z.string().nullable(),
  /** Computes on the processor, and is for tests. */
  software: z.boolean(),
  /** Whether it computes with 16-bit floats. */
  float16: z.boolean(),
});
/** What stands in records. */
export type Adapter = z.infer<typeof adapterSchema>;

export interface AdapterAnswer extends Adapter {
  /** The largest of the sizes asked about, in bytes, that a tensor may have; 0: none. */
  readonly holds: number;
}

const replySchema = z.union([
  z.strictObject({ float16: z.boolean(), holds: z.number() }),
  z.strictObject({ error: z.string() }),
]);

/** A driver that takes longer than this to open hangs. */
const PATIENCE_MS = 120_000;

/**
 * @param sizes of tensors in bytes, rising, to be tried one after another
 * @throws UserError when there is no GPU, or its driver fails
 */
export async function askAdapter(sizes: readonly number[]): Promise<AdapterAnswer> {
  // Beside this file lies the question's source, or, when built, its JavaScript.
  const script = import.meta.url.endsWith('.ts') ? './adapter-question.ts' : './adapter-question.js';
  const { out, log } = await runAlone(new URL(script, import.meta.url), sizes.map(String));
  const reply = replySchema.safeParse(lastJson(out));
  if (!reply.success)
    throw gpuError("the GPU's driver failed while it was asked what it can do", {
      hint: 'Use --device cpu, or bring the driver up to date.',
    });
  if ('error' in reply.data)
    throw (
      deviceFailure(new Error(reply.data.error)) ??
      gpuError(`the GPU cannot be used: ${reply.data.error.split('\n')[0]}`, { hint: 'Use --device cpu.' })
    );
  return { ...named(log), ...reply.data };
}

/** Name and driver, from what loader and library log. */
export function named(log: string, chip = os.cpus()[0]?.model ?? 'unknown'): Omit<Adapter, 'float16'> {
  const [, loaded, library] = [...log.matchAll(/Using "(.+)" with driver: "(.+)"/g)].at(-1) ?? [];
  const found = [...log.matchAll(/OrtHardwareDevice \{[^}]*vendor:([^,}]*), type:1, metadata: \[([^\]]*)\]/g)].at(-1);
  const described = found && (/Description=([^,;]+)/.exec(found[2]!)?.[1] ?? (found[1] === 'Apple' ? chip : found[1]));
  const name = (loaded ?? described ?? (process.platform === 'darwin' ? chip : 'unknown')).trim();
  return {
    name,
    driver: library === undefined ? null : path.basename(library),
    software: /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i.test(name),
  };
}

function runAlone(script: URL, args: readonly string[]): Promise<{ out: string; log: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(script), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, VK_LOADER_DEBUG: 'driver' },
      timeout: PATIENCE_MS,
    });
    let [out, log] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    child.on('error', reject);
    child.on('close', () => resolve({ out, log }));
  });
}

function lastJson(out: string): unknown {
  try {
    return JSON.parse(out.trim().split('\n').at(-1)!);
  } catch {
    return undefined;
  }
}
