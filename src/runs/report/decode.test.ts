import fc from 'fast-check';
import { expect, it } from 'vitest';
import { tokenizerFromJson } from '../../checkpoint/tokenizer.ts';
import { worldTokenizerJson } from '../../world/vocabulary.ts';
import { decodeAfter } from './decode.ts';

it('gives parts that make up the text of the whole, for a vocabulary of words', () => {
  const tokenizer = tokenizerFromJson(worldTokenizerJson());
  const id = fc.integer({ min: 0, max: tokenizer.vocabulary - 1 });
  fc.assert(
    fc.property(fc.array(id, { minLength: 1, maxLength: 12 }), fc.nat(11), (ids, cut) => {
      const at = cut % ids.length;
      const parts = [ids.slice(0, at), ids.slice(at)];
      const text = decodeAfter(tokenizer, undefined, parts[0]!) + decodeAfter(tokenizer, ids[at - 1], parts[1]!);
      expect(text).toBe(tokenizer.decode(ids));
    }),
  );
});

it('decodes on its own what does not continue the token before', () => {
  // Two halves of one character.
  const tokenizer = {
    decode: (ids: readonly number[]) => (ids.join() === '1,2' ? 'é' : ids.map(() => '\uFFFD').join('')),
  };
  expect(decodeAfter(tokenizer, 1, [2])).toBe('\uFFFD');
});
