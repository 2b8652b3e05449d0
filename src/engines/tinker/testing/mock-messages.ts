/** The server's side of Protocol Buffers: requests read into what JSON would have held, results written. */
import { ProtobufWriter, readProtobuf } from '../../../base/protobuf.ts';

type Field = number | Uint8Array;
type Answer = Readonly<Record<string, unknown>>;

/** A ForwardBackwardRequest as the body of `forward` or `forward_backward` in JSON. */
export function readPassRequest(message: Uint8Array): { name: 'forward' | 'forward_backward'; body: Answer } {
  const fields = read(message);
  const name = fields.get(6)?.[0] === 1 ? 'forward' : 'forward_backward';
  const input = { data: (fields.get(3) ?? []).map(readDatum), loss_fn: text(fields.get(4)![0]!) };
  return { name, body: { model_id: text(fields.get(1)![0]!), seq_id: fields.get(2)![0], [`${name}_input`]: input } };
}

function readDatum(message: Field): unknown {
  const fields = read(message);
  const chunks = fields.get(1)!.map((chunk) => {
    const tokens = read(read(chunk).get(1)![0]!).get(1)![0] as Uint8Array;
    return { type: 'encoded_text', tokens: [...new Int32Array(new Uint8Array(tokens).buffer)] };
  });
  const tensors = fields.get(2)!.map((entry) => {
    const [name, tensor] = [read(entry).get(1)![0]!, read(read(entry).get(2)![0]!)];
    const dense = new Uint8Array(tensor.get(1)![0] as Uint8Array).buffer;
    const data = tensor.get(3)![0] === 1 ? [...new Float32Array(dense)] : [...new BigInt64Array(dense)].map(Number);
    return [
      text(name),
      { data, dtype: tensor.get(3)![0] === 1 ? 'float32' : 'int64', shape: unpacked(tensor.get(4)![0] as Uint8Array) },
    ];
  });
  return { model_input: { chunks }, loss_fn_inputs: Object.fromEntries(tensors) };
}

/** Packed integers of at most 28 bits. */
function unpacked(packed: Uint8Array): number[] {
  const values: number[] = [];
  let [value, shift] = [0, 0];
  for (const group of packed) {
    value |= (group & 127) << shift;
    shift += 7;
    if (group > 127) continue;
    values.push(value);
    [value, shift] = [0, 0];
  }
  return values;
}

/** All values of each field, in order. */
function read(message: Field): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  for (const { field, value } of readProtobuf(message as Uint8Array))
    fields.set(field, [...(fields.get(field) ?? []), value]);
  return fields;
}

function text(value: Field): string {
  return new TextDecoder().decode(value as Uint8Array);
}

/** A result of `forward`, `forward_backward` or `asample`. */
export function writeResult(answer: Answer): Uint8Array {
  return 'sequences' in answer ? writeSamples(answer) : writePass(answer);
}

function writePass(answer: Answer): Uint8Array {
  const outputs = answer.loss_fn_outputs as { logprobs: { data: number[] } }[];
  const ends = [0];
  for (const { logprobs } of outputs) ends.push(ends.at(-1)! + 4 * logprobs.data.length);
  const batch = new ProtobufWriter();
  batch.bytes(1, raw(Float32Array.from(outputs.flatMap(({ logprobs }) => logprobs.data))));
  batch.bytes(2, raw(BigInt64Array.from(ends, BigInt)));
  batch.integer(3, 1);
  const record = new ProtobufWriter();
  record.bytes(2, entry('logprobs', batch));
  record.integer(3, outputs.length);
  const message = new ProtobufWriter();
  message.bytes(1, answer.loss_fn_output_type as string);
  message.bytes(2, record);
  for (const [name, value] of Object.entries(answer.metrics as Record<string, number>))
    message.bytes(3, entry(name, value));
  return message.finish();
}

function writeSamples(answer: Answer): Uint8Array {
  const message = new ProtobufWriter();
  for (const sequence of answer.sequences as { tokens: number[]; logprobs: number[]; stop_reason: string }[]) {
    const inner = new ProtobufWriter();
    inner.integer(1, sequence.stop_reason === 'stop' ? 0 : 1);
    inner.bytes(2, raw(Int32Array.from(sequence.tokens)));
    inner.bytes(3, raw(Float32Array.from(sequence.logprobs)));
    message.bytes(1, inner);
  }
  const scores = answer.prompt_logprobs as (number | null)[] | undefined;
  if (scores) message.bytes(2, raw(Float32Array.from(scores, (value) => value ?? Number.NaN)));
  const rows = answer.topk_prompt_logprobs as ((readonly [number, number])[] | null)[] | undefined;
  if (rows) message.bytes(3, writeTable(rows));
  return message.finish();
}

function writeTable(rows: readonly (readonly (readonly [number, number])[] | null)[]): ProtobufWriter {
  const k = Math.max(...rows.map((row) => row?.length ?? 0));
  const cells = rows.flatMap((row) =>
    Array.from({ length: k }, (_, column) => row?.[column] ?? ([0, -99_999] as const)),
  );
  const table = new ProtobufWriter();
  table.bytes(1, raw(Int32Array.from(cells, ([id]) => id)));
  table.bytes(2, raw(Float32Array.from(cells, ([, logprob]) => logprob)));
  table.integer(3, k);
  table.integer(4, rows.length);
  return table;
}

function entry(key: string, value: number | ProtobufWriter): ProtobufWriter {
  const message = new ProtobufWriter();
  message.bytes(1, key);
  if (typeof value === 'number') message.double(2, value);
  else message.bytes(2, value);
  return message;
}

function raw({ buffer }: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> | Float32Array<ArrayBuffer>): Uint8Array {
  return new Uint8Array(buffer);
}
