/**
 * A search engine that is sometimes a bad one: ZeroSearch's curriculum (arXiv 2505.04588; Alibaba-NLP/ZeroSearch 2d4cdca).
 *
 *   a search is answered with noise where u ≤ θ_i, u ~ U(0, 1)
 *   θ_i = θ_s + (b^{i/m} − 1) / (b − 1) · (θ_e − θ_s)                  step i of m
 *
 * Departure: noise is what the retriever finds for the query without its first word, in place of useless passages that a model
 * writes: the model of the paper is shown question and answer. Draws are keyed by rollout and search, never by arrival.
 */
import { type StreamKey, uniformAt } from '../base/random.ts';
import type { Retriever } from '../retrieval/retriever.ts';

export interface NoiseCourse {
  /** θ_s and θ_e, shares of searches. */
  readonly from: number;
  readonly to: number;
  /** b, above 1: the larger, the later noise comes. */
  readonly base: number;
}

/** θ of a step (from 1) of so many. */
export function noiseShare({ from, to, base }: NoiseCourse, step: number, steps: number): number {
  return from + ((base ** (step / steps) - 1) / (base - 1)) * (to - from);
}

/** The first word is that which tells an entity from others; of a query of one word nothing is left. */
export function corrupted(query: string): string {
  return query.trim().split(/\s+/).slice(1).join(' ');
}

/** What one rollout is under. */
export interface Noise {
  /** θ, in [0, 1]. */
  readonly share: number;
  readonly key: StreamKey;
}

/** The retriever as one rollout meets it, search after search. */
export function withNoise(retriever: Pick<Retriever, 'search'>, { share, key }: Noise): Pick<Retriever, 'search'> {
  let searches = 0;
  return {
    async search(queries, k, signal) {
      const asked = queries.map((query) => (uniformAt(key, searches++) <= share ? corrupted(query) : query));
      // A query without words is no query: it finds nothing.
      const real = asked.filter((query) => query !== '');
      const found = real.length === 0 ? [] : await retriever.search(real, k, signal);
      let next = 0;
      return asked.map((query) => (query === '' ? [] : found[next++]!));
    },
  };
}
