/** PyTorch and TRL as peers, in the environment that `npm run live:install -- trl` makes. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pythonOf } from '../../live/peer.ts';

/** What a Python file beside this one prints, one JSON document; undefined, with one line said, where there is no such environment. */
export function runPeer<Results extends { readonly version: string }>(
  script: string,
  spec: unknown,
): Results | undefined {
  const python = pythonOf('trl');
  if (python === undefined) return undefined;
  const file = fileURLToPath(new URL(script, import.meta.url));
  const run = spawnSync(python, [file], { input: JSON.stringify(spec), encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (run.status !== 0) throw new Error(`${python} ${script} failed:\n${run.stderr}`);
  // Libraries print before it what they like.
  return JSON.parse(run.stdout.trimEnd().split('\n').at(-1)!) as Results;
}

/** Of the scripts that time cases by name. */
export interface PeerTimes {
  readonly version: string;
  /** Of one large matrix product. */
  readonly gigaflops: number;
  readonly cases: readonly PeerCase[];
}

export interface PeerCase {
  readonly name: string;
  readonly seconds: number[];
  readonly processor: number[];
}

export function peerNote({ gigaflops }: PeerTimes): string {
  return `matrix products at ${Math.round(gigaflops)} GFLOP/s`;
}
