/** The files of a tokenizer, as texts. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, UserError } from '../base/errors.ts';
import { fileError, readText } from '../base/files.ts';
import { isGguf, readGgufTokenizer } from './gguf/model.ts';
import type { TokenizerFiles } from './tokenizer.types.ts';

export type { TokenizerFiles } from './tokenizer.types.ts';

/** Published ones have up to 40 MB. */
const LIMIT = 2 ** 28;

/** Reads the files that `loadTokenizer` would use, as they are; those that a GGUF file stands for are made from it. */
export async function readTokenizerFiles(place: string): Promise<TokenizerFiles> {
  if (await isGguf(place)) return readGgufTokenizer(place);
  const file = await tokenizerFile(place);
  return {
    json: await readWhole(file),
    config: await readIfThere(beside(file, 'tokenizer_config.json')),
    chatTemplate: await readIfThere(beside(file, 'chat_template.jinja')),
    generation: await readIfThere(beside(file, 'generation_config.json')),
    model: await readIfThere(beside(file, 'config.json')),
  };
}

/** The tokenizer.json that a place stands for: the place itself, or a file in it; a GGUF file stands for its own. */
export async function tokenizerFile(place: string): Promise<string> {
  const found = await stat(place).catch((error) => {
    throw fileError(error, place, 'read');
  });
  return found.isDirectory() ? path.join(place, 'tokenizer.json') : place;
}

export function beside(file: string, name: string): string {
  return path.join(path.dirname(file), name);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readWhole(file);
  } catch (error) {
    if (error instanceof UserError && hasCode(error.cause, 'ENOENT')) return undefined;
    throw error;
  }
}

async function readWhole(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > LIMIT) throw new UserError(`${file}: has ${size} bytes, more than the ${LIMIT} that are read`);
  } catch (error) {
    throw fileError(error, file, 'read');
  }
  return readText(file);
}
