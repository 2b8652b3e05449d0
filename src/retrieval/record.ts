/** Small files of an index directory, manifests and what an unfinished build has done: JSON that a schema describes. */
import type { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJson, writeFileAtomic } from '../base/files.ts';

/** @throws UserError when the file is missing, damaged, or of another version, with what to do then */
export async function readRecord<T>(file: string, schema: z.ZodType<T>, hint: string): Promise<T> {
  const parsed = schema.safeParse(await readJson(file));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new UserError(`${file}: damaged or of another version (${issue.path.join('.')}: ${issue.message})`, { hint });
}

export async function writeRecord(file: string, value: unknown): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(value)}\n`);
}
