/**
 * What the files of sentence-transformers say of a model: modules.json, the modules' own config.json,
 * sentence_bert_config.json, config_sentence_transformers.json. What is not computed here is refused, not passed over.
 */
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../../../base/errors.ts';
import { readJson } from '../../../base/files.ts';
import { shown } from '../../../base/text.ts';
import type { EmbedderInfo } from '../embedder.ts';
import { type Pooling, poolings } from './pooling.ts';

export const MODULES_FILE = 'modules.json';
export const PROMPTS_FILE = 'config_sentence_transformers.json';
const SERVE = 'Serve the model and give its /v1 address.';

export interface SentenceTransformer {
  /** The folder of the network and its tokenizer. */
  readonly transformer: string;
  readonly pooling: Pooling;
  /** Undefined: as many tokens as the tokenizer or the network takes. */
  readonly maxTokens: number | undefined;
  /** Whether texts become lower case whatever the tokenizer does. */
  readonly lowercase: boolean;
  /** The prompts for queries and passages, where the files name them. */
  readonly prefixes: EmbedderInfo['prefixes'];
}

/**
 * @param folder with a modules.json
 * @throws UserError naming file and field that are wrong or not supported
 */
export async function readSentenceTransformer(folder: string): Promise<SentenceTransformer> {
  const { transformer, pooling, normalized } = await readModules(folder);
  const limits = await readLimits(transformer);
  return {
    transformer,
    pooling: await readPooling(path.join(pooling, 'config.json')),
    ...limits,
    prefixes: await readPrompts(path.join(folder, PROMPTS_FILE), normalized),
  };
}

const modulesSchema = z.array(z.looseObject({ path: z.string(), type: z.string() }));

/** Transformer, Pooling, and perhaps Normalize, which changes nothing: all vectors get the norm 1 here. */
async function readModules(folder: string) {
  const file = path.join(folder, MODULES_FILE);
  const modules = parsed(modulesSchema, await readJson(file), file);
  const supported = ['Transformer', 'Pooling', 'Normalize'];
  // The packages above the class have changed from version to version.
  const classes = modules.map(({ type }) => type.split('.').at(-1)!);
  for (const [i, name] of classes.entries())
    if (name !== supported[i])
      throw new UserError(
        `${file}: module ${i}: ${shown(modules[i]!.type)} is not supported there; expected Transformer, Pooling and, optionally, Normalize, in this order`,
        { hint: SERVE },
      );
  const [transformer, pooling] = modules.map((module) => path.join(folder, module.path));
  if (transformer === undefined || pooling === undefined)
    throw new UserError(`${file}: expected a Transformer and a Pooling, found ${shown(classes)}`, { hint: SERVE });
  return { transformer, pooling, normalized: modules.length === 3 };
}

/** Before version 6, one boolean for each form; then, one word, or several whose vectors are joined. */
const LEGACY = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_max_tokens: 'max',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_mean_sqrt_len_tokens: 'mean_sqrt_len_tokens',
  pooling_mode_weightedmean_tokens: 'weightedmean',
  pooling_mode_lasttoken: 'lasttoken',
} as const;

const poolingSchema = z.looseObject({
  ...Object.fromEntries(Object.keys(LEGACY).map((name) => [name, z.boolean().optional()])),
  pooling_mode: z.union([z.string(), z.array(z.string())]).optional(),
  include_prompt: z.boolean().default(true),
});

/** @throws UserError for any but one of `poolings` */
export async function readPooling(file: string): Promise<Pooling> {
  const config = parsed(poolingSchema, await readJson(file), file);
  const legacy = Object.entries(LEGACY).flatMap(([name, mode]) => (config[name] === true ? [mode] : []));
  const modes = config.pooling_mode === undefined ? legacy : [config.pooling_mode].flat();
  // Without any, the library takes the mean.
  const [mode = 'mean', ...others] = modes;
  const known = poolings.find((each) => each === mode);
  if (known === undefined || others.length > 0)
    throw new UserError(
      `${file}: pooling ${modes.join(' with ')} is not supported, expected one of ${poolings.join(', ')}`,
      { hint: SERVE },
    );
  if (!config.include_prompt)
    throw new UserError(`${file}: include_prompt: false is not supported: prompts are pooled like the text`, {
      hint: SERVE,
    });
  return known;
}

const limitsSchema = z.looseObject({
  max_seq_length: z.int().min(3).nullish(),
  do_lower_case: z.boolean().nullish(),
});

async function readLimits(folder: string): Promise<Pick<SentenceTransformer, 'maxTokens' | 'lowercase'>> {
  const file = path.join(folder, 'sentence_bert_config.json');
  const { max_seq_length, do_lower_case } = parsed(limitsSchema, (await readIfThere(file)) ?? {}, file);
  return { maxTokens: max_seq_length ?? undefined, lowercase: do_lower_case ?? false };
}

const promptsSchema = z.looseObject({
  prompts: z.record(z.string(), z.string().nullable()).nullish(),
  similarity_fn_name: z.string().nullish(),
  truncate_dim: z.int().nullish(),
});

async function readPrompts(file: string, normalized: boolean): Promise<EmbedderInfo['prefixes']> {
  const config = parsed(promptsSchema, (await readIfThere(file)) ?? {}, file);
  const similarity = config.similarity_fn_name ?? 'cosine';
  if (similarity !== 'cosine' && !(similarity === 'dot' && normalized))
    throw new UserError(
      `${file}: similarity_fn_name: ${shown(similarity)} is not supported, expected "cosine", or "dot" where ${MODULES_FILE} has a Normalize: vectors here have the norm 1`,
      { hint: 'Choose a model that is compared by the cosine.' },
    );
  if (typeof config.truncate_dim === 'number')
    throw new UserError(`${file}: truncate_dim: ${config.truncate_dim} is not supported, expected null`, {
      hint: 'Remove the field to use whole vectors.',
    });
  const prompts = config.prompts ?? {};
  // The names and their order are those of the library's encode_query and encode_document.
  const first = (...names: string[]) => names.map((name) => prompts[name]).find((text) => text != null) ?? '';
  return { query: first('query'), passage: first('document', 'passage', 'corpus') };
}

/** The JSON of a file that need not be there. */
export async function readIfThere(file: string): Promise<unknown> {
  try {
    return await readJson(file);
  } catch (error) {
    if (error instanceof UserError && hasCode(error.cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** @throws UserError naming the first field that is not as expected */
export function parsed<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new UserError(`${file}: ${issue.path.join('.')}: ${issue.message}`, {
    hint: 'The folder of an encoder was expected, as sentence-transformers or Hugging Face write it.',
  });
}
