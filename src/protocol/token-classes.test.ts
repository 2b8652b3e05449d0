import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type TokenClass, tokenClasses } from './token-classes.ts';

/** Every piece is a token of its own; pieces beginning with "ENV" are the environment's. */
function classesOf(...pieces: string[]): TokenClass[] {
  const mask = pieces.map((piece) => (piece.startsWith('ENV') ? 0 : 1) as 0 | 1);
  return tokenClasses({ pieces }, { ids: pieces.map((_, i) => i), mask });
}

describe('token classes', () => {
  it('of a turn that thinks and searches, what the environment says, and an answer', () => {
    expect(
      classesOf(
        '<think>',
        ' why',
        '</think>',
        ' ',
        '<search>',
        ' who',
        ' then',
        ' ',
        '</search>',
        'ENV <answer> x',
        '<answer>',
        ' me',
        '</answer>',
      ),
    ).toEqual('tag think tag think tag search search search tag environment tag answer tag'.split(' '));
  });

  it('count a token that overlaps a tag as a tag', () => {
    expect(classesOf('a <', 'search', '>b', ' c<', '/search> d', ' e')).toEqual('tag tag tag tag tag think'.split(' '));
  });

  it('of text without tags, empty pieces and unclosed tags', () => {
    expect(classesOf('only', '', ' thought')).toEqual(['think', 'think', 'think']);
    expect(classesOf('<search>', 'open', ' end')).toEqual(['tag', 'search', 'search']);
    expect(classesOf()).toEqual([]);
  });

  it('begin anew with each turn', () => {
    expect(classesOf('<search>', 'cut', 'ENV', 'thought')).toEqual(['tag', 'search', 'environment', 'think']);
  });

  it('do not depend on where a tokenizer cuts', () => {
    const part = fc.constantFrom(
      '<think>',
      '</think>',
      '<search>',
      '</search>',
      '<answer>',
      '</answer>',
      'gold',
      ' ',
      '<',
    );
    fc.assert(
      fc.property(fc.array(part), fc.infiniteStream(fc.integer({ min: 1, max: 5 })), (parts, cuts) => {
        const text = parts.join('');
        // The definition, character by character.
        let of: TokenClass = 'think';
        const characters = text.split(/(<\/?(?:think|search|answer)>)/).flatMap((piece, i): TokenClass[] => {
          if (i % 2 === 0) return [...piece].map(() => of);
          of = piece === '<search>' ? 'search' : piece === '<answer>' ? 'answer' : 'think';
          return [...piece].map(() => 'tag');
        });
        const [pieces, expected]: [string[], TokenClass[]] = [[], []];
        for (let start = 0; start < text.length; ) {
          const end = Math.min(text.length, start + cuts.next().value);
          pieces.push(text.slice(start, end));
          const inside = characters.slice(start, end);
          expected.push(inside.includes('tag') ? 'tag' : inside[0]!);
          start = end;
        }
        expect(classesOf(...pieces)).toEqual(expected);
      }),
    );
  });
});
