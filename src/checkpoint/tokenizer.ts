/** Hugging Face tokenizers (tokenizer.json) with the chat template that stands beside them. */
import path from 'node:path';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.ts';
import { sha256 } from '../base/files.ts';
import { parseJson, shown } from '../base/text.ts';
import { AddedTokenFinder, cutAt, isControl, type Span } from './added-tokens.ts';
import { chatRenderer, type RenderChat } from './chat-template.ts';
import { LIMITS } from './config.ts';
import { bounded, checkGrowth } from './encode-limits.ts';
import { isGguf } from './gguf/model.ts';
import { piecesOf } from './pieces.ts';
import type { Tokenizer } from './tokenizer.types.ts';
import { beside, readTokenizerFiles, type TokenizerFiles, tokenizerFile } from './tokenizer-files.ts';

const specialToken = z.union([z.string(), z.looseObject({ content: z.string() }).transform((token) => token.content)]);

/** What is used of tokenizer_config.json. */
const configSchema = z.looseObject({
  bos_token: specialToken.nullish(),
  eos_token: specialToken.nullish(),
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
});

const tokenId = z.int();
const tokenIds = z.union([tokenId, z.array(tokenId).max(1000)]).nullish();

/** What is used of generation_config.json. */
const generationSchema = z.looseObject({ eos_token_id: tokenIds });

/** What is used of the model's config.json. */
const modelSchema = z.looseObject({ eos_token_id: tokenIds, vocab_size: z.int().positive().optional() });

const addedToken = z.looseObject({
  id: z
    .int()
    .nonnegative()
    .max(LIMITS.vocabulary - 1),
  content: z.string(),
  special: z.boolean().default(false),
});

const preTokenizerSchema = z.looseObject({
  type: z.string(),
  pretokenizers: z.array(z.unknown()).optional(),
  individual_digits: z.boolean().optional(),
});

const jsonSchema = z.looseObject({
  model: z.looseObject({ type: z.enum(['BPE', 'WordPiece', 'Unigram']).optional(), vocab: z.unknown().optional() }),
  decoder: z.looseObject({ type: z.string() }).nullable(),
  added_tokens: z.array(addedToken),
});
type Content = z.infer<typeof jsonSchema>;

/**
 * Loads a tokenizer.
 * @param place a tokenizer.json, or the folder that holds one; tokenizer_config.json, chat_template.jinja,
 * generation_config.json and config.json are taken from the same folder when they are there; or a GGUF file
 * @throws UserError naming the file that is missing or cannot be understood
 */
export async function loadTokenizer(place: string): Promise<Tokenizer> {
  const file = await tokenizerFile(place);
  const files = await readTokenizerFiles(file);
  // Of a GGUF file, errors name the part.
  return tokenizerFromJson(files.json, files, (await isGguf(file)) ? path.join(file, 'tokenizer.json') : file);
}

/**
 * A tokenizer from the text of a tokenizer.json.
 * @param source named in errors
 */
export function tokenizerFromJson(
  json: string,
  files: Omit<TokenizerFiles, 'json'> = {},
  source = 'tokenizer.json',
): Tokenizer {
  const content = parse(json, jsonSchema, source);
  checkIds(content.model.vocab, source);
  checkMerges(content.model, source);
  const { config, generation, model } = parseOthers(files, source);
  const library = openLibrary(content, source);
  // Ids may have holes.
  const tokens: readonly (string | undefined)[] = Array.from(library.model!.vocab);
  if (model.vocab_size !== undefined && tokens.length > model.vocab_size)
    throw new UserError(
      `${source}: the token ${shown(tokens.at(-1))} has id ${tokens.length - 1}, but the model knows ${model.vocab_size} ids only (vocab_size of config.json)`,
      { hint: 'Use the tokenizer that the model was trained with, or give the model more rows.' },
    );

  const template = templateOf(files.chatTemplate, config, source);
  const render = template && chatRenderer(template.text, tokensOf(config), template.source);
  const encode = encoder(content, library, source);
  const named = [config.eos_token, '<|im_end|>'].map((token) => (token ? library.token_to_id(token) : undefined));
  const endTokens = [...named, ...idsOf(generation.eos_token_id), ...idsOf(model.eos_token_id)].filter(
    (id) => id !== undefined,
  );
  const added = new Map(content.added_tokens.map((token) => [token.id, token]));
  const turnEnd = render && turnEndOf(render, encode, (id) => added.get(id)?.special === true);

  return {
    vocabulary: tokens.length,
    encode,
    start: startOf(library),
    // Embeddings are often padded to more rows than there are tokens; such an id has no text.
    decode(ids) {
      const known = ids.filter((id) => tokens[id] !== undefined);
      return known.length === 0 ? '' : library.decode(known, { clean_up_tokenization_spaces: false });
    },
    pieces: piecesOf(tokens, new Set(added.keys()), content.decoder),
    chat(message) {
      if (!render) return refuseUnnamed(config, source);
      return render(typeof message === 'string' ? [{ role: 'user', content: message }] : message, true);
    },
    endTokens: [...new Set(endTokens)],
    notes:
      turnEnd === undefined || endTokens.includes(turnEnd)
        ? []
        : [
            `${template!.source}: the chat template ends a turn with ${shown(tokens[turnEnd])}, which none of the model's files names as an end token (eos_token_id): replies will run on past it`,
          ],
    hash: sha256(
      json,
      template?.text ?? '',
      JSON.stringify(generation.eos_token_id) ?? '',
      JSON.stringify(model.eos_token_id ?? undefined) ?? '',
    ),
  };
}

/** The chat template that `Tokenizer.chat` uses, as its text; undefined where there is none. */
export function chatTemplateOf(files: Omit<TokenizerFiles, 'json'>): string | undefined {
  return templateOf(files.chatTemplate, parseOthers(files, 'tokenizer.json').config, 'tokenizer.json')?.text;
}

/** What to throw for a tokenizer that writes ids which the model does not know. */
export function tooManyIds(tokenizer: Tokenizer, place: string, rows: number, model: string): UserError {
  return new UserError(`${place}: the tokenizer has ${tokenizer.vocabulary} ids, the model in ${model} only ${rows}`, {
    hint: 'Use the tokenizer that the model was trained with.',
  });
}

function parse<T>(text: string, schema: z.ZodType<T>, source: string): T {
  const parsed = schema.safeParse(parseJson(text, source));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new UserError(`${source}: ${issue?.path.join('.')}: ${issue?.message}`);
}

function parseOthers(files: Omit<TokenizerFiles, 'json'>, source: string) {
  const read = <T>(text: string | undefined, schema: z.ZodType<T>, name: string): Partial<T> =>
    text === undefined ? {} : parse(text, schema, beside(source, name));
  return {
    config: read(files.config, configSchema, 'tokenizer_config.json'),
    generation: read(files.generation, generationSchema, 'generation_config.json'),
    model: read(files.model, modelSchema, 'config.json'),
  };
}
type Config = ReturnType<typeof parseOthers>['config'];

/** Ids become places in lists: one that is far out would fill memory. */
function checkIds(vocabulary: unknown, source: string): void {
  if (Object.keys(vocabulary ?? {}).length === 0) throw new UserError(`${source}: model.vocab: holds no token`);
  if (Array.isArray(vocabulary)) {
    if (vocabulary.length > LIMITS.vocabulary)
      throw new UserError(`${source}: model.vocab: ${vocabulary.length} tokens, more than ${LIMITS.vocabulary}`);
    return;
  }
  for (const [token, id] of Object.entries(vocabulary ?? {}))
    if (!Number.isInteger(id) || id < 0 || id >= LIMITS.vocabulary)
      throw new UserError(
        `${source}: model.vocab: the token ${shown(token)} has id ${shown(id)}, expected a whole number below ${LIMITS.vocabulary}`,
      );
}

/** A merge of what is not in the vocabulary would never happen, and texts become other tokens than those of training; the original refuses it too. */
function checkMerges({ vocab, merges }: Content['model'], source: string): void {
  if (!Array.isArray(merges) || typeof vocab !== 'object' || vocab === null) return;
  for (const [index, merge] of merges.entries()) {
    const parts: unknown[] = Array.isArray(merge) ? merge : String(merge).split(' ');
    const missing = parts.length === 2 ? parts.find((part) => !Object.hasOwn(vocab, String(part))) : merge;
    if (missing !== undefined)
      throw new UserError(`${source}: model.merges.${index}: ${shown(missing)} is not in the vocabulary`, {
        hint: 'Vocabulary and merges are not of one tokenizer, or the file is damaged.',
      });
  }
}

function openLibrary(content: Content, source: string): Library {
  checkGrowth(content, source);
  try {
    const library = new Library({ ...content, pre_tokenizer: withAllDigits(content.pre_tokenizer) }, {});
    return Object.assign(library, bounded(library, content, source));
  } catch (error) {
    throw new UserError(`${source}: cannot be used as a tokenizer (${messageOf(error)})`, { cause: error });
  }
}

/** The library's `Digits` knows 0 to 9 only; in the original, all numerals of Unicode ("½", "٣") are digits. */
function withAllDigits(step: unknown): unknown {
  const parsed = preTokenizerSchema.safeParse(step);
  if (!parsed.success) return step;
  const { type, pretokenizers, individual_digits } = parsed.data;
  if (type === 'Digits') {
    const Regex = individual_digits ? '\\p{N}' : '\\p{N}+';
    return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
  }
  return pretokenizers ? { ...parsed.data, pretokenizers: pretokenizers.map(withAllDigits) } : step;
}

/** See `encode` of tokenizer.types.ts. */
function encoder(content: Content, library: Library, source: string): Tokenizer['encode'] {
  const finder = new AddedTokenFinder(content.added_tokens);
  const controls = new Set(content.added_tokens.filter(isControl).map(({ id }) => id));
  const whole = (text: string) => library.encode(text, { add_special_tokens: false }).ids;
  // Made when somebody first writes a control token, which is rare.
  let without: Library | undefined;
  const plain = (text: string) => {
    without ??= openLibrary(withoutControls(content), source);
    return without.encode(text, { add_special_tokens: false }).ids;
  };
  const inParts = (text: string, spans: readonly Span[]) =>
    cutAt(text, spans).flatMap((part) => (part.inside ? plain(part.text) : whole(part.text)));
  const countControls = (ids: readonly number[]) => ids.filter((id) => controls.has(id)).length;

  return (text, foreign = []) => {
    const written = finder.writtenByOthers(text, foreign);
    const ids = written.length === 0 ? whole(text) : inParts(text, written);
    if (foreign.length === 0 || library.normalizer === null || countControls(ids) === 0) return ids;
    // A normaliser may make a control token of other characters ("［INST］"): then there is one more than without them.
    const own = cutAt(text, foreign).map((part) => (part.inside ? 'x' : part.text));
    return countControls(ids) <= countControls(whole(own.join(''))) ? ids : inParts(text, foreign);
  };
}

/** The same tokenizer without its control tokens, which may stand in the model's own vocabulary as well. */
function withoutControls(content: Content): Content {
  const { vocab, unk_token } = content.model;
  const names = new Set(content.added_tokens.filter(isControl).map((token) => token.content));
  // What is not known has to become something.
  if (typeof unk_token === 'string') names.delete(unk_token);
  const known = Array.isArray(vocab)
    ? vocab.map((entry, i) => (Array.isArray(entry) && names.has(entry[0]) ? [`\uFFFF${i}`, -1e6] : entry))
    : Object.fromEntries(Object.entries(vocab ?? {}).filter(([token]) => !names.has(token)));
  return {
    ...content,
    model: { ...content.model, vocab: known },
    added_tokens: content.added_tokens.filter((token) => !isControl(token)),
  };
}

/** What the post-processor, of whatever form, puts in front of any text. */
function startOf(library: Library): number[] {
  const idsWith = (add_special_tokens: boolean): number[] => library.encode('a', { add_special_tokens }).ids;
  const [bare, dressed] = [idsWith(false), idsWith(true)];
  for (let at = 0; at + bare.length <= dressed.length; at++)
    if (bare.every((id, i) => dressed[at + i] === id)) return dressed.slice(0, at);
  return [];
}

function idsOf(found: z.infer<typeof tokenIds>): number[] {
  return [found ?? []].flat().filter((id) => id >= 0);
}

function tokensOf(config: Config): { bos: string; eos: string } {
  return { bos: config.bos_token ?? '', eos: config.eos_token ?? '' };
}

/** Several templates may be named; the one for plain conversation is "default". */
function templateOf(
  file: string | undefined,
  config: Config,
  source: string,
): { readonly text: string; readonly source: string } | undefined {
  if (file !== undefined) return { text: file, source: beside(source, 'chat_template.jinja') };
  const { chat_template: found } = config;
  const text = typeof found === 'string' ? found : found?.find(({ name }) => name === 'default')?.template;
  return text === undefined ? undefined : { text, source: beside(source, 'tokenizer_config.json') };
}

/** A model without a template has none; one with several and no default would be asked in a form that it does not know. */
function refuseUnnamed({ chat_template: found }: Config, source: string): undefined {
  if (!Array.isArray(found) || found.length === 0) return undefined;
  const names = found.map(({ name }) => shown(name)).join(', ');
  throw new UserError(
    `${beside(source, 'tokenizer_config.json')}: chat_template: there are several (${names}), none of them "default"`,
    { hint: 'Name the one for plain conversation "default", or put it into chat_template.jinja beside this file.' },
  );
}

/** The special token with which the template ends what the assistant said. */
function turnEndOf(
  render: RenderChat,
  encode: Tokenizer['encode'],
  isSpecial: (id: number) => boolean,
): number | undefined {
  const mark = '\uE000';
  let text: string;
  try {
    text = render(
      [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: mark },
      ],
      false,
    );
  } catch {
    // Some templates refuse conversations that end like this.
    return undefined;
  }
  const [, behind] = text.split(mark);
  const first = encode((behind ?? '').trimStart())[0];
  return first !== undefined && isSpecial(first) ? first : undefined;
}
