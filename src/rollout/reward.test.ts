import { describe, expect, it } from 'vitest';
import { correctness, grounded } from './reward.ts';

describe('correctness', () => {
  it('is exact match with any gold answer, and nothing else', () => {
    expect(correctness('The Beatles!', ['Queen', 'beatles'])).toBe(1);
    expect(correctness('Beatles, I think', ['beatles'])).toBe(0);
    expect(correctness(null, ['beatles'])).toBe(0);
  });
});

describe('grounded', () => {
  const shown = ['Doc 1(Title: Abbey Road) Recorded by the Beatles in 1969.', 'not of interest'];

  it('looks for the normalised answer as whole words', () => {
    expect(grounded('The BEATLES', shown)).toBe(true);
    expect(grounded('beatles in 1969', shown)).toBe(true);
    expect(grounded('196', shown)).toBe(false);
    expect(grounded('eat', shown)).toBe(false);
    expect(grounded('Queen', shown)).toBe(false);
    expect(grounded('1969 not', shown)).toBe(false);
    expect(grounded('beatles', [])).toBe(false);
  });

  it('does not arise without an answer that could be read', () => {
    for (const answer of [null, '', '...', 'the', 'Yes', 'no.']) expect(grounded(answer, shown)).toBeNull();
  });
});
