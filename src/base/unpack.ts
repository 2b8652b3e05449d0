/** Packed text files, told by their first bytes: gzip and zstd are read, whatever the name; other forms are refused by name. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { UserError } from './errors.ts';
import { decodeUtf8, formOf, otherForm, withoutMark } from './text.ts';

/** First bytes that tell the form of a file. */
export const HEAD_BYTES = 64;

const AGAIN = 'Fetch or compress the file again.';

/** The bytes of a text file, unpacked where its first bytes say that it is packed. The first chunk is whole enough to tell. */
export async function* unpacked(raw: Readable, place: string): AsyncGenerator<Buffer> {
  const chunks = raw[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head: Buffer = Buffer.alloc(0);
  // A line will do: a program that asks line by line waits for answers.
  while (head.length < HEAD_BYTES && !head.includes(0x0a)) {
    const { done, value } = await chunks.next();
    if (done) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  const form = formOf(head);
  if (typeof form === 'object') throw otherForm(place, form);
  // A name that ends in .gz over plain text is met after downloads that unpacked it; over anything else the file is damaged.
  const start = decodeUtf8(withoutMark(head));
  if (form === undefined && place.endsWith('.gz') && typeof start === 'object' && start.offset === 0)
    throw new UserError(`${place}: damaged gzip data (it does not begin as gzip does)`, { hint: AGAIN });
  const all = joined(head, chunks);
  if (form === undefined) {
    yield* all;
    return;
  }
  const unpacker = form === 'gzip' ? createGunzip({ chunkSize: 1 << 18 }) : createZstdDecompress();
  try {
    // pipeline() forwards errors, pipe() would not; they come out of the loop over what is unpacked.
    yield* pipeline(Readable.from(all), unpacker, () => {}) as AsyncIterable<Buffer>;
  } catch (error) {
    throw damage(error, form, place) ?? error;
  }
}

async function* joined(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* { [Symbol.asyncIterator]: () => rest };
}

/** What an error of unpacking means; undefined for any other error. */
function damage(error: unknown, form: string, place: string): UserError | undefined {
  if (!(error instanceof Error && 'code' in error && /^(Z|ZSTD)_/.test(String(error.code)))) return undefined;
  // The first bytes were those of a packed file: another header can only follow its end.
  if (/incorrect header check|unknown compression method/.test(error.message))
    return new UserError(`${place}: something else follows the end of the ${form} data`, {
      hint: 'Unpack it, join the parts as text, and compress the whole.',
      cause: error,
    });
  return new UserError(`${place}: damaged ${form} data (${error.message})`, { hint: AGAIN, cause: error });
}
