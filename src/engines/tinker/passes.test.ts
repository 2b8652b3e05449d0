import { describe, expect, it } from 'vitest';
import { grouped } from './passes.ts';

describe('grouped', () => {
  it('fills requests of at most 128 datums and 4 MB, in order; what is larger goes alone', () => {
    const small = Array.from({ length: 300 }, (_, i) => String(i));
    expect(grouped(small).map((request) => request.length)).toEqual([128, 128, 44]);
    expect(grouped(small).flat()).toEqual(small);
    const large = ['x'.repeat(5e6), 'y'.repeat(2.5e6), 'z'.repeat(1.5e6), 'w'];
    expect(grouped(large).map((request) => request.map((datum) => datum[0]).join(''))).toEqual(['x', 'yz', 'w']);
    expect(grouped([])).toEqual([]);
  });
});
