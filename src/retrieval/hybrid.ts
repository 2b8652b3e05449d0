/**
 * Reciprocal rank fusion of two retrievers over the same corpus (Cormack, Clarke and Büttcher, SIGIR 2009):
 *
 *   score(d) = Σ_{legs that found d among their first 100} 1 / (60 + rank of d)      ranks from 1, ties by id
 */
import { UserError } from '../base/errors.ts';
import type { Hit, OpenRetriever, RetrieverInfo } from './retriever.ts';

const CONSTANT = 60;
/** Passages asked of each leg; more when more are wanted. */
const DEPTH = 100;

export class HybridRetriever implements OpenRetriever {
  readonly info: RetrieverInfo;
  readonly #legs: readonly [OpenRetriever, OpenRetriever];

  /**
   * @param legs closed with the hybrid
   * @throws UserError unless both say that they search the same corpus
   */
  constructor(...legs: readonly [OpenRetriever, OpenRetriever]) {
    const [a, b] = [legs[0].info, legs[1].info];
    if (a.corpusHash === '' || a.corpusHash !== b.corpusHash)
      throw new UserError(
        `a hybrid needs two retrievers over the same corpus: ${describe(a)} and ${describe(b)} were given`,
        { hint: 'Build both from the same corpus files, in the same order.' },
      );
    this.info = {
      kind: 'hybrid',
      passages: a.passages,
      corpusHash: a.corpusHash,
      settings: { fusion: `1/(${CONSTANT} + rank)`, depth: DEPTH, ...legSettings(1, a), ...legSettings(2, b) },
    };
    this.#legs = legs;
  }

  async search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    const depth = Math.max(DEPTH, k);
    const [first, second] = await Promise.all(this.#legs.map((leg) => leg.search(queries, depth, signal)));
    return queries.map((_, i) => fuse([first![i]!, second![i]!], k));
  }

  /** Of one leg that can tell: both have the same corpus. */
  async has(ids: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const leg = this.#legs.find((each) => each.has !== undefined);
    return (await leg?.has?.(ids)) ?? ids;
  }

  async close(): Promise<void> {
    await Promise.all(this.#legs.map((leg) => leg.close()));
  }
}

/** The k best of several rankings, best first. */
export function fuse(rankings: readonly (readonly Hit[])[], k: number): Hit[] {
  const fused = new Map<string, Hit>();
  for (const ranking of rankings)
    for (const [i, { passage }] of ranking.entries()) {
      const before = fused.get(passage.id)?.score ?? 0;
      // 1 / (60 + rank)
      fused.set(passage.id, { passage, score: before + 1 / (CONSTANT + i + 1) });
    }
  return [...fused.values()].sort((a, b) => b.score - a.score || (a.passage.id < b.passage.id ? -1 : 1)).slice(0, k);
}

function describe({ kind, passages, corpusHash }: RetrieverInfo): string {
  return `${kind} over ${passages} passages (${corpusHash === '' ? 'corpus unknown' : corpusHash.slice(0, 8)})`;
}

function legSettings(number: number, { kind, settings }: RetrieverInfo): Record<string, number | string> {
  const prefix = `leg${number}`;
  return {
    [prefix]: kind,
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [`${prefix}.${name}`, value])),
  };
}
