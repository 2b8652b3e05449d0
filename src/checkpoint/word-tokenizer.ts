/**
 * tokenizer.json for a language of whole words between white space.
 *
 * Expressed as a WordPiece model without continuation pieces, which both the JavaScript and the original library load:
 * with no "##..." entry in the vocabulary a word is found whole or not at all.
 */

const UNKNOWN = '<unk>';
const CONTINUATION = '##';

/**
 * The text of a tokenizer.json, one id for each entry: the special tokens in the given order, then `<unk>` unless it is
 * among them, then the words. Special tokens are recognised wherever their text stands, even glued to words; every
 * other word that is not listed becomes `<unk>`. Decoding joins tokens by single spaces, so that decode(encode(text))
 * is the text whenever it is made of known words and special tokens with single spaces between them.
 * @throws RangeError for an entry that could not be encoded: empty, listed twice, with white space, beginning with
 * "##", or a word that contains a special token
 */
export function wordTokenizerJson(words: readonly string[], special: readonly string[]): string {
  const marks = special.includes(UNKNOWN) ? special : [...special, UNKNOWN];
  const tokens = [...marks, ...words];
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token === '' || /\s/.test(token) || token.startsWith(CONTINUATION) || seen.has(token))
      throw new RangeError(
        `${JSON.stringify(token)} cannot be a token: it is empty, listed twice, has white space or begins with ##`,
      );
    seen.add(token);
  }
  for (const word of words) {
    const mark = marks.find((token) => word.includes(token));
    if (mark !== undefined) throw new RangeError(`the word "${word}" contains the special token "${mark}"`);
  }
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: marks.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: CONTINUATION, cleanup: false },
    model: {
      type: 'WordPiece',
      unk_token: UNKNOWN,
      continuing_subword_prefix: CONTINUATION,
      max_input_chars_per_word: Math.max(...tokens.map((token) => token.length)),
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  });
}
