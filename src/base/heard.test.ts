import fc from 'fast-check';
import { expect, it } from 'vitest';
import { heard } from './heard.ts';

it('is one line without control characters or marks that turn text around, of bounded length', () => {
  expect(heard('a\u001b]52;c;aGk=\u0007b\r\nc\u202ed\u0085e\u2028f')).toBe('a ]52;c;aGk= b c d e f');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (text) => {
      const clean = heard(text);
      expect(clean).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u);
      expect(clean.length).toBeLessThanOrEqual(501);
      expect(clean.isWellFormed() || !text.isWellFormed()).toBe(true);
    }),
  );
});

it('does not hold a secret, as it was or encoded by itself or within other text', () => {
  const secret = fc.string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 40 }).filter((s) => s.trim() === s);
  const around = fc.string({ unit: 'grapheme-ascii', maxLength: 10 });
  fc.assert(
    fc.property(secret, around, around, (key, before, after) => {
      const bytes = Buffer.from(before + key + after, 'utf8');
      const written = [
        before + key + after,
        bytes.toString('base64'),
        bytes.toString('base64url'),
        bytes.toString('hex').toUpperCase(),
        JSON.stringify(before + key + after),
        encodeURIComponent(before + key + after),
      ];
      for (const text of written) {
        const clean = heard(text, [undefined, '', key]);
        expect(clean).toContain('…');
        // What is left of base64 may spell the key's first and last character, whose bits neighbours share, and no more.
        const decoded = Buffer.from(clean.replaceAll('…', ''), 'base64').toString('utf8');
        expect([clean, decoded].some((each) => each.includes(key))).toBe(false);
      }
    }),
  );
});

it('cuts a long secret out before it cuts the text', () => {
  const key = 'k'.repeat(300);
  expect(heard(`${'x'.repeat(400)}${key}`, [key])).toBe(`${'x'.repeat(400)}…`);
});
