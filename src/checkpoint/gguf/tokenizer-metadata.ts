/** A tokenizer's files as the metadata of a GGUF file: the way back of tokenizer.ts. */
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { shown } from '../../base/text.ts';
import type { ModelConfig } from '../config.ts';
import { chatTemplateOf, tokenizerFromJson } from '../tokenizer.ts';
import type { TokenizerFiles } from '../tokenizer.types.ts';
import { ruleNameOf } from './splitting.ts';
import { TOKEN_TYPES } from './tokenizer.ts';
import type { TypedValue } from './write.ts';

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string(), special: z.boolean().default(false) })),
  normalizer: z.looseObject({ type: z.string(), normalizers: z.array(z.unknown()).optional() }).nullish(),
  pre_tokenizer: z.unknown(),
  decoder: z.looseObject({ type: z.string() }).nullish(),
  model: z.looseObject({
    type: z.string().default('BPE'),
    vocab: z.record(z.string(), z.int()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    ignore_merges: z.boolean().default(false),
    byte_fallback: z.boolean().nullish(),
  }),
});

const special = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish();
const configSchema = z.looseObject({ bos_token: special, eos_token: special, unk_token: special, pad_token: special });

/** @throws UserError for a tokenizer that is no byte-level BPE, or splits text by a rule that llama.cpp has no name for */
export function tokenizerMetadata(files: TokenizerFiles, config: ModelConfig): Map<string, TypedValue> {
  const refused = (what: string) =>
    new UserError(`tokenizer.json: ${what}, which GGUF has no form for`, {
      hint: 'Export as a Hugging Face directory, without --format gguf.',
    });
  const parsed = tokenizerSchema.safeParse(JSON.parse(files.json));
  if (!parsed.success || parsed.data.decoder?.type !== 'ByteLevel' || parsed.data.model.type !== 'BPE')
    throw refused('the tokenizer is no byte-level BPE');
  const { added_tokens: added, normalizer, pre_tokenizer, model } = parsed.data;
  if (normalizer && normalizer.type !== 'NFC' && normalizer.normalizers?.length !== 0)
    throw refused(`it normalises text (${shown(normalizer.type)})`);
  const pre = ruleNameOf(pre_tokenizer, model.ignore_merges);
  if (pre === undefined) throw refused('it splits text by a rule of its own (pre_tokenizer)');
  if (model.byte_fallback) throw refused('it falls back to bytes');

  const tokens = Array.from({ length: config.vocabulary }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(config.vocabulary).fill(TOKEN_TYPES.unused);
  for (const [token, id] of Object.entries(model.vocab)) [tokens[id], types[id]] = [token, TOKEN_TYPES.normal];
  for (const { id, content, special } of added) {
    const isControl = special || /^<[|｜].*[|｜]>$/.test(content);
    [tokens[id], types[id]] = [content, isControl ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined];
  }
  if (tokens.length > config.vocabulary) throw refused(`it has more tokens (${tokens.length}) than the model has rows`);

  const tokenizer = tokenizerFromJson(files.json, files);
  const ids = specialIds(files, config, tokens, tokenizer.endTokens);
  const { start } = tokenizer;
  if (start.length > 1 || (start.length === 1 && start[0] !== ids.bos))
    throw refused(`it puts ${start.length} tokens in front of a text (post_processor)`);
  const template = chatTemplateOf(files);
  return new Map<string, TypedValue>([
    ['tokenizer.ggml.model', { type: 'STRING', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'STRING', value: pre }],
    ['tokenizer.ggml.tokens', { type: 'STRINGS', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'INT32S', value: types }],
    [
      'tokenizer.ggml.merges',
      { type: 'STRINGS', value: model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))) },
    ],
    ...Object.entries(ids).map(([name, value]): [string, TypedValue] => [
      `tokenizer.ggml.${name}_token_id`,
      { type: 'UINT32', value },
    ]),
    ['tokenizer.ggml.add_bos_token', { type: 'BOOL', value: start.length === 1 }],
    ['tokenizer.ggml.add_space_prefix', { type: 'BOOL', value: false }],
    ...(template === undefined
      ? []
      : [['tokenizer.chat_template', { type: 'STRING', value: template }] satisfies [string, TypedValue]]),
  ]);
}

type Role = 'bos' | 'eos' | 'eot' | 'eom' | 'unknown' | 'padding';

/** GGUF has three places for tokens that end a turn: the tokenizer's own end token comes first. */
function specialIds(
  files: TokenizerFiles,
  { specialTokens }: ModelConfig,
  tokens: readonly string[],
  endTokens: readonly number[],
): Partial<Record<Role, number>> {
  const config = configSchema.parse(JSON.parse(files.config ?? '{}'));
  const idOf = (token: string | null | undefined) => {
    const id = token == null ? -1 : tokens.indexOf(token);
    return id < 0 ? undefined : id;
  };
  const ends = [...new Set([idOf(config.eos_token), ...(specialTokens?.eos ?? []), ...endTokens])];
  const [eos, eot, eom] = ends.filter((id) => id !== undefined && id < tokens.length);
  const found: Record<Role, number | undefined> = {
    bos: idOf(config.bos_token) ?? specialTokens?.bos,
    eos,
    eot,
    eom,
    unknown: idOf(config.unk_token),
    padding: idOf(config.pad_token) ?? specialTokens?.pad,
  };
  return Object.fromEntries(Object.entries(found).filter(([, id]) => id !== undefined));
}
