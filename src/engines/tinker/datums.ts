/**
 * Streams to tensors. For ids x₀ … x_n a datum's input is x₀ … x_{n−1} and its targets x₁ … x_n, so a contract's stream goes
 * without its entry 0.
 *
 * Datums are written as JSON at once: numbers of float32 with nine significant digits, which is exact, and half as long as
 * JSON.stringify writes them.
 */
import type { TokenIds } from '../../policy/policy.ts';

/** float32 values, or int64 ids; of shape [n], or [n, K] by rows. */
export interface TensorInput {
  readonly dtype: 'float32' | 'int64';
  readonly data: ArrayLike<number>;
  /** K; absent for one value a token. */
  readonly columns?: number;
}

export type DatumInputs = Readonly<Record<string, TensorInput>>;

/** One datum as JSON; `ids` includes the last target. */
export function encodeDatum(ids: TokenIds, inputs: DatumInputs): string {
  const n = ids.length - 1;
  const tensors = Object.entries(inputs).map(([name, tensor]) => `"${name}":${encodeTensor(tensor, n)}`);
  const tokens = ids.slice(0, n).join(',');
  return `{"model_input":{"chunks":[{"type":"encoded_text","tokens":[${tokens}]}]},"loss_fn_inputs":{${tensors.join(',')}}}`;
}

/** x₁ … x_n. */
export function shifted(ids: TokenIds): TensorInput {
  return { dtype: 'int64', data: ids.slice(1) };
}

/** A stream over all ids without its entry 0. */
export function stream(values: Float32Array): TensorInput {
  return { dtype: 'float32', data: values.subarray(1) };
}

function encodeTensor({ dtype, data, columns }: TensorInput, n: number): string {
  if (data.length !== n * (columns ?? 1))
    throw new RangeError(`tensor: ${data.length} values for [${n}${columns === undefined ? '' : `, ${columns}`}]`);
  const shape = columns === undefined ? `${n}` : `${n},${columns}`;
  const text = dtype === 'int64' ? Array.prototype.join.call(data, ',') : floatList(data);
  return `{"data":[${text}],"dtype":"${dtype}","shape":[${shape}]}`;
}

/** Neighbours are often equal: masks, advantages of one trajectory, zeros. */
function floatList(data: ArrayLike<number>): string {
  const parts = new Array<string>(data.length);
  let [last, text] = [Number.NaN, ''];
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value !== last) {
      if (!Number.isFinite(value)) throw new RangeError(`tensor: value ${i} is ${value}`);
      text = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(9)));
      last = value;
    }
    parts[i] = text;
  }
  return parts.join(',');
}

const MOST_DATUMS = 128;
const MOST_BYTES = 4e6;

/** Datums by request: at most 128 and 4 MB; a larger one goes alone. Order is kept. */
export function requestsOf(datums: readonly string[]): string[][] {
  const requests: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const datum of datums) {
    if (bytes + datum.length > MOST_BYTES || requests.at(-1)!.length === MOST_DATUMS) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)!.push(datum);
    bytes += datum.length;
  }
  return requests;
}
