import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeDatum, requestsOf, shifted, stream } from './datums.ts';

describe('encodeDatum', () => {
  it('shifts ids to inputs and targets, and drops a stream’s entry 0', () => {
    const ids = [5, 6, 7];
    expect(
      JSON.parse(encodeDatum(ids, { target_tokens: shifted(ids), weights: stream(Float32Array.of(9, 0, 1)) })),
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
    const datum = JSON.parse(encodeDatum([5, 6, 7], { t: { dtype: 'int64', data, columns: 2 } }));
    expect(datum.loss_fn_inputs.t).toEqual({ data: [1, 2, 3, 4], dtype: 'int64', shape: [2, 2] });
  });

  it('writes every float32 exactly', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1, noNaN: true, noDefaultInfinity: true }), (values) => {
        const ids = Array.from({ length: values.length + 1 }, () => 0);
        const { data } = JSON.parse(encodeDatum(ids, { x: { dtype: 'float32', data: values } })).loss_fn_inputs.x;
        expect(Float32Array.from(data)).toEqual(Float32Array.from(values, (x) => (Object.is(x, -0) ? 0 : x)));
      }),
    );
  });

  it('refuses what is not finite or of another length', () => {
    expect(() => encodeDatum([1, 2], { x: stream(Float32Array.of(0, Number.NaN)) })).toThrow(RangeError);
    expect(() => encodeDatum([1, 2, 3], { x: stream(Float32Array.of(0, 1)) })).toThrow(RangeError);
  });
});

describe('requestsOf', () => {
  it('fills requests of at most 128 datums and 4 MB, in order; what is larger goes alone', () => {
    const small = Array.from({ length: 300 }, (_, i) => String(i));
    expect(requestsOf(small).map((request) => request.length)).toEqual([128, 128, 44]);
    expect(requestsOf(small).flat()).toEqual(small);
    const large = ['x'.repeat(5e6), 'y'.repeat(2.5e6), 'z'.repeat(1.5e6), 'w'];
    expect(requestsOf(large).map((request) => request.map((datum) => datum[0]).join(''))).toEqual(['x', 'yz', 'w']);
    expect(requestsOf([])).toEqual([]);
  });
});
