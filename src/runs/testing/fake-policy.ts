/** A policy for tests of persistence: its whole state is a text, which it saves into a few files. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Policy } from '../../policy/policy.ts';

/** Only `save`, `restore` and `discard` work; anything else throws. */
export function fakePolicy(initial: string): Policy & { weights: string } {
  const parts = ['model.safetensors', 'optimizer.safetensors', 'adapter.json'];
  const policy = {
    weights: initial,
    async discard(_folder: string) {},
    async save(folder: string) {
      for (const part of parts) await writeFile(path.join(folder, part), policy.weights);
    },
    async restore(folder: string, _options: Parameters<Policy['restore']>[1]) {
      const found = await Promise.all(parts.map((part) => readFile(path.join(folder, part), 'utf8')));
      if (new Set(found).size !== 1) throw new Error(`a torn checkpoint: ${found.join(' / ')}`);
      policy.weights = found[0]!;
    },
  };
  return new Proxy(policy as Policy & { weights: string }, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name);
      throw new Error(`the fake policy cannot ${String(name)}`);
    },
  });
}
