/**
 * conditions.json: everything that the scores of an evaluation depend on. Two evaluations with equal conditions ask the same
 * questions of the same model in the same way; what differs between two is what a comparison has to say.
 */
import { z } from 'zod';
import { baselineNames } from '../baselines/all.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex was expected');
const count = z.int().min(1);
const natural = z.int().min(0);

export const conditionsSchema = z.strictObject({
  schema: z.literal(1),
  model: z.strictObject({
    engine: z.string(),
    name: z.string(),
    /** ids: token ids, on our own engine. chat, raw: a server's /chat/completions or /completions. */
    mode: z.enum(['ids', 'chat', 'raw']),
    /** Of the weights; null where they are not at hand: then the score rests on the name. */
    weights: hash.nullable(),
    /** Null for a served model, unless its chat template was given. */
    tokenizer: hash.nullable(),
    deterministic: z.boolean(),
  }),
  retriever: z.strictObject({
    kind: z.string(),
    passages: natural,
    corpusHash: z.string(),
    settings: z.record(z.string(), z.union([z.number(), z.string()])),
  }),
  /** Of every text that is put around a question, by baseline. */
  prompts: z.partialRecord(z.enum(baselineNames), hash),
  suites: z
    .array(
      z.strictObject({
        name: z.string(),
        /** Questions asked, of so many that the suite has. */
        questions: count,
        of: count,
        /** Over id, dataset, text and answers of the questions asked. */
        hash,
      }),
    )
    .min(1),
  decoding: z.strictObject({ temperature: z.number().min(0), seed: natural }),
  limits: z.strictObject({
    searches: natural,
    invalidTurns: natural,
    turnTokens: count,
    responseTokens: count,
    observationTokens: count,
    contextTokens: count,
    passages: count,
  }),
  versions: z.record(z.string(), z.string()),
});

export type Conditions = z.infer<typeof conditionsSchema>;

export interface Difference {
  /** E.g. "retriever.corpusHash". */
  readonly field: string;
  readonly there: string;
  readonly here: string;
}

/** The fields in which two values differ, named by their paths; hashes are shortened. */
export function differences(there: unknown, here: unknown, field = ''): Difference[] {
  const [before, after] = [fieldsOf(there), fieldsOf(here)];
  if (before !== undefined && after !== undefined) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => differences(before[name], after[name], field === '' ? name : `${field}.${name}`));
  }
  const [a, b] = [JSON.stringify(there), JSON.stringify(here)];
  return a === b ? [] : [{ field, there: shown(a), here: shown(b) }];
}

/** The parts of a value, if it has any; those of a list go by their names, or by their places. */
function fieldsOf(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return { ...value };
  return Object.fromEntries(value.map((part: unknown, i) => [nameOf(part) ?? i, part]));
}

function nameOf(part: unknown): string | undefined {
  return typeof part === 'object' && part !== null && 'name' in part ? String(part.name) : undefined;
}

function shown(json: string | undefined): string {
  if (json === undefined) return 'nothing';
  const text = json.replace(/"([0-9a-f]{12})[0-9a-f]{52}"/g, '$1…');
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
