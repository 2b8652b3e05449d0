/** The manifest of a hybrid: which two retrievers are fused. Whatever `openRetriever` takes can be a leg. */
import path from 'node:path';
import { z } from 'zod';
import { readRecord, writeRecord } from './record.ts';

export const HYBRID_KIND = 'search-e1 hybrid index';

const manifestSchema = z.strictObject({
  kind: z.literal(HYBRID_KIND),
  schema: z.literal(1),
  /** URLs, or paths relative to the manifest's folder. */
  legs: z.tuple([z.string().min(1), z.string().min(1)]),
});

/** @throws UserError when the manifest is damaged or of another version */
export async function readLegs(folder: string): Promise<[string, string]> {
  const file = path.join(folder, 'manifest.json');
  const { legs } = await readRecord(
    file,
    manifestSchema,
    'Make the hybrid again: search-e1 index build --kind hybrid --legs DIR DIR --out DIR',
  );
  const [first, second] = legs.map((leg) => (isUrl(leg) ? leg : path.resolve(folder, leg)));
  return [first!, second!];
}

export async function writeLegs(folder: string, legs: readonly [string, string]): Promise<void> {
  const relative = legs.map((leg) => (isUrl(leg) ? leg : path.relative(folder, leg)));
  const manifest = { kind: HYBRID_KIND, schema: 1, legs: relative };
  await writeRecord(path.join(folder, 'manifest.json'), manifest);
}

/** A leg, or another retriever, that is a server. */
export function isUrl(spec: string): boolean {
  return /^https?:\/\//i.test(spec);
}
