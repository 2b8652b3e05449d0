/** Searching the texts of rows against looking at each of them. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PieceMaker, rowsWith } from './text-pieces.ts';

const texts = fc.array(fc.array(fc.oneof(fc.constantFrom('aab', 'abä', 'Ä😀', ''), fc.string({ unit: 'grapheme' }))));

it('finds exactly the rows that hold a text, in either case', () => {
  fc.assert(
    fc.property(
      texts,
      fc.oneof(fc.constantFrom('ab', 'Ä', 'aa', '😀'), fc.string({ minLength: 1 })),
      (rows, wanted) => {
        fc.pre(!wanted.includes('\0'));
        const maker = new PieceMaker();
        for (const row of rows) maker.addRow(row);
        const holds = rowsWith(maker.pieces(), wanted);
        expect(rows.map((_, i) => holds(i))).toEqual(
          rows.map((row) =>
            row.some((text) => text.toWellFormed().toLowerCase().includes(wanted.toWellFormed().toLowerCase())),
          ),
        );
      },
    ),
  );
});
