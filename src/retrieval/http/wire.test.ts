import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listText } from './wire.ts';

test('an answer is written as JSON.stringify writes it', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      (title, text, score, scores) => {
        const document = { id: `a "${title}`, title: `${title}\ud800`, text: `${text}\n"\u2028\\` };
        const expected = { ...document, contents: `"${document.title}"\n${document.text}` };
        expect(`${listText([{ passage: document, score }], scores)},${listText([], scores)}`).toBe(
          `${JSON.stringify([scores ? { document: expected, score } : expected])},[]`,
        );
      },
    ),
    { numRuns: 50 },
  );
});
