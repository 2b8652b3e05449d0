/** The text that each id of a tokenizer contributes to what is decoded (see `pieces` of tokenizer.types.ts). */

/**
 * One entry per id; an id without a token contributes nothing.
 * @param added ids of added tokens, which stand in the vocabulary as plain text
 * @param decoder the decoder of tokenizer.json, which says how the vocabulary is written
 */
export function piecesOf(
  tokens: readonly (string | undefined)[],
  added: ReadonlySet<number>,
  decoder: { readonly type: string; readonly prefix?: unknown } | null,
): string[] {
  switch (decoder?.type) {
    case 'ByteLevel':
      return tokens.map((token = '', id) =>
        added.has(id) ? Buffer.from(token, 'utf8').toString('latin1') : latin1OfBytes(token),
      );
    case 'WordPiece': {
      // A word is preceded by a space, a continuation such as "##ing" is not.
      const prefix = String(decoder.prefix ?? '##');
      return tokens.map((token) => {
        if (token === undefined) return '';
        return token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      });
    }
    default:
      return tokens.map((token = '') => token);
  }
}

/** Byte-level vocabularies (GPT-2's alphabet) write the printable bytes of Latin-1 as themselves. */
const NOT_PRINTABLE = /[^!-~\u00a1-\u00ac\u00ae-\u00ff]/g;

/** The other 68 bytes, in order, are written as the characters from U+0100 on. */
const OTHER_BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).flatMap(
  (character) => character.match(NOT_PRINTABLE) ?? [],
);

function latin1OfBytes(token: string): string {
  return token.replace(NOT_PRINTABLE, (character) => OTHER_BYTES[character.charCodeAt(0) - 0x100] ?? character);
}
