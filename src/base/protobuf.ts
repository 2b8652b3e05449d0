/**
 * Protocol Buffers without their schemas: messages written from typed values, and read as a list of fields.
 * Wire format: https://protobuf.dev/programming-guides/encoding
 */

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/** Contents of at least this many bytes are referred to, not copied, until the whole message is put together. */
const LARGE = 4096;

/**
 * One message under construction. Fields are written in the order of the calls. Bytes given to it must not change
 * before the outermost message is finished.
 */
export class ProtobufWriter {
  /** What comes before `#bytes`. */
  readonly #chunks: Uint8Array[] = [];
  #bytes = new Uint8Array(256);
  #length = 0;

  /** An integer field (int32, int64, enum): any safe integer; negative ones take the ten-byte form. */
  integer(field: number, value: number): void {
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
  }

  /** A repeated integer field, packed as proto3 has it. */
  integers(field: number, values: readonly number[]): void {
    const packed = new ProtobufWriter();
    for (const value of values) packed.#varint(value);
    this.bytes(field, packed);
  }

  /** A float field. */
  float(field: number, value: number): void {
    this.#varint(field * 8 + FIXED_32);
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  /** A double field. */
  double(field: number, value: number): void {
    this.#varint(field * 8 + FIXED_64);
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** A string (written as UTF-8), bytes, or embedded message field. */
  bytes(field: number, value: string | Uint8Array | ProtobufWriter): void {
    const data = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    const chunks = data instanceof ProtobufWriter ? data.#allChunks() : [data];
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(sizeOf(chunks));
    for (const chunk of chunks) this.#append(chunk);
  }

  /** The message: a view, valid until the next write. */
  finish(): Uint8Array {
    const chunks = this.#allChunks();
    if (chunks.length === 1) return chunks[0]!;
    const whole = new Uint8Array(sizeOf(chunks));
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  #allChunks(): Uint8Array[] {
    return [...this.#chunks, this.#bytes.subarray(0, this.#length)];
  }

  #append(chunk: Uint8Array): void {
    if (chunk.length >= LARGE) {
      this.#chunks.push(this.#bytes.subarray(0, this.#length), chunk);
      this.#bytes = new Uint8Array(256);
      this.#length = 0;
      return;
    }
    this.#reserve(chunk.length);
    this.#bytes.set(chunk, this.#length);
    this.#length += chunk.length;
  }

  /** Base 128, least significant group first; a set high bit says that more follow. */
  #varint(value: number): void {
    this.#reserve(10);
    if (value < 0) {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128;
      this.#bytes[this.#length++] = Number(rest);
      return;
    }
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 128;
    this.#bytes[this.#length++] = rest;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** A field of a message as it was written: what a number or bytes mean is for the reader of the message to know. */
export type ProtobufField =
  | { readonly field: number; readonly type: 'integer' | 'float' | 'double'; readonly value: number }
  /** A string, bytes, an embedded message, or packed numbers. */
  | { readonly field: number; readonly type: 'bytes'; readonly value: Uint8Array };

/**
 * The fields of a message, in the order in which they were written; bytes are views of `message`.
 * @throws RangeError for what is no message, or was cut off
 */
export function* readProtobuf(message: Uint8Array): Generator<ProtobufField> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const take = (count: number): number => {
    const start = at;
    at += count;
    if (at > message.length) throw new RangeError(`protobuf: ${message.length} bytes where ${at} are said to be`);
    return start;
  };
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const group = message[take(1)]!;
      value |= BigInt(group & 127) << shift;
      if (group < 128) return value;
    }
    throw new RangeError('protobuf: an integer of more than ten bytes');
  };
  while (at < message.length) {
    const tag = Number(varint());
    const field = Math.floor(tag / 8);
    if (field === 0) throw new RangeError('protobuf: a field of number 0');
    switch (tag % 8) {
      case VARINT:
        // int32, int64 and enum: negative numbers have all 64 bits.
        yield { field, type: 'integer', value: Number(BigInt.asIntN(64, varint())) };
        break;
      case FIXED_64:
        yield { field, type: 'double', value: view.getFloat64(take(8), true) };
        break;
      case LENGTH_DELIMITED: {
        const length = Number(varint());
        const start = take(length);
        yield { field, type: 'bytes', value: message.subarray(start, start + length) };
        break;
      }
      case FIXED_32:
        yield { field, type: 'float', value: view.getFloat32(take(4), true) };
        break;
      default:
        throw new RangeError(`protobuf: field ${field} is of the unknown type ${tag % 8}`);
    }
  }
}
