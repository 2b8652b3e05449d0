/**
 * A warm-up's saved progress: the newest saved policy and where the stream of examples stood, in a folder beside the result.
 *
 *   <folder>/initial/      the initial model (a Hugging Face directory)
 *   <folder>/step-000250/  what the policy saved
 *   <folder>/state.json    names the step folder; written last, so a broken save is never taken up
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../base/errors.ts';
import { readJson, writeFileAtomic } from '../base/files.ts';
import type { Policy } from '../policy/policy.ts';

const natural = z.int().min(0);
const stateSchema = z.strictObject({
  schema: z.literal(1),
  /** Hash of recipe and source: progress of another warm-up is refused. */
  identity: z.string(),
  /** Steps done, and the tokens in them. */
  step: natural,
  tokens: natural,
  /** Seconds of training so far, over all processes that worked on it. */
  seconds: z.number().min(0),
  position: z.strictObject({ chunk: natural, batch: natural }),
  losses: z.array(z.strictObject({ phase: natural, step: natural, loss: z.number().nullable() })),
  /** Losses since the last entry. */
  recent: z.strictObject({ sum: z.number(), count: natural }),
});

export type WarmUpState = Omit<z.infer<typeof stateSchema>, 'schema'>;

const folderOf = (folder: string, step: number) => path.join(folder, `step-${String(step).padStart(6, '0')}`);

/** Saves the policy and the state, then removes what they replace. */
export async function saveProgress(folder: string, state: WarmUpState, policy: Policy): Promise<void> {
  await policy.save(folderOf(folder, state.step));
  await writeFileAtomic(path.join(folder, 'state.json'), JSON.stringify({ schema: 1, ...state }));
  for (const name of await readdir(folder))
    if (name.startsWith('step-') && name !== path.basename(folderOf(folder, state.step))) {
      await policy.discard(path.join(folder, name));
      await rm(path.join(folder, name), { recursive: true, force: true });
    }
}

/** The saved state of the same warm-up; undefined when there is none. UserError when it belongs to another one. */
export async function readProgress(folder: string, identity: string): Promise<WarmUpState | undefined> {
  const file = path.join(folder, 'state.json');
  let json: unknown;
  try {
    json = await readJson(file);
  } catch (error) {
    if (error instanceof UserError && hasCode(error.cause, 'ENOENT')) return undefined;
    throw error;
  }
  const parsed = stateSchema.safeParse(json);
  const remove = `Remove ${folder} to start afresh, or choose another output folder.`;
  if (!parsed.success) throw new UserError(`${file}: ${z.prettifyError(parsed.error)}`, { hint: remove });
  const { schema: _, ...state } = parsed.data;
  if (state.identity !== identity)
    throw new UserError(`${file}: progress of a warm-up with other settings or other data`, { hint: remove });
  return state;
}

/** The folder of a saved state, for `policy.restore`. */
export function savedPolicy(folder: string, state: WarmUpState): string {
  return folderOf(folder, state.step);
}
