/** Writes the passages of an index as they are read: their lines, where these end, and the corpus hash. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { passageLine } from '../corpus.ts';
import type { Passage } from '../retriever.ts';
import { type FileSum, FileWriter } from './array-files.ts';
import { FILES, type PassageFile } from './manifest.ts';

export class PassageWriter {
  /** The file of the lines. */
  readonly file: string;
  readonly #hash = createHash('sha256');
  readonly #lines: FileWriter;
  readonly #ends: FileWriter;
  readonly #sums: FileWriter;
  passages = 0;

  constructor(folder: string) {
    this.file = path.join(folder, FILES.passages);
    this.#lines = new FileWriter(folder, FILES.passages);
    this.#ends = new FileWriter(folder, FILES.passageEnds);
    this.#sums = new FileWriter(folder, FILES.passageSums);
  }

  /** Bytes of all lines so far. */
  get bytes(): number {
    return this.#lines.bytes;
  }

  add(passage: Passage): void {
    const line = Buffer.from(passageLine(passage));
    this.#hash.update(line);
    this.#lines.array(line);
    this.#ends.f64(this.#lines.bytes);
    this.#sums.u32(crc32(line));
    this.passages += 1;
  }

  /** Makes the lines so far readable in the file. */
  flush(): void {
    this.#lines.flush();
  }

  /** The corpus hash of what has been added so far. */
  hash(): string {
    return this.#hash.copy().digest('hex');
  }

  finish(): Record<PassageFile, FileSum> {
    return {
      [FILES.passages]: this.#lines.finish(),
      [FILES.passageEnds]: this.#ends.finish(),
      [FILES.passageSums]: this.#sums.finish(),
    };
  }

  abandon(): void {
    for (const writer of [this.#lines, this.#ends, this.#sums]) writer.abandon();
  }
}
