/** generation_config.json: how a model's makers sample from it. Shown to the user; a run states its own sampling. */
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../base/errors.ts';
import { readJson } from '../base/files.ts';
import { isGguf } from './gguf/model.ts';

const schema = z.object({
  do_sample: z.boolean().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.number().nullish(),
  repetition_penalty: z.number().nullish(),
});

/** Fields under their names in the file, those that it has. */
export type SamplingDefaults = z.infer<typeof schema>;

/**
 * The sampling defaults of a model; null where it has no generation_config.json, as a GGUF file has none.
 * @throws UserError for a file that cannot be understood
 */
export async function readSamplingDefaults(folder: string): Promise<SamplingDefaults | null> {
  if (await isGguf(folder)) return null;
  const file = path.join(folder, 'generation_config.json');
  let json: unknown;
  try {
    json = await readJson(file);
  } catch (error) {
    if (error instanceof UserError && hasCode(error.cause, 'ENOENT')) return null;
    throw error;
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(`${file}: ${issue?.path.join('.')}: ${issue?.message}`);
}
