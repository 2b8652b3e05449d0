/**
 * Trajectories on disk: one JSON line each, exact in both directions. What a person reads stands first, and the numbers of each
 * token last: `zcat FILE | head`.
 */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJsonLines } from '../base/files.ts';
import { stretches } from '../protocol/authors.ts';
import type { Trajectory } from './trajectory.ts';

/**
 * Version of a line's form. 1 had no `correct`, since the reward was exact match, and did not say which turn had searched. 2 had
 * no question, gold answers, text and training, and log-probabilities in more digits than training reads.
 */
export const trajectorySchemaVersion = 3;

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
    question: z.string().exactOptional(),
    gold: z.array(z.string()).exactOptional(),
    rollout: z.int().nonnegative(),
    branch: z.strictObject({ tree: z.int().nonnegative(), from: z.int().nonnegative() }).exactOptional(),
    prompt: z.array(tokenId),
    plainPrompt: z.array(tokenId).exactOptional(),
    ids: z.array(tokenId),
    /** The mask as lengths of stretches, policy and environment in turns, the policy's first (0 when it did not begin). */
    authors: z.array(z.int().nonnegative()),
    /** On policy tokens only; it is 0 elsewhere. Nine digits, which tell all float32 apart. */
    logprobs: z.array(z.number()),
    searches: z.array(z.strictObject({ ...search, turn: z.int().nonnegative().exactOptional() })),
    stop: z.enum(stopReasons),
    failure: z.string().exactOptional(),
    answer: z.string().nullable(),
    correct: z.literal([0, 1]),
    reward: z.number(),
    wellFormed: z.boolean(),
    grounded: z.boolean().nullable(),
    text: z.strictObject({ prompt: z.string(), response: z.array(z.string()) }).exactOptional(),
    training: z
      .strictObject({
        advantage: z.union([z.number(), z.array(z.number())]),
        kl: z.array(z.number()).exactOptional(),
      })
      .exactOptional(),
  })
  .superRefine(({ ids, authors, logprobs, text, training }, context) => {
    const written = authors.reduce((sum, length) => sum + length, 0);
    const byPolicy = authors.reduce((sum, length, i) => (i % 2 === 0 ? sum + length : sum), 0);
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (written !== ids.length) complain('authors', `add up to ${written}, but there are ${ids.length} ids`);
    if (byPolicy !== logprobs.length)
      complain('logprobs', `expected ${byPolicy}, one a policy token, found ${logprobs.length}`);
    const stretchCount = authors.filter((length) => length > 0).length;
    if (text && text.response.length !== stretchCount)
      complain('text', `expected ${stretchCount} stretches, found ${text.response.length}`);
    for (const [name, stream] of Object.entries(training ?? {}))
      if (Array.isArray(stream) && stream.length !== byPolicy)
        complain(`training.${name}`, `expected ${byPolicy}, one a policy token, found ${stream.length}`);
  });

/** A line as of now. In schema 1 the reward was exact match, 0 or 1; what 3 has more is optional. */
function upgraded(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('schema' in value)) return value;
  if (value.schema === 2) return { ...value, schema: trajectorySchemaVersion };
  if (value.schema !== 1) return value;
  return { ...value, schema: trajectorySchemaVersion, correct: 'reward' in value ? value.reward : undefined };
}

/** A number as float32, in the digits that tell it from every other. */
export function shortFloat(value: number): number {
  return Number(Math.fround(value).toPrecision(9));
}

/** One line, without the line break. */
export function toLine(trajectory: Trajectory): string {
  const { questionId, dataset, question, gold, rollout, branch, answer, correct, reward, stop, failure } = trajectory;
  const { wellFormed, grounded, text, searches, training, prompt, plainPrompt, ids, mask, logprobs } = trajectory;
  const lengths = stretches(mask).map(({ start, end }) => end - start);
  return JSON.stringify({
    schema: trajectorySchemaVersion,
    ...{ questionId, dataset, question, gold, rollout, branch },
    ...{ answer, correct, reward, stop, failure, wellFormed, grounded },
    ...{ text, searches, training, prompt, plainPrompt, ids },
    authors: mask[0] === 0 ? [0, ...lengths] : lengths,
    logprobs: logprobs.filter((_, t) => mask[t] === 1).map(shortFloat),
  });
}

/** The trajectory of a line's JSON value. `where` (file and line) begins the UserError that names the fields at fault. */
export function fromLine(value: unknown, where: string): Trajectory {
  const parsed = line.safeParse(upgraded(value));
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'line'}: ${issue.message}`);
    throw new UserError(`${where}: not a trajectory of schema ${trajectorySchemaVersion} (${faults.join('; ')})`);
  }
  const { schema: _, authors, logprobs: written, ...rest } = parsed.data;
  const spoken = isFloat32(value) ? written.map(Math.fround) : written;
  const mask = authors.flatMap((length, i) => new Array<0 | 1>(length).fill(i % 2 === 0 ? 1 : 0));
  let next = 0;
  const logprobs = mask.map((author) => (author === 1 ? spoken[next++]! : 0));
  return { ...rest, mask, logprobs };
}

/** Before schema 3 log-probabilities were written as the sampler computed them. */
const isFloat32 = (value: unknown) => (value as { schema?: unknown }).schema === trajectorySchemaVersion;

/** Reads a file of trajectories, plain or gzip, as a stream. */
export async function* readTrajectories(file: string): AsyncGenerator<Trajectory> {
  for await (const { line: number, value } of readJsonLines(file)) yield fromLine(value, `${file}:${number}`);
}
