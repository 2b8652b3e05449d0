/**
 * A warm-up's saved progress: the newest saved policy and where the stream of examples stood, in a folder beside the result.
 *
 *   <folder>/initial/      the initial model (a Hugging Face directory)
 *   <folder>/step-000250/  what the policy saved last, and what did best on held-out examples, where there are any
 *   <folder>/state.json    names the step folder; written last, so a broken save is never taken up
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../base/errors.ts';
import { hashFolder, readSealed, verifyFiles, writeSealed } from '../base/sealed.ts';
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
  /** Mean −log p of held-out examples after so many steps, in nats a token; the least of them is the best. */
  heldOut: z.array(z.strictObject({ step: natural, loss: z.number() })).exactOptional(),
  /** Of what the policy saved. Absent in progress of 0.4 and earlier. */
  files: z.record(z.string(), z.string()).exactOptional(),
  /** Of what it had saved at the best step, where that is another one. */
  bestFiles: z.record(z.string(), z.string()).exactOptional(),
});

export type WarmUpState = Omit<z.infer<typeof stateSchema>, 'schema' | 'files' | 'bestFiles'>;

const folderOf = (folder: string, step: number) => path.join(folder, `step-${String(step).padStart(6, '0')}`);

/** The step that did best on held-out examples, the later one of equals; undefined before the first was measured. */
export function bestStep({ heldOut = [] }: Pick<WarmUpState, 'heldOut'>): number | undefined {
  const least = Math.min(...heldOut.map(({ loss }) => loss));
  return heldOut.findLast(({ loss }) => loss === least)?.step;
}

/** Saves the policy and the state, then removes what they replace. What did best stays. */
export async function saveProgress(folder: string, state: WarmUpState, policy: Policy): Promise<void> {
  await policy.save(folderOf(folder, state.step));
  const files = await hashFolder(folderOf(folder, state.step));
  const best = bestStep(state);
  const bestFiles =
    best === undefined || best === state.step ? {} : { bestFiles: await hashFolder(folderOf(folder, best)) };
  await writeSealed(path.join(folder, 'state.json'), { schema: 1, ...state, files, ...bestFiles });
  const kept = [state.step, best ?? state.step].map((step) => path.basename(folderOf(folder, step)));
  for (const name of await readdir(folder))
    if (name.startsWith('step-') && !kept.includes(name)) {
      await policy.discard(path.join(folder, name));
      await rm(path.join(folder, name), { recursive: true, force: true });
    }
}

/** Removes all that was saved, a server's copies too. */
export async function discardProgress(folder: string, policy: Policy): Promise<void> {
  for (const name of await readdir(folder)) if (name.startsWith('step-')) await policy.discard(path.join(folder, name));
  await rm(folder, { recursive: true, force: true });
}

/** The saved state of the same warm-up; undefined when there is none. UserError when it belongs to another one, or is damaged. */
export async function readProgress(folder: string, identity: string): Promise<WarmUpState | undefined> {
  const file = path.join(folder, 'state.json');
  let json: unknown;
  try {
    json = (await readSealed(file)).value;
  } catch (error) {
    if (error instanceof UserError && hasCode(error.cause, 'ENOENT')) return undefined;
    throw error;
  }
  const parsed = stateSchema.safeParse(json);
  const remove = `Remove ${folder} to start afresh, or choose another output folder.`;
  if (!parsed.success) throw new UserError(`${file}: ${z.prettifyError(parsed.error)}`, { hint: remove });
  const { schema: _, files, bestFiles, ...state } = parsed.data;
  if (state.identity !== identity)
    throw new UserError(`${file}: progress of a warm-up with other settings or other data`, { hint: remove });
  await verifyFiles(folderOf(folder, state.step), files ?? {});
  if (bestFiles) await verifyFiles(folderOf(folder, bestStep(state)!), bestFiles);
  return state;
}

/** The folder of a saved step, for `policy.restore`. */
export function savedPolicy(folder: string, { step }: Pick<WarmUpState, 'step'>): string {
  return folderOf(folder, step);
}
