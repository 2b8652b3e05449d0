/** What a run keeps on disk, as schemas: everything is validated when it is read. The types belong to evolve/; here is their form in JSON. */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import type { EvolveState, MetricRecord, PairRecord } from '../evolve/journal.ts';
import type { Results } from '../evolve/results.ts';
import { shortFloat } from '../rollout/trajectory-file.ts';

const natural = z.int().min(0);
/** Null: nothing was measured, or too little to know the spread. */
const estimate = z.strictObject({ mean: z.number(), standardError: z.number().nullable() }).nullable();

const meanMeasurement = z.strictObject({
  exactMatch: estimate,
  f1: estimate,
  searches: estimate,
  policyTokens: estimate,
  wellFormed: estimate,
  grounded: estimate,
});

const suiteMeasurement = z.strictObject({
  suite: z.string(),
  questions: natural,
  samplesPerQuestion: natural,
  ...meanMeasurement.shape,
  failures: natural,
});

const stageMeasurement = z.strictObject({
  stage: z.string(),
  mode: z.strictObject({ decoding: z.enum(['sampled', 'greedy']), searches: natural }),
  suites: z.array(suiteMeasurement),
  mean: meanMeasurement,
});

const gateSide = z.strictObject({ exactMatch: estimate, searches: estimate, wellFormed: estimate });

const gateMeasurement = z.strictObject({
  stage: z.string(),
  questions: natural,
  plain: gateSide,
  privileged: gateSide,
  exactMatchGap: estimate,
  searchesSaved: estimate,
  open: z.boolean(),
});

const poolMeasurement = z.strictObject({
  stage: z.string(),
  questions: natural,
  rollouts: natural,
  exactMatch: z.number(),
  pairs: natural,
  wrongStudents: natural,
  expertSearches: z.number(),
  studentSearches: z.number(),
  expertsWithoutSearch: natural,
});

const stageOutcome = z.strictObject({
  stage: z.string(),
  steps: natural,
  stoppedBy: z.enum(['steps', 'guard', 'gate', 'no-pairs', 'no-data']),
  reason: z.string().exactOptional(),
  keptStep: natural,
});

export const resultsSchema: z.ZodType<Results> = z.strictObject({
  schema: z.literal(1),
  measurements: z.array(stageMeasurement),
  pools: z.array(poolMeasurement),
  gates: z.array(gateMeasurement),
  outcomes: z.array(stageOutcome),
});

const timing = z.strictObject({
  totalSeconds: z.number(),
  samplingSeconds: z.number(),
  retrievalSeconds: z.number(),
  trainingSeconds: z.number(),
  otherSeconds: z.number(),
  trajectories: natural,
  searches: natural,
  /** Absent in runs of 0.1. */
  cachedSearches: natural.default(0),
  sampledTokens: natural,
  trainedTokens: natural,
  byStage: z.array(
    z.strictObject({
      stage: z.string(),
      seconds: z.number(),
      // Runs recorded by 0.1.0 have seconds alone.
      sampledTokens: natural.default(0),
      trainedTokens: natural.default(0),
    }),
  ),
});

/** timing.json: Timing with a schema number. */
export const timingSchema = z.strictObject({ schema: z.literal(1), ...timing.shape });

export const metricSchema: z.ZodType<MetricRecord> = z
  .object({ stage: z.string(), step: natural })
  .catchall(z.union([z.number(), z.string(), z.null()]));

const tokenIds = z.array(natural);

const pairSide = { searches: natural.exactOptional(), policyTokens: natural.exactOptional() };

/** 1 had no question, gold answers and text, and said nothing of how long the two are. */
const PAIR_SCHEMA = 2;

const pairLine = z
  .strictObject({
    schema: z.literal([1, PAIR_SCHEMA]),
    questionId: z.string(),
    question: z.string().exactOptional(),
    gold: z.array(z.string()).exactOptional(),
    expert: z
      .union([z.strictObject({ questionId: z.string(), rollout: natural, ...pairSide }), z.literal('demonstration')])
      .nullable(),
    student: z.strictObject({ rollout: natural, correct: z.boolean(), ...pairSide }),
    text: z
      .strictObject({ teacherPrompt: z.string(), studentPrompt: z.string(), response: z.array(z.string()) })
      .exactOptional(),
    teacherPrompt: tokenIds,
    studentPrompt: tokenIds,
    ids: tokenIds,
    mask: z.array(z.literal([0, 1])),
    kl: z.array(z.number()).nullable(),
  })
  .refine((pair) => pair.mask.length === pair.ids.length && (pair.kl ?? pair.ids).length === pair.ids.length, {
    error: 'ids, mask and kl differ in length',
  });

/** A line of a pairs shard, without the line break: what a person reads first, the numbers of each token last. */
export function pairToLine(pair: PairRecord): string {
  const { questionId, question, gold, expert, student, text, kl, ...tokens } = pair;
  return JSON.stringify({
    schema: PAIR_SCHEMA,
    ...{ questionId, question, gold, expert, student, text, ...tokens },
    kl: kl === null ? null : kl.map(shortFloat),
  });
}

export function pairFromLine(value: unknown, where: string): PairRecord {
  const { schema, kl, ...pair } = parseAs(pairLine, value, where);
  return { ...pair, kl: kl && (schema === PAIR_SCHEMA ? kl.map(Math.fround) : kl) };
}

const evolveState: z.ZodType<EvolveState> = z.strictObject({
  stage: natural,
  step: natural,
  best: z.strictObject({ step: natural, score: z.number() }).nullable(),
  recent: z.array(
    z.strictObject({
      entropy: z.number().nullable(),
      zeroVariance: z.number(),
      wellFormed: z.record(z.string(), z.strictObject({ good: natural, all: natural })),
    }),
  ),
  results: resultsSchema,
  timing: z.strictObject(timing.shape),
});

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex was expected');
const hashes = z.record(z.string(), sha256);

/** What a checkpoint rests on besides its own files: the lines of metrics.jsonl so far, and the shards by their paths in the run. */
const pastSchema = z.strictObject({ metrics: sha256, shards: hashes });
export type Past = z.infer<typeof pastSchema>;

/**
 * state.json of a checkpoint: where the run stood, how much of metrics.jsonl belongs to it, and the hashes of all that it rests on: the
 * checkpoint's other files, and the run's past. Runs of 0.4 and earlier have no hashes.
 */
export const stateSchema = z.strictObject({
  schema: z.literal(1),
  metricLines: natural,
  state: evolveState,
  files: hashes.exactOptional(),
  past: pastSchema.exactOptional(),
});

/** latest.json: which checkpoint is the newest, which are kept under a name, and the hashes of their state.json (see `stateSchema`). */
export const pointerSchema = z.strictObject({
  schema: z.literal(1),
  latest: z.string(),
  kept: z.record(z.string(), z.string()),
  states: hashes.exactOptional(),
});

/** Validates `value` or throws an error that names the file, the field and what was expected there. */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown, where: string, hint?: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.length === 0 ? '' : ` at ${issue.path.map(String).join('.')}`;
  throw new UserError(`${where}${field}: ${issue.message}`, hint === undefined ? {} : { hint });
}
