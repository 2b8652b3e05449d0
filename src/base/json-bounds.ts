/**
 * What a JSON text would become in memory, seen before it is parsed: a few megabytes of brackets are a gigabyte of arrays.
 * Looks at what is outside strings only, so it holds for broken JSON too.
 */
export interface JsonBounds {
  /** Arrays and objects within one another. */
  readonly depth: number;
  /** Strings, brackets and commas: of these a text has at least as many as values, but for the first. */
  readonly values: number;
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Why a text is refused; undefined for one within the bounds. */
export function beyondBounds(text: string, bounds: JsonBounds): string | undefined {
  let [depth, values] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) i = endOfString(text, i + 1);
    else if (unit === LIST || unit === OBJECT) {
      if (++depth > bounds.depth) return `nested deeper than ${bounds.depth} levels`;
    } else if (unit === LIST_END || unit === OBJECT_END) depth -= 1;
    else if (unit !== COMMA) continue;
    if (++values > bounds.values) return `more than ${bounds.values} strings, brackets and commas`;
  }
  return undefined;
}

/** Where the quotation mark stands that ends a string. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (at - 1 - escapes >= from && text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return text.length;
}
