/**
 * What a JSON text would become in memory, seen before it is parsed: a few megabytes of brackets are a gigabyte of arrays.
 * Looks at bytes outside strings only, so it holds for broken JSON too.
 */
export interface JsonBounds {
  /** Arrays and objects within one another. */
  readonly depth: number;
  /** Commas and brackets, of which a text has at least as many as values, but for the first. */
  readonly values: number;
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const OPENING = [0x5b, 0x7b];
const CLOSING = [0x5d, 0x7d];

/** Why a text is refused; undefined for one within the bounds. */
export function beyondBounds(bytes: Uint8Array, bounds: JsonBounds): string | undefined {
  let [depth, values] = [0, 0];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      i = endOfString(bytes, i + 1);
      continue;
    }
    if (OPENING.includes(byte)) {
      if (++depth > bounds.depth) return `expected at most ${bounds.depth} levels of brackets`;
    } else if (CLOSING.includes(byte)) depth -= 1;
    else if (byte !== COMMA) continue;
    if (++values > bounds.values) return `expected at most ${bounds.values} commas and brackets`;
  }
  return undefined;
}

/** Where the quotation mark stands that ends a string. */
function endOfString(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(QUOTE, from); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH && at - 1 - escapes >= from) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return bytes.length;
}
