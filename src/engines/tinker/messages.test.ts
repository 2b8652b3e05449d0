/** Bytes that the official SDK has written (live/sdk_messages.py), with what it reads from them itself. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ProtobufWriter, readProtobuf } from '../../base/protobuf.ts';
import { type DatumInputs, datumMessage } from './datums.ts';
import { interpretMessage } from './futures.ts';
import { readPass, readSamples } from './messages.ts';
import { readPassRequest, writeResult } from './testing/mock-messages.ts';

interface Example<Value> {
  readonly bytes: string;
  readonly value: Value;
}
type Numbers = number[];

const { request, passes, samples } = JSON.parse(
  readFileSync(new URL('testing/sdk-messages.json', import.meta.url), 'utf8'),
) as {
  request: Example<{
    model_id: string;
    seq_id: number;
    loss_fn: string;
    data: { tokens: Numbers[]; inputs: Record<string, { data: Numbers; shape: Numbers }> }[];
  }>;
  passes: Example<{ loss_fn_outputs: Record<string, Numbers>[]; metrics: object }>;
  samples: Example<object>;
};
const bytesOf = ({ bytes }: Example<unknown>) => Buffer.from(bytes, 'base64');

describe('a datum', () => {
  it('is written byte for byte as the SDK writes it', () => {
    const theirs = [...readProtobuf(bytesOf(request))].filter(({ field }) => field === 3);
    const ours = request.value.data.map(({ tokens, inputs }) => {
      const written: DatumInputs = Object.fromEntries(
        Object.entries(inputs).map(([name, { data, shape }]) => [
          name,
          {
            dtype: name === 'weights' ? 'float32' : 'int64',
            data,
            ...(shape.length === 2 && { columns: shape[1]! }),
          },
        ]),
      );
      return datumMessage({ ids: [...tokens[0]!, 0], inputs: written });
    });
    expect(ours).toHaveLength(2);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    expect(ours.map(hex)).toEqual(theirs.map(({ value }) => hex(value as Uint8Array)));
  });
});

describe('results', () => {
  it('of forward and forward_backward are read as the SDK reads them: several records, four kinds of numbers, NaN', () => {
    const { loss_fn_outputs: outputs, metrics } = passes.value;
    expect(readPass(bytesOf(passes))).toEqual({
      loss_fn_outputs: outputs.map((fields) =>
        Object.fromEntries(Object.entries(fields).map(([name, data]) => [name, { data }])),
      ),
      metrics,
    });
  });

  it('of asample are read as the SDK reads them: no first score, rows of a table that are empty or short', () => {
    expect(readSamples(bytesOf(samples))).toEqual(samples.value);
  });

  it.each([
    ['cut off', bytesOf(passes).subarray(0, -3)],
    ['with offsets beyond the data', batchOf([0, 400])],
    ['with offsets that go back', batchOf([4, 0])],
    ['with numbers of an unknown kind', batchOf([0, 4], 9)],
    ['with fewer tensors than datums', batchOf([0, 4], 1, 2)],
    ['with datums and nothing of them', recordOf([], 1e9)],
  ])('%s are refused', (_, message) => {
    expect(() => readPass(message)).toThrow(RangeError);
    expect(interpretMessage(message, readPass)).toMatchObject({ kind: 'trouble' });
  });
});

describe('the mock', () => {
  it('reads a request of the SDK', () => {
    const { name, body } = readPassRequest(bytesOf(request));
    expect(name).toBe('forward_backward');
    const { model_id, seq_id, loss_fn, data } = request.value;
    expect(body).toMatchObject({ model_id, seq_id, forward_backward_input: { loss_fn } });
    const read = (body.forward_backward_input as { data: { model_input: object; loss_fn_inputs: object }[] }).data;
    expect(read).toMatchObject(
      data.map(({ tokens, inputs }) => ({
        model_input: { chunks: tokens.map((each) => ({ tokens: each })) },
        loss_fn_inputs: inputs,
      })),
    );
  });

  it('writes samples as the SDK does', () => {
    expect(readSamples(writeResult(samples.value as Record<string, unknown>))).toEqual(samples.value);
  });
});

function batchOf(offsets: readonly number[], dtype = 1, datums = 1): Uint8Array {
  const batch = new ProtobufWriter();
  batch.bytes(1, new Uint8Array(4));
  batch.bytes(2, new Uint8Array(BigInt64Array.from(offsets, BigInt).buffer));
  batch.integer(3, dtype);
  const entry = new ProtobufWriter();
  entry.bytes(1, 'logprobs');
  entry.bytes(2, batch);
  return recordOf([entry], datums);
}

function recordOf(entries: readonly ProtobufWriter[], datums: number): Uint8Array {
  const record = new ProtobufWriter();
  for (const entry of entries) record.bytes(2, entry);
  record.integer(3, datums);
  const message = new ProtobufWriter();
  message.bytes(2, record);
  return message.finish();
}
