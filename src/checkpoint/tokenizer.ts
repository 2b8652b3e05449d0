/** Hugging Face tokenizers (tokenizer.json) with the chat template that stands beside them. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Template } from '@huggingface/jinja';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError, readText, sha256 } from '../base/files.ts';
import { parseJson } from '../base/text.ts';
import type { ChatMessage } from '../policy/text-model.ts';
import { piecesOf } from './pieces.ts';
import type { Tokenizer } from './tokenizer.types.ts';

const specialToken = z.union([z.string(), z.looseObject({ content: z.string() }).transform((token) => token.content)]);

/** What is used of tokenizer_config.json. */
const configSchema = z.looseObject({
  bos_token: specialToken.nullish(),
  eos_token: specialToken.nullish(),
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
});

/** What is used of generation_config.json. */
const generationSchema = z.looseObject({
  eos_token_id: z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish(),
});

const jsonSchema = z.looseObject({
  model: z.looseObject({}),
  decoder: z.looseObject({ type: z.string() }).nullable(),
  added_tokens: z.array(z.looseObject({ id: z.int().nonnegative(), content: z.string() })),
});

/** The texts of a tokenizer's files, e.g. to be written beside trained weights. */
export interface TokenizerFiles {
  /** tokenizer.json */
  readonly json: string;
  /** tokenizer_config.json: end token, often the chat template. */
  readonly config?: string | undefined;
  /** chat_template.jinja; goes before a template in the configuration. */
  readonly chatTemplate?: string | undefined;
  /** generation_config.json: further end tokens. */
  readonly generation?: string | undefined;
}

/**
 * Loads a tokenizer.
 * @param place a tokenizer.json, or the folder that holds one; tokenizer_config.json, chat_template.jinja and
 * generation_config.json are taken from the same folder when they are there
 * @throws UserError naming the file that is missing or cannot be understood
 */
export async function loadTokenizer(place: string): Promise<Tokenizer> {
  const file = await tokenizerFile(place);
  const files = await readTokenizerFiles(file);
  return tokenizerFromJson(files.json, files, file);
}

/** Reads the files that `loadTokenizer` would use, as they are. */
export async function readTokenizerFiles(place: string): Promise<TokenizerFiles> {
  const file = await tokenizerFile(place);
  return {
    json: await readText(file),
    config: await readIfThere(beside(file, 'tokenizer_config.json')),
    chatTemplate: await readIfThere(beside(file, 'chat_template.jinja')),
    generation: await readIfThere(beside(file, 'generation_config.json')),
  };
}

async function tokenizerFile(place: string): Promise<string> {
  const found = await stat(place).catch((error) => {
    throw fileError(error, place, 'read');
  });
  return found.isDirectory() ? path.join(place, 'tokenizer.json') : place;
}

function beside(file: string, name: string): string {
  return path.join(path.dirname(file), name);
}

async function readIfThere(file: string): Promise<string | undefined> {
  return existsSync(file) ? readText(file) : undefined;
}

/**
 * A tokenizer from the text of a tokenizer.json.
 * @param source named in errors
 */
export function tokenizerFromJson(
  json: string,
  { config: configText, chatTemplate, generation: generationText }: Omit<TokenizerFiles, 'json'> = {},
  source = 'tokenizer.json',
): Tokenizer {
  const content = parse(json, jsonSchema, source);
  const configSource = beside(source, 'tokenizer_config.json');
  const config = configText === undefined ? {} : parse(configText, configSchema, configSource);
  const generationSource = beside(source, 'generation_config.json');
  const generation = generationText === undefined ? {} : parse(generationText, generationSchema, generationSource);
  let library: Library;
  try {
    library = new Library(content, {});
  } catch (error) {
    throw new UserError(`${source}: cannot be used as a tokenizer (${messageOf(error)})`, { cause: error });
  }
  // Ids may have holes.
  const tokens: readonly (string | undefined)[] = Array.from(library.model!.vocab);

  const templateText = chatTemplate ?? templateOf(config.chat_template);
  const templateSource = chatTemplate === undefined ? configSource : beside(source, 'chat_template.jinja');
  const render = templateText === undefined ? undefined : chatRenderer(templateText, config, templateSource);
  const named = [config.eos_token, '<|im_end|>'].map((token) => (token ? library.token_to_id(token) : undefined));
  const endTokens = [...named, ...[generation.eos_token_id ?? []].flat()];

  return {
    vocabulary: tokens.length,
    encode: (text) => library.encode(text, { add_special_tokens: false }).ids,
    // Embeddings are often padded to more rows than there are tokens; such an id has no text.
    decode(ids) {
      const known = ids.filter((id) => tokens[id] !== undefined);
      return known.length === 0 ? '' : library.decode(known, { clean_up_tokenization_spaces: false });
    },
    pieces: piecesOf(tokens, new Set(content.added_tokens.map((token) => token.id)), content.decoder),
    chat: (message) => render?.(typeof message === 'string' ? [{ role: 'user', content: message }] : message),
    endTokens: [...new Set(endTokens.filter((id) => id !== undefined))],
    hash: sha256(json, templateText ?? '', JSON.stringify(generation.eos_token_id) ?? ''),
  };
}

function parse<T>(text: string, schema: z.ZodType<T>, source: string): T {
  const parsed = schema.safeParse(parseJson(text, source));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new UserError(`${source}: ${issue?.path.join('.')}: ${issue?.message}`);
}

type TokenizerConfig = Partial<z.infer<typeof configSchema>>;

/** Several templates may be named; the one for plain conversation is "default". */
function templateOf(template: TokenizerConfig['chat_template']): string | undefined {
  if (typeof template === 'string') return template;
  return template?.find(({ name }) => name === 'default')?.template;
}

function chatRenderer(
  text: string,
  config: TokenizerConfig,
  source: string,
): (messages: readonly ChatMessage[]) => string {
  const guarded = <T>(doing: () => T): T => {
    try {
      return doing();
    } catch (error) {
      throw new UserError(`${source}: the chat template fails (${messageOf(error)})`, { cause: error });
    }
  };
  const template = guarded(() => new Template(text));
  return (messages) =>
    guarded(() =>
      template.render({
        messages: [...messages],
        add_generation_prompt: true,
        bos_token: config.bos_token ?? '',
        eos_token: config.eos_token ?? '',
      }),
    );
}
