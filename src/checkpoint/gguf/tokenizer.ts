/** The tokenizer of a GGUF file, as the files that Hugging Face's libraries read. */
import { UserError } from '../../base/errors.ts';
import { LIMITS, type ModelConfig, oneOrMany } from '../config.ts';
import type { TokenizerFiles } from '../tokenizer.types.ts';
import type { Metadata } from './metadata.ts';
import { ruleNames, type Splitting, splittingOf } from './splitting.ts';

/** `tokenizer.ggml.token_type` */
export const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const MODEL = 'tokenizer.ggml.model';
const PRE = 'tokenizer.ggml.pre';

/**
 * @param config of the same file
 * @throws UserError naming file and key for a tokenizer of another kind than byte-level BPE, a splitting rule that is not known,
 * and lists that do not fit each other
 */
export function tokenizerFilesOf(metadata: Metadata, file: string, config: ModelConfig): TokenizerFiles {
  const hint = 'Give the tokenizer.json that the model was trained with by --tokenizer.';
  const wrong = (what: string) => new UserError(`${file}: ${what}`, { hint });
  const model = metadata.text(MODEL);
  if (model !== 'gpt2')
    throw wrong(
      `${MODEL}: ${model === undefined ? 'none' : metadata.describe(MODEL)} is not supported, expected "gpt2" (byte-level BPE)`,
    );
  const pre = metadata.text(PRE);
  const splitting = pre === undefined ? undefined : splittingOf(pre);
  if (splitting === undefined)
    throw new UserError(
      `${file}: ${PRE}: ${pre === undefined ? 'none' : metadata.describe(PRE)} is no rule for splitting text that is known`,
      {
        hint: `Known are ${ruleNames.join(', ')}. ${hint}`,
      },
    );
  const tokens = metadata.texts('tokenizer.ggml.tokens', LIMITS.vocabulary);
  const merges = metadata.texts('tokenizer.ggml.merges', 4 * LIMITS.vocabulary);
  if (tokens === undefined || merges === undefined)
    throw wrong(`tokenizer.ggml.${tokens === undefined ? 'tokens' : 'merges'} is missing`);
  const types =
    metadata.numbers('tokenizer.ggml.token_type', LIMITS.vocabulary) ?? tokens.map(() => TOKEN_TYPES.normal);
  if (types.length !== tokens.length)
    throw wrong(`tokenizer.ggml.token_type has ${types.length} entries, tokenizer.ggml.tokens ${tokens.length}`);

  const special = specialOf(metadata, tokens);
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens, types),
    normalizer: splitting.normalizer,
    pre_tokenizer: splitting.pre_tokenizer,
    post_processor: postProcessor(metadata, splitting, special),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: splitting.ignoreMerges,
      vocab: vocabularyOf(tokens, types, wrong),
      merges: merges.map((merge, i) => pairOf(merge, i, wrong)),
    },
  };
  const { specialTokens, contextLength } = config;
  const template = metadata.text('tokenizer.chat_template');
  const config_ = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...Object.fromEntries(Object.entries(special).map(([name, id]) => [`${name}_token`, tokens[id]])),
    clean_up_tokenization_spaces: false,
    model_max_length: contextLength,
    ...(template !== undefined && { chat_template: template }),
  };
  const eos = specialTokens?.eos;
  const generation = {
    ...(specialTokens?.bos !== undefined && { bos_token_id: specialTokens.bos }),
    ...(eos && { eos_token_id: oneOrMany(eos) }),
    ...(specialTokens?.pad !== undefined && { pad_token_id: specialTokens.pad }),
  };
  const text = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
  return {
    json: JSON.stringify(json),
    config: text(config_),
    ...(Object.keys(generation).length > 0 && { generation: text(generation) }),
    model: text({ vocab_size: config.vocabulary, ...(eos && { eos_token_id: oneOrMany(eos) }) }),
  };
}

type Special = Partial<Record<'bos' | 'eos' | 'unk' | 'pad', number>>;

/** Ids beyond the vocabulary stand for none. */
function specialOf(metadata: Metadata, tokens: readonly string[]): Special {
  const special: Special = {};
  for (const [name, key] of [
    ['bos', 'bos'],
    ['eos', 'eos'],
    ['unk', 'unknown'],
    ['pad', 'padding'],
  ] as const) {
    const id = metadata.number(`tokenizer.ggml.${key}_token_id`);
    if (id !== undefined && tokens[id] !== undefined) special[name] = id;
  }
  return special;
}

/** Control tokens are special ones; those that a user defined are only found in the text before anything else. */
function addedTokens(tokens: readonly string[], types: readonly number[]): object[] {
  return tokens.flatMap((content, id) => {
    const type = types[id];
    const isSpecial = type === TOKEN_TYPES.control || type === TOKEN_TYPES.unknown;
    if (content === '' || !(isSpecial || type === TOKEN_TYPES.userDefined)) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: isSpecial }];
  });
}

/** Names that fill up the embedding, such as [PAD151936], are no tokens. */
function vocabularyOf(
  tokens: readonly string[],
  types: readonly number[],
  wrong: (what: string) => UserError,
): Record<string, number> {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (token === '' || types[id] === TOKEN_TYPES.unused) continue;
    if (ids.has(token))
      throw wrong(`tokenizer.ggml.tokens: ${JSON.stringify(token)} stands there as ${ids.get(token)} and as ${id}`);
    ids.set(token, id);
  }
  return Object.fromEntries(ids);
}

/** Two tokens with a space between them. */
function pairOf(merge: string, index: number, wrong: (what: string) => UserError): [string, string] {
  // A token may itself begin with a space in odd vocabularies: the space between is never the first character.
  const at = merge.indexOf(' ', 1);
  if (at < 0 || at === merge.length - 1)
    throw wrong(
      `tokenizer.ggml.merges[${index}]: expected two tokens with a space between, found ${JSON.stringify(merge)}`,
    );
  return [merge.slice(0, at), merge.slice(at + 1)];
}

/** Beginning and end of text, where the file or the rule says that texts have them. */
function postProcessor(metadata: Metadata, splitting: Splitting, { bos, eos }: Special): object | null {
  const begins = metadata.boolean('tokenizer.ggml.add_bos_token') ?? splitting.addBos;
  const ends = metadata.boolean('tokenizer.ggml.add_eos_token') ?? false;
  const [first, last] = [begins ? bos : undefined, ends ? eos : undefined];
  if (first === undefined && last === undefined) return null;
  const tokens = metadata.texts('tokenizer.ggml.tokens', LIMITS.vocabulary)!;
  const piece = (id: number | undefined, type_id: number) =>
    id === undefined ? [] : [{ SpecialToken: { id: tokens[id]!, type_id } }];
  const text = (id: 'A' | 'B', type_id: number) => [
    ...piece(first, type_id),
    { Sequence: { id, type_id } },
    ...piece(last, type_id),
  ];
  const used = [first, last].filter((id) => id !== undefined);
  return {
    type: 'TemplateProcessing',
    single: text('A', 0),
    pair: [...text('A', 0), ...text('B', 1)],
    special_tokens: Object.fromEntries(
      used.map((id) => [tokens[id]!, { id: tokens[id]!, ids: [id], tokens: [tokens[id]!] }]),
    ),
  };
}
