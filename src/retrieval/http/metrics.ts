/** What the server counts, in Prometheus' text format. */
import { Histogram, LabelledCounter, single } from '../../base/http/prometheus.ts';
import type { RetrieverStatistics } from '../retriever.ts';

/** Upper ends of the latency buckets, in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class ServerMetrics {
  readonly #requests = new LabelledCounter('status');
  readonly #latency = new Histogram(BUCKETS);
  #queries = 0;
  inFlight = 0;
  /** Queries that were too long, and got an empty list. */
  longQueries = 0;

  /** A request that has ended, answered or not (499: its client left); `queries` is 0 when it came to no search. */
  count(status: number, queries: number, seconds: number): void {
    this.#requests.add(String(status));
    if (queries === 0) return;
    this.#queries += queries;
    this.#latency.observe(seconds);
  }

  /**
   * @param gauges further values, by name without the prefix
   * @param retriever what it counted, where it has a cache
   */
  text(gauges: Readonly<Record<string, number>>, retriever?: RetrieverStatistics): string {
    const lines = [
      ...this.#requests.family('requests_total', 'Requests by status; 499 for those whose client left.'),
      ...single('queries_total', 'counter', 'Queries asked.', this.#queries),
      ...single(
        'long_queries_total',
        'counter',
        'Queries too long to be searched, which got an empty list.',
        this.longQueries,
      ),
      ...this.#latency.family(
        'retrieve_seconds',
        'Seconds from a request of queries to its end, time-outs and clients that left included.',
      ),
      ...(retriever === undefined ? [] : cacheFamilies(retriever)),
      ...Object.entries({ in_flight: this.inFlight, ...gauges }).flatMap(([name, value]) =>
        single(name, 'gauge', `${name.replaceAll('_', ' ')}.`, value),
      ),
    ];
    return `${lines.join('\n')}\n`;
  }
}

function cacheFamilies({ queries, cacheHits, cacheBytes }: RetrieverStatistics): string[] {
  const hits = 'Queries answered without a search: the same words were asked before.';
  return [
    ...single('cache_hits_total', 'counter', hits, cacheHits),
    ...single('cache_misses_total', 'counter', 'Queries that were searched.', queries - cacheHits),
    ...single(
      'cache_hit_ratio',
      'gauge',
      'Share of all queries that were hits; 0 before the first.',
      cacheHits / (queries || 1),
    ),
    ...single('cache_bytes', 'gauge', 'What the cache holds.', cacheBytes),
  ];
}
