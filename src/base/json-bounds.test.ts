import fc from 'fast-check';
import { expect, test } from 'vitest';
import { beyondBounds } from './json-bounds.ts';

const free = { depth: 1e9, values: 1e9 };

/** By the values themselves: levels of brackets, and strings, brackets and commas. */
function measure(value: unknown): { depth: number; values: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, values: typeof value === 'string' ? 1 : 0 };
  const inner = Object.values(value).map(measure);
  const commas = Math.max(0, inner.length - 1);
  const keys = Array.isArray(value) ? 0 : inner.length;
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    values: 2 + commas + keys + inner.reduce((sum, { values }) => sum + values, 0),
  };
}

test('a text is within bounds exactly when what it says is', () => {
  const text = fc.string({ unit: fc.constantFrom('"', '\\', '[', ']', '{', '}', ',', 'a', 'é', '\n') });
  const value = fc.jsonValue({ maxDepth: 5, stringUnit: fc.constantFrom('"', '\\', '[', '}', ',', 'é') });
  fc.assert(
    fc.property(fc.oneof(value, fc.array(text), fc.dictionary(text, text)), fc.boolean(), (json, pretty) => {
      const { depth, values } = measure(json);
      const written = JSON.stringify(json, null, pretty ? 1 : 0);
      expect(beyondBounds(written, { depth, values })).toBeUndefined();
      if (depth > 0) expect(beyondBounds(written, { ...free, depth: depth - 1 })).toMatch(/levels/);
      if (values > 0) expect(beyondBounds(written, { ...free, values: values - 1 })).toMatch(/commas/);
    }),
  );
});

test('texts that are no JSON are looked at too', () => {
  for (const text of ['', '"', '"\\', '"\\"', ']]]]', 'x', '\\"[']) expect(beyondBounds(text, free)).toBeUndefined();
  expect(beyondBounds('['.repeat(100_000), { ...free, depth: 64 })).toBe('nested deeper than 64 levels');
  expect(beyondBounds('"\\"[[["[[', { ...free, depth: 1 })).toMatch(/levels/);
});
