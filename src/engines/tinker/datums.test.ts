import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Datum, datumJson, datumMessage, shifted, stream } from './datums.ts';

describe('datumJson', () => {
  it('shifts ids to inputs and targets, and drops a stream’s entry 0', () => {
    const ids = [5, 6, 7];
    expect(
      JSON.parse(
        datumJson({ ids, inputs: { target_tokens: shifted(ids), weights: stream(Float32Array.of(9, 0, 1)) } }),
      ),
    ).toEqual({
      model_input: { chunks: [{ type: 'encoded_text', tokens: [5, 6] }] },
      loss_fn_inputs: {
        target_tokens: { data: [6, 7], dtype: 'int64', shape: [2] },
        weights: { data: [0, 1], dtype: 'float32', shape: [2] },
      },
    });
  });

  it('writes tables by rows', () => {
    const data = Int32Array.of(1, 2, 3, 4);
    const datum = JSON.parse(datumJson({ ids: [5, 6, 7], inputs: { t: { dtype: 'int64', data, columns: 2 } } }));
    expect(datum.loss_fn_inputs.t).toEqual({ data: [1, 2, 3, 4], dtype: 'int64', shape: [2, 2] });
  });

  it('writes every float32 exactly', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1, noNaN: true, noDefaultInfinity: true }), (values) => {
        const ids = Array.from({ length: values.length + 1 }, () => 0);
        const datum: Datum = { ids, inputs: { x: { dtype: 'float32', data: values } } };
        const { data } = JSON.parse(datumJson(datum)).loss_fn_inputs.x;
        expect(Float32Array.from(data)).toEqual(Float32Array.from(values, (x) => (Object.is(x, -0) ? 0 : x)));
      }),
    );
  });
});

describe.each([datumJson, datumMessage])('%o', (write) => {
  it('refuses what is not finite or of another length', () => {
    expect(() => write({ ids: [1, 2], inputs: { x: stream(Float32Array.of(0, Number.NaN)) } })).toThrow(RangeError);
    expect(() => write({ ids: [1, 2, 3], inputs: { x: stream(Float32Array.of(0, 1)) } })).toThrow(RangeError);
  });
});
