/**
 * The few parts of Protocol Buffers that an ONNX model needs, written from typed values; nothing is parsed here.
 * Wire format: https://protobuf.dev/programming-guides/encoding
 */

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/** One message under construction. Fields are written in the order of the calls. */
export class ProtobufWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** An integer field (int32, int64, enum): any safe integer; negative ones take the ten-byte form. */
  integer(field: number, value: number): void {
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
  }

  /** A float field. */
  float(field: number, value: number): void {
    this.#varint(field * 8 + FIXED_32);
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  /** A string (written as UTF-8), bytes, or embedded message field. */
  bytes(field: number, value: string | Uint8Array | ProtobufWriter): void {
    const data = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    const content = data instanceof ProtobufWriter ? data.finish() : data;
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(content.length);
    this.#reserve(content.length);
    this.#bytes.set(content, this.#length);
    this.#length += content.length;
  }

  /** The bytes written so far: a view, valid until the next write. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
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
    grown.set(this.finish());
    this.#bytes = grown;
  }
}
