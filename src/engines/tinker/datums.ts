/**
 * Streams to tensors. For ids x₀ … x_n a datum's input is x₀ … x_{n−1} and its targets x₁ … x_n, so a contract's stream goes
 * without its entry 0.
 *
 * JSON: numbers of float32 are written with nine significant digits, which is exact, and half as long as JSON.stringify writes
 * them. Protocol Buffers: little-endian numbers.
 */
import { ProtobufWriter } from '../../base/protobuf.ts';
import type { TokenIds } from '../../policy/policy.ts';

/** float32 values, or int64 ids; of shape [n], or [n, K] by rows. */
export interface TensorInput {
  readonly dtype: 'float32' | 'int64';
  readonly data: ArrayLike<number>;
  /** K; absent for one value a token. */
  readonly columns?: number;
}

export type DatumInputs = Readonly<Record<string, TensorInput>>;

/** `ids` includes the last target. */
export interface Datum {
  readonly ids: TokenIds;
  readonly inputs: DatumInputs;
}

/** x₁ … x_n. */
export function shifted(ids: TokenIds): TensorInput {
  return { dtype: 'int64', data: ids.slice(1) };
}

/** A stream over all ids without its entry 0. */
export function stream(values: Float32Array): TensorInput {
  return { dtype: 'float32', data: values.subarray(1) };
}

export function datumJson({ ids, inputs }: Datum): string {
  const n = ids.length - 1;
  const tensors = Object.entries(inputs).map(([name, tensor]) => `"${name}":${tensorJson(tensor, n)}`);
  const tokens = ids.slice(0, n).join(',');
  return `{"model_input":{"chunks":[{"type":"encoded_text","tokens":[${tokens}]}]},"loss_fn_inputs":{${tensors.join(',')}}}`;
}

function tensorJson(tensor: TensorInput, n: number): string {
  const text = tensor.dtype === 'int64' ? Array.prototype.join.call(tensor.data, ',') : floatList(tensor.data);
  return `{"data":[${text}],"dtype":"${tensor.dtype}","shape":[${shapeOf(tensor, n).join(',')}]}`;
}

/** Neighbours are often equal: masks, advantages of one trajectory, zeros. */
function floatList(data: ArrayLike<number>): string {
  const parts = new Array<string>(data.length);
  let [last, text] = [Number.NaN, ''];
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value !== last) {
      text = String(Number.isInteger(value) ? value : Number(value.toPrecision(9)));
      last = value;
    }
    parts[i] = text;
  }
  return parts.join(',');
}

/** Datum { model_input Chunk* 1, loss_fn_inputs map⟨string, Tensor⟩ 2 }; Chunk { encoded_text { tokens bytes 1 } 1 } */
export function datumMessage({ ids, inputs }: Datum): Uint8Array {
  const n = ids.length - 1;
  const text = new ProtobufWriter();
  text.bytes(1, bytesOf(Int32Array.from(ids.slice(0, n))));
  const chunk = new ProtobufWriter();
  chunk.bytes(1, text);
  const datum = new ProtobufWriter();
  datum.bytes(1, chunk);
  for (const [name, tensor] of Object.entries(inputs)) {
    const entry = new ProtobufWriter();
    entry.bytes(1, name);
    entry.bytes(2, tensorMessage(tensor, n));
    datum.bytes(2, entry);
  }
  return datum.finish();
}

/** Tensor { dense bytes 1, dtype enum 3, shape int64* 4 } */
function tensorMessage(tensor: TensorInput, n: number): ProtobufWriter {
  const { dtype, data } = tensor;
  const shape = shapeOf(tensor, n);
  const message = new ProtobufWriter();
  message.bytes(1, bytesOf(dtype === 'int64' ? BigInt64Array.from(data, BigInt) : Float32Array.from(data)));
  message.integer(3, dtype === 'int64' ? 2 : 1);
  message.integers(4, shape);
  return message;
}

function bytesOf({ buffer }: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> | Float32Array<ArrayBuffer>) {
  return new Uint8Array(buffer);
}

/** @throws RangeError for data of another shape, or a number that is not finite */
function shapeOf({ dtype, data, columns }: TensorInput, n: number): readonly number[] {
  const shape = columns === undefined ? [n] : [n, columns];
  if (data.length !== n * (columns ?? 1))
    throw new RangeError(`tensor: ${data.length} values for [${shape.join(', ')}]`);
  if (dtype === 'float32')
    for (let i = 0; i < data.length; i++)
      if (!Number.isFinite(data[i])) throw new RangeError(`tensor: value ${i} is ${data[i]}`);
  return shape;
}
