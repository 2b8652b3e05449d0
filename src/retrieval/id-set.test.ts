import { expect, test } from 'vitest';
import { IdSet } from './id-set.ts';

test('takes every id once, also while it grows', () => {
  const set = new IdSet();
  for (let i = 0; i < 5000; i++) expect(set.add(`p${i}`)).toBe(true);
  expect(set.size).toBe(5000);
  for (let i = 0; i < 5000; i++) expect(set.add(`p${i}`)).toBe(false);
  expect(set.size).toBe(5000);
  expect(set.add('')).toBe(true);
  expect(set.add('P1')).toBe(true);
});
