/** What protocol and rollout ask of a tokenizer. */
import type { TokenIds } from '../policy/policy.ts';
import type { ChatMessage } from '../policy/text-model.ts';
import type { Span } from './added-tokens.ts';

export interface Tokenizer {
  /** Size of the id space, added tokens included. */
  readonly vocabulary: number;
  /**
   * Text to ids, no special tokens added; the special tokens' own text is recognised.
   * @param foreign what others wrote: no control token is recognised where it overlaps such a stretch (see added-tokens.ts)
   */
  encode(text: string, foreign?: readonly Span[]): number[];
  /**
   * What stands at the very start of a text that no chat template made: the ids that the tokenizer's post-processor puts there,
   * such as beginning-of-text; for many models nothing.
   */
  readonly start: TokenIds;
  /** Ids to text, special tokens shown. A view only: the ids are the truth. */
  decode(ids: TokenIds): string;
  /**
   * The text that each id contributes, as Latin-1 of its bytes for byte-level vocabularies (a token may be a part of a
   * character); joined, they contain every ASCII string, such as a tag, that the decoded text contains.
   */
  readonly pieces: readonly string[];
  /** A conversation, or a single user message, in the model's chat template with the assistant's turn opened; undefined when the model has none. */
  chat(message: string | readonly ChatMessage[]): string | undefined;
  /**
   * Tokens that end a turn: those that tokenizer_config.json, generation_config.json and config.json name, and <|im_end|>;
   * empty when there are none.
   */
  readonly endTokens: TokenIds;
  /** What a user should know of this tokenizer, in sentences. */
  readonly notes: readonly string[];
  /** SHA-256 of tokenizer.json, chat template and the end tokens of generation_config.json and config.json, for the record. */
  readonly hash: string;
}

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
  /** config.json of the model: further end tokens, and how many ids the model knows. */
  readonly model?: string | undefined;
}
