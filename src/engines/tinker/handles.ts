/** A checkpoint whose weights stay on the server: its folder holds engine.json, which says where they are. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../../base/errors.ts';
import { readJson, writeFileAtomic } from '../../base/files.ts';

export const HANDLE_FILE = 'engine.json';

const handleSchema = z.strictObject({
  schema: z.literal(1),
  engine: z.literal('tinker'),
  profile: z.string(),
  /** Of the server, without user, password and query. */
  url: z.string(),
  /** The server's own name for the weights; opaque. */
  path: z.string().min(1),
  baseModel: z.string(),
  /** null: all weights were trained. */
  loraRank: z.int().min(1).nullable(),
  /** True when nothing had been trained since the server was started with these weights. */
  initial: z.boolean(),
  /** The folder of checkpoints that this one was made for: only for it the server's copy is ever deleted. */
  madeBy: z.string(),
  createdAt: z.iso.datetime(),
  /** When the server will drop the weights; null where it has named no time. */
  expiresAt: z.iso.datetime().nullable(),
});

const ours = z.looseObject({ engine: z.literal('tinker') });

export type Handle = z.infer<typeof handleSchema>;

/** Who a checkpoint in this folder belongs to. */
export function ownerOf(folder: string): string {
  return path.dirname(path.resolve(folder));
}

export async function writeHandle(folder: string, handle: Handle): Promise<void> {
  await writeFileAtomic(path.join(folder, HANDLE_FILE), `${JSON.stringify(handle, null, 2)}\n`);
}

/** Undefined when the folder holds none: the embedded engine keeps a file of the same name. @throws UserError for a damaged file */
export async function findHandle(folder: string): Promise<Handle | undefined> {
  const file = path.join(folder, HANDLE_FILE);
  let value: unknown;
  try {
    value = await readJson(file);
  } catch (error) {
    if (error instanceof Error && hasCode(error.cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
  if (!ours.safeParse(value).success) return undefined;
  const parsed = handleSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path: field, message } = parsed.error.issues[0]!;
  throw new UserError(`${file}: ${field.join('.')}: ${message}`, {
    hint: 'The file is written by this program; it was damaged, or made by another version.',
  });
}

/**
 * The handle in a folder, for this model. The server's address may have changed, as that of a tunnel does.
 * @throws UserError when there is none, or it belongs to another model
 */
export async function readHandle(folder: string, engine: Pick<Handle, 'baseModel' | 'loraRank'>): Promise<Handle> {
  const handle = await findHandle(folder);
  if (handle === undefined)
    throw new UserError(`${folder}: holds no ${HANDLE_FILE}, so its weights are not on a training server`, {
      hint: 'It was made by another engine: continue it with that one (engine.kind).',
    });
  for (const [field, setting] of [
    ['baseModel', 'engine.baseModel'],
    ['loraRank', 'engine.loraRank'],
  ] as const)
    if (handle[field] !== engine[field])
      throw new UserError(
        `${folder}: its weights were made with ${setting} ${handle[field]}, now it is ${engine[field]}`,
        { hint: `Set ${setting} as it was.` },
      );
  if (handle.expiresAt !== null && Date.parse(handle.expiresAt) < Date.now())
    throw new UserError(`${folder}: the server has dropped these weights, they expired at ${handle.expiresAt}`, {
      hint: 'Continue from an older checkpoint, or begin again.',
    });
  return handle;
}

/** True when other folders share the file by hard links, as those of a forked run do. */
export async function isShared(folder: string): Promise<boolean> {
  return (await stat(path.join(folder, HANDLE_FILE))).nlink > 1;
}
