/** BM25 straight from its definition, for tests: documents as lists of terms, no index, every score from scratch. */
import type { LengthForm } from '../index/arrays.ts';

export interface PlainHit {
  readonly position: number;
  readonly score: number;
}

export function plainSearch(
  documents: readonly (readonly string[])[],
  query: readonly string[],
  { k, k1, b, length }: { k: number; k1: number; b: number; length: LengthForm },
): PlainHit[] {
  const score = length === 'exact' ? exactScore : luceneScore;
  return documents
    .map((document, position) => ({ position, score: score(documents, document, [...query].sort(), k1, b) }))
    .filter((hit) => hit.score > 0)
    .sort((x, y) => y.score - x.score || x.position - y.position)
    .slice(0, k);
}

type Documents = readonly (readonly string[])[];
const count = (terms: readonly string[], term: string) => terms.filter((other) => other === term).length;
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function exactScore(
  documents: Documents,
  document: readonly string[],
  query: readonly string[],
  k1: number,
  b: number,
): number {
  const [N, average] = [documents.length, sum(documents.map((d) => d.length)) / documents.length];
  return sum(
    query.map((term) => {
      const [tf, df] = [count(document, term), documents.filter((d) => d.includes(term)).length];
      const idf = Math.log(1 + (N - df + 0.5) / (df + 0.5));
      return tf === 0 ? 0 : (idf * tf) / (tf + k1 * (1 - b + (b * document.length) / average));
    }),
  );
}

/** Lucene 8.7's BM25Similarity and BooleanQuery, float32 where Java has float. */
function luceneScore(
  documents: Documents,
  document: readonly string[],
  query: readonly string[],
  k1: number,
  b: number,
): number {
  const f = Math.fround;
  const filled = documents.filter((d) => d.length > 0);
  const average = f(sum(filled.map((d) => d.length)) / filled.length);
  const inverse = f(1 / f(f(k1) * f(f(1 - f(b)) + f(f(f(b) * oneByte(document.length)) / average))));
  const scores = [...new Set(query)].map((term) => {
    const [tf, df] = [count(document, term), documents.filter((d) => d.includes(term)).length];
    const weight = f(count(query, term) * f(Math.log(1 + (filled.length - df + 0.5) / (df + 0.5))));
    return tf === 0 ? 0 : f(weight - f(weight / f(1 + f(tf * inverse))));
  });
  return f(sum(scores));
}

/** SmallFloat.byte4ToInt(SmallFloat.intToByte4(length)): exact up to 39; beyond, 24 less, four leading bits are kept. */
function oneByte(length: number): number {
  if (length < 40) return length;
  const above = length - 24;
  const unit = 2 ** (Math.floor(Math.log2(above)) - 3);
  return 24 + Math.floor(above / unit) * unit;
}
