import { expect, test } from 'vitest';
import { memoryPlan } from './memory-plan.ts';

test('segments begin small and grow as far as the memory allows', () => {
  const { segmentBytes } = memoryPlan({ memory: 4e9, workers: 2, corpusBytes: 1e8 });
  const sizes = Array.from({ length: 100 }, (_, i) => segmentBytes(i));
  expect(sizes[0]).toBe(4e6);
  expect(sizes.every((size, i) => i === 0 || size >= sizes[i - 1]!)).toBe(true);
  expect(sizes.at(-1)).toBe(32e6);
  const small = memoryPlan({ memory: 9e8, workers: 2, corpusBytes: 1e8 });
  expect(small.segmentBytes(99)).toBeLessThan(32e6);
  expect(small.segmentBytes(99)).toBeGreaterThanOrEqual(4e6);
});

test('no more workers than the memory allows; too many asked for are refused with what it takes', () => {
  expect(memoryPlan({ memory: 5e8, corpusBytes: 1e6 }).workers).toBe(1);
  expect(() => memoryPlan({ memory: 4e8, workers: 8, corpusBytes: 1e6 })).toThrow('too little for 8 workers');
  // The ids of 21 million passages do not fit.
  expect(() => memoryPlan({ memory: 5e8, corpusBytes: 14e9 })).toThrow('too little');
});
