/** Where tests find real checkpoints, tokenizers and texts, which are not part of the repository. */
import { existsSync } from 'node:fs';
import path from 'node:path';

const ROOT = process.env.SEARCH_E1_SHARED ?? '../shared';

export function shared(...parts: string[]): string {
  return path.join(ROOT, ...parts);
}

/** For describe.skipIf: true, with a word on why, when a shared file is absent. */
export function lacks(...parts: string[]): boolean {
  if (existsSync(shared(...parts))) return false;
  console.warn(`skipped: ${shared(...parts)} is absent (SEARCH_E1_SHARED names the folder of shared data)`);
  return true;
}
