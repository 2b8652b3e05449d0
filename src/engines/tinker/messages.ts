/**
 * Results in Protocol Buffers, read into the values that JSON would have held: what comes after them (wire.ts) knows one form.
 * All bytes are little-endian; NaN says "none", as null does in JSON.
 */
import { readProtobuf } from '../../base/protobuf.ts';

type Numbers = (number | null)[];

/** ForwardBackwardOutput { loss_fn_output_type string 1, loss_fn_outputs ArrayRecord* 2, metrics map⟨string, double⟩ 3 } */
export function readPass(message: Uint8Array): unknown {
  const outputs: Record<string, { data: Numbers }>[] = [];
  const metrics: [string, number | null][] = [];
  for (const { field, value } of readProtobuf(message)) {
    if (field === 2) outputs.push(...readArrays(bytes(value)));
    else if (field === 3) {
      const [name, number] = readEntry(bytes(value));
      metrics.push([name, numberOrNull(number === undefined ? 0 : integer(number))]);
    }
  }
  return { loss_fn_outputs: outputs, metrics: Object.fromEntries(metrics) };
}

/** ArrayRecord { fields map⟨string, BatchedTensor⟩ 2, num_datums int64 3 }: the tensors of one datum after the other. */
function readArrays(message: Uint8Array): Record<string, { data: Numbers }>[] {
  const fields: [string, Numbers[]][] = [];
  let datums = 0;
  for (const { field, value } of readProtobuf(message)) {
    if (field === 3) datums = integer(value);
    else if (field === 2) {
      const [name, batch] = readEntry(bytes(value));
      fields.push([name, readBatch(bytes(batch ?? new Uint8Array()))]);
    }
  }
  datums ||= fields[0]?.[1].length ?? 0;
  // An answer may leave values out; a number of datums alone does not take memory.
  if (fields.length === 0 && datums > 0) throw new RangeError(`${datums} datums without a value`);
  for (const [name, batch] of fields)
    if (batch.length !== datums) throw new RangeError(`${name}: ${batch.length} tensors for ${datums} datums`);
  return Array.from({ length: datums }, (_, i) =>
    Object.fromEntries(fields.map(([name, batch]) => [name, { data: batch[i]! }])),
  );
}

/** BatchedTensor { data bytes 1, offsets bytes 2, dtype enum 3 }: tensor i is data[offset i … offset i + 1). */
function readBatch(message: Uint8Array): Numbers[] {
  let [data, offsets, dtype] = [new Uint8Array(), new Uint8Array(), 0];
  for (const { field, value } of readProtobuf(message)) {
    if (field === 1) data = bytes(value);
    else if (field === 2) offsets = bytes(value);
    else if (field === 3) dtype = integer(value);
  }
  const at = int64s(offsets);
  return at.slice(1).map((end, i) => {
    const start = at[i]!;
    if (!(start >= 0 && start <= end && end <= data.length)) throw new RangeError(`offsets ${start} to ${end}`);
    return numbers(data.subarray(start, end), dtype);
  });
}

/** SampleResponse { sequences SampledSequence* 1, prompt_logprobs bytes 2, topk_prompt_logprobs 3 } */
export function readSamples(message: Uint8Array): unknown {
  const sequences: unknown[] = [];
  let [scores, table]: [Numbers | null, unknown[] | null] = [null, null];
  for (const { field, value } of readProtobuf(message)) {
    if (field === 1) sequences.push(readSequence(bytes(value)));
    else if (field === 2) scores = float32s(bytes(value));
    else if (field === 3) table = readTable(bytes(value));
  }
  return { sequences, prompt_logprobs: scores, topk_prompt_logprobs: table };
}

/** SampledSequence { stop_reason enum 1, tokens bytes 2 (int32), logprobs bytes 3 } */
function readSequence(message: Uint8Array): unknown {
  let [reason, tokens, logprobs]: [number, Numbers, Numbers | null] = [0, [], null];
  for (const { field, value } of readProtobuf(message)) {
    if (field === 1) reason = integer(value);
    else if (field === 2) tokens = int32s(bytes(value));
    else if (field === 3) logprobs = float32s(bytes(value));
  }
  return { stop_reason: ['stop', 'length'][reason], tokens, logprobs };
}

/** What fills up a row of the table that has fewer entries. */
const EMPTY = -99_999;

/** TopkPromptLogprobs { token_ids bytes 1 (int32), logprobs bytes 2, k uint32 3, prompt_length uint32 4 }, by rows. */
function readTable(message: Uint8Array): unknown[] {
  let [ids, logprobs, k, rows]: [Numbers, Numbers, number, number] = [[], [], 0, 0];
  for (const { field, value } of readProtobuf(message)) {
    if (field === 1) ids = int32s(bytes(value));
    else if (field === 2) logprobs = float32s(bytes(value));
    else if (field === 3) k = integer(value);
    else if (field === 4) rows = integer(value);
  }
  if (ids.length !== rows * k || logprobs.length !== rows * k)
    throw new RangeError(`a table of ${rows} rows of ${k} with ${ids.length} ids and ${logprobs.length} values`);
  return Array.from({ length: rows }, (_, row) => {
    const entries = ids.slice(row * k, (row + 1) * k).map((id, column) => [id, logprobs[row * k + column]!]);
    const given = entries.filter(([, logprob]) => logprob !== EMPTY);
    return given.length === 0 ? null : given;
  });
}

/** An entry of a map: key 1, value 2. A value that is its type's zero may be left out. */
function readEntry(message: Uint8Array): [string, number | Uint8Array | undefined] {
  let [key, value]: [string, number | Uint8Array | undefined] = ['', undefined];
  for (const entry of readProtobuf(message)) {
    if (entry.field === 1) key = new TextDecoder().decode(bytes(entry.value));
    else if (entry.field === 2) value = entry.value;
  }
  return [key, value];
}

function bytes(value: number | Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof value === 'number') throw new RangeError('a number where bytes were expected');
  return value as Uint8Array<ArrayBuffer>;
}

function integer(value: number | Uint8Array): number {
  if (typeof value !== 'number') throw new RangeError('bytes where a number was expected');
  return value;
}

/** @param dtype float32 1, int64 2, int32 3, bfloat16 4 */
function numbers(data: Uint8Array<ArrayBuffer>, dtype: number): Numbers {
  switch (dtype) {
    case 1:
      return float32s(data);
    case 2:
      return int64s(data);
    case 3:
      return int32s(data);
    case 4:
      // The upper half of a float32.
      return float32s(widened(data));
    default:
      throw new RangeError(`dtype ${dtype} is unknown`);
  }
}

function widened(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const wide = new Uint8Array(2 * data.length);
  for (let i = 0; i < data.length; i++) wide[4 * (i >> 1) + 2 + (i & 1)] = data[i]!;
  return wide;
}

function float32s(data: Uint8Array<ArrayBuffer>): Numbers {
  return Array.from(new Float32Array(aligned(data, 4)), numberOrNull);
}

function int32s(data: Uint8Array<ArrayBuffer>): number[] {
  return [...new Int32Array(aligned(data, 4))];
}

function int64s(data: Uint8Array<ArrayBuffer>): number[] {
  return Array.from(new BigInt64Array(aligned(data, 8)), Number);
}

/** A copy: typed arrays begin at multiples of their element's size. (A Buffer's own `slice` copies nothing.) */
function aligned(data: Uint8Array<ArrayBuffer>, size: number): ArrayBuffer {
  if (data.length % size !== 0) throw new RangeError(`${data.length} bytes for numbers of ${size}`);
  return new Uint8Array(data).buffer;
}

function numberOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
