/** The index of a corpus that fits in memory, built in one go and never written: the same arrays as from files. */
import type { Analyzer } from '../analyzer.ts';
import { blockStartsOf, type Dictionary, type IndexArrays, type LengthForm, sharedArray } from './arrays.ts';
import { buildSlots } from './dictionary.ts';
import { encodeLengths } from './lengths.ts';
import { PostingsBuilder } from './postings.ts';

/** Indexes the texts of all passages in order; at least one. Impacts: `computeImpacts`. */
export function indexTexts(texts: Iterable<string>, analyze: Analyzer, form: LengthForm): IndexArrays {
  const builder = new PostingsBuilder(analyze);
  for (const text of texts) builder.add(text);
  const { lengths, terms, ...postings } = builder.finish();
  return {
    passages: lengths.length,
    totalTerms: lengths.reduce((sum, length) => sum + length, 0),
    ...encodeLengths(lengths, form),
    dictionary: dictionaryOf(terms),
    ...postings,
    blockStarts: blockStartsOf(postings.postingStarts),
  };
}

/** The dictionary of terms that stand in order. */
function dictionaryOf(terms: readonly string[]): Dictionary {
  const text = Buffer.from(terms.join(''));
  const bytes = sharedArray(Uint8Array, text.length);
  bytes.set(text);
  const ends = sharedArray(Uint32Array, terms.length);
  let end = 0;
  for (const [t, term] of terms.entries()) {
    end += Buffer.byteLength(term);
    ends[t] = end;
  }
  return { bytes, ends, slots: buildSlots(bytes, ends) };
}
