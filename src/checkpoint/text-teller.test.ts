import { describe, expect, it } from 'vitest';
import { testTokenizer } from '../protocol/testing/tokenizer.ts';
import { textTeller } from './text-teller.ts';

const tokenizer = testTokenizer({ chat: true });

describe('text as its tokens come', () => {
  it('tells whole characters only, and all of the text', () => {
    const pieces: string[] = [];
    const tell = textTeller(tokenizer, (piece) => pieces.push(piece));
    const ids = tokenizer.encode('5 € for the naïve');
    for (let n = 1; n <= ids.length; n++) tell(ids.slice(0, n), n === ids.length);
    expect(pieces.join('')).toBe('5 € for the naïve');
    expect(pieces).toContain('€');
    expect(pieces.some((piece) => piece.includes('\uFFFD') || piece === '')).toBe(false);
  });
});
