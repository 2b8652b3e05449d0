/** PyTorch as a peer, where it is installed: Debian's, and any newer one that `python3` finds. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Runs one of the Python files beside this one with every PyTorch found; what it prints is JSON with a version. */
export function runTorch(
  script: string,
  spec: unknown,
): { readonly version: string; readonly results: Record<string, unknown> }[] {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const found = new Map<string, Record<string, unknown>>();
  for (const python of ['python3', '/usr/bin/python3']) {
    if (spawnSync(python, ['-c', 'import torch']).status !== 0) continue;
    const run = spawnSync(python, [file], { input: JSON.stringify(spec), encoding: 'utf8', maxBuffer: 2 ** 26 });
    if (run.status !== 0) throw new Error(`${python} ${script} failed:\n${run.stderr}`);
    const results = JSON.parse(run.stdout) as Record<string, unknown>;
    found.set(String(results.version), results);
  }
  return [...found].map(([version, results]) => ({ version, results }));
}
