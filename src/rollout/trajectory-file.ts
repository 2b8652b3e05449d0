/** Trajectories on disk: one JSON line each, exact in both directions. */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJsonLines } from '../base/files.ts';
import { stretches } from '../protocol/authors.ts';
import type { Trajectory } from './trajectory.ts';

/** Version of a line's form. 1 had no `correct`, since the reward was exact match, and did not say which turn had searched. */
export const trajectorySchemaVersion = 2;

const tokenId = z.int().nonnegative();
export const stopReasons = [
  'answered',
  'no-answer',
  'response-full',
  'context-full',
  'prompt-too-long',
  'search-failed',
  'sample-failed',
  'deadline',
  'cancelled',
] as const satisfies readonly Trajectory['stop'][];

const search = {
  query: z.string(),
  passages: z.array(z.strictObject({ id: z.string(), title: z.string(), score: z.number() })),
};

const line = z
  .strictObject({
    schema: z.literal(trajectorySchemaVersion),
    questionId: z.string(),
    dataset: z.string(),
    rollout: z.int().nonnegative(),
    prompt: z.array(tokenId),
    ids: z.array(tokenId),
    /** The mask as lengths of stretches, policy and environment in turns, the policy's first (0 when it did not begin). */
    authors: z.array(z.int().nonnegative()),
    /** On policy tokens only; it is 0 elsewhere. */
    logprobs: z.array(z.number()),
    searches: z.array(z.strictObject({ ...search, turn: z.int().nonnegative().exactOptional() })),
    stop: z.enum(stopReasons),
    failure: z.string().exactOptional(),
    answer: z.string().nullable(),
    correct: z.literal([0, 1]),
    reward: z.number(),
    wellFormed: z.boolean(),
    grounded: z.boolean().nullable(),
  })
  .superRefine(({ ids, authors, logprobs }, context) => {
    const written = authors.reduce((sum, length) => sum + length, 0);
    const byPolicy = authors.reduce((sum, length, i) => (i % 2 === 0 ? sum + length : sum), 0);
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (written !== ids.length) complain('authors', `add up to ${written}, but there are ${ids.length} ids`);
    if (byPolicy !== logprobs.length)
      complain('logprobs', `expected ${byPolicy}, one a policy token, found ${logprobs.length}`);
  });

/** A line as of now. In schema 1 the reward was exact match, 0 or 1. */
function upgraded(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('schema' in value) || value.schema !== 1) return value;
  return { ...value, schema: trajectorySchemaVersion, correct: 'reward' in value ? value.reward : undefined };
}

/** One line, without the line break. */
export function toLine(trajectory: Trajectory): string {
  const { mask, logprobs, ...rest } = trajectory;
  const lengths = stretches(mask).map(({ start, end }) => end - start);
  const authors = mask[0] === 0 ? [0, ...lengths] : lengths;
  const spoken = logprobs.filter((_, t) => mask[t] === 1);
  return JSON.stringify({ schema: trajectorySchemaVersion, ...rest, authors, logprobs: spoken });
}

/** The trajectory of a line's JSON value. `where` (file and line) begins the UserError that names the fields at fault. */
export function fromLine(value: unknown, where: string): Trajectory {
  const parsed = line.safeParse(upgraded(value));
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'line'}: ${issue.message}`);
    throw new UserError(`${where}: not a trajectory of schema ${trajectorySchemaVersion} (${faults.join('; ')})`);
  }
  const { schema: _, authors, logprobs: spoken, ...rest } = parsed.data;
  const mask = authors.flatMap((length, i) => new Array<0 | 1>(length).fill(i % 2 === 0 ? 1 : 0));
  let next = 0;
  const logprobs = mask.map((author) => (author === 1 ? spoken[next++]! : 0));
  return { ...rest, mask, logprobs };
}

/** Reads a file of trajectories, plain or gzip, as a stream. */
export async function* readTrajectories(file: string): AsyncGenerator<Trajectory> {
  for await (const { line: number, value } of readJsonLines(file)) yield fromLine(value, `${file}:${number}`);
}
