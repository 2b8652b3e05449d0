/**
 * Files that notice their own damage, and records of what other files hold.
 *
 * A sealed JSON file ends in the SHA-256 of its own text, taken with zeros in the hash's place: whatever byte changes, the file is no longer
 * the one that was written. It tells damage, not malice.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from './errors.ts';
import { fileError, hashFile, parseJsonLine, sha256, writeFileAtomic } from './files.ts';

const NOTHING = '0'.repeat(64);
const SEAL = /,\n {2}"sha256": "([0-9a-f]{64})"\n}\n$/;

/** The text of a sealed file. `record` must not be empty. */
export function sealed(record: object): string {
  const text = `${JSON.stringify({ ...record, sha256: NOTHING }, null, 2)}\n`;
  return text.replace(SEAL, (end) => end.replace(NOTHING, sha256(text)));
}

/** Writes a sealed file, whole or not at all. */
export function writeSealed(file: string, record: object): Promise<void> {
  return writeFileAtomic(file, sealed(record));
}

/**
 * Reads a sealed file: its record without the seal. A file that was never sealed is taken as it is.
 * @throws UserError when it is not the file that was written
 */
export async function readSealed(file: string): Promise<{ readonly value: unknown; readonly isSealed: boolean }> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw fileError(error, file, 'read');
  });
  const [end, seal] = SEAL.exec(text) ?? [];
  if (end !== undefined && seal !== undefined) {
    const open = text.slice(0, -end.length) + end.replace(seal, NOTHING);
    if (sha256(open) !== seal) throw damaged(file);
    const { sha256: _, ...value } = JSON.parse(text) as Record<string, unknown>;
    return { value, isSealed: true };
  }
  // Something of a seal without being one: it is in the seal that a byte has changed.
  if (/"sha256"|[0-9a-f]{64}"\s*}\s*$/.test(text.slice(-200))) throw damaged(file);
  return { value: parseJsonLine(text, file), isSealed: false };
}

/** SHA-256 by file. */
export type Hashes = Readonly<Record<string, string>>;

/** The hashes of all files in a folder and those below it, by their paths from it with slashes, in order. */
export async function hashFolder(folder: string): Promise<Hashes> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch((error: unknown) => {
    throw fileError(error, folder, 'read');
  });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'));
  const hashes: [string, string][] = [];
  for (const name of names.sort()) hashes.push([name, await hashFile(path.join(folder, name))]);
  return Object.fromEntries(hashes);
}

/** @throws UserError naming the first file that is missing or not the one whose hash is given; what else the folder has is not looked at */
export async function verifyFiles(folder: string, hashes: Hashes): Promise<void> {
  for (const [name, hash] of Object.entries(hashes)) {
    const file = path.join(folder, name);
    if ((await hashFile(file)) !== hash) throw damaged(file);
  }
}

export function damaged(file: string): UserError {
  return new UserError(`${file}: is not the file that was written: its content has changed since`, {
    hint: 'Bring it back from a copy, if there is one. Nothing was changed or deleted.',
  });
}
