/**
 * The texts of a shard's trajectories for searching, each text once: the rollouts of a question share most of what they were shown.
 *
 *     bytes    lower case, UTF-8, a zero byte behind each text
 *     starts   where each text begins                          [texts + 1]
 *     rows     for each row its texts, by number: rowTexts[rowStarts[r] .. rowStarts[r+1])
 */
export interface TextPieces {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly rowStarts: Uint32Array;
  readonly rowTexts: Uint32Array;
}

export class PieceMaker {
  readonly #numbers = new Map<string, number>();
  readonly #parts: Buffer[] = [];
  readonly #starts: number[] = [0];
  readonly #rowStarts: number[] = [0];
  readonly #rowTexts: number[] = [];

  addRow(texts: Iterable<string>): void {
    for (const text of texts) {
      let number = this.#numbers.get(text);
      if (number === undefined) {
        number = this.#numbers.size;
        this.#numbers.set(text, number);
        const bytes = Buffer.from(`${text.toLowerCase()}\0`);
        this.#parts.push(bytes);
        this.#starts.push(this.#starts.at(-1)! + bytes.length);
      }
      this.#rowTexts.push(number);
    }
    this.#rowStarts.push(this.#rowTexts.length);
  }

  pieces(): TextPieces {
    return {
      bytes: Buffer.concat(this.#parts),
      starts: Uint32Array.from(this.#starts),
      rowStarts: Uint32Array.from(this.#rowStarts),
      rowTexts: Uint32Array.from(this.#rowTexts),
    };
  }
}

/** Which rows hold the text, in either case. */
export function rowsWith({ bytes, starts, rowStarts, rowTexts }: TextPieces, text: string): (row: number) => boolean {
  const needle = Buffer.from(text.toLowerCase());
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hits = new Set<number>();
  for (let at = view.indexOf(needle); at >= 0; ) {
    const piece = pieceAt(starts, at);
    hits.add(piece);
    at = view.indexOf(needle, starts[piece + 1]!);
  }
  return (row) => {
    for (let i = rowStarts[row]!; i < rowStarts[row + 1]!; i++) if (hits.has(rowTexts[i]!)) return true;
    return false;
  };
}

/** The text that begins at or before a byte. */
function pieceAt(starts: Uint32Array, at: number): number {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= at) low = middle;
    else high = middle;
  }
  return low;
}
