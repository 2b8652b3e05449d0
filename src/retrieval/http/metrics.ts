/** What the server counts, in Prometheus' text format (version 0.0.4). */
import type { RetrieverStatistics } from '../retriever.ts';

/** Upper ends of the latency buckets, in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class ServerMetrics {
  readonly #requests = new Map<number, number>();
  readonly #latency = new Array<number>(BUCKETS.length).fill(0);
  #seconds = 0;
  #timed = 0;
  #queries = 0;
  inFlight = 0;
  /** Queries that were too long, and got an empty list. */
  longQueries = 0;

  /** A request that has ended, answered or not (499: its client left); `queries` is 0 when it came to no search. */
  count(status: number, queries: number, seconds: number): void {
    this.#requests.set(status, (this.#requests.get(status) ?? 0) + 1);
    if (queries === 0) return;
    this.#queries += queries;
    this.#timed += 1;
    this.#seconds += seconds;
    const bucket = BUCKETS.findIndex((end) => seconds <= end);
    if (bucket >= 0) this.#latency[bucket]!++;
  }

  /**
   * @param gauges further values, by name without the prefix
   * @param retriever what it counted, where it has a cache
   */
  text(gauges: Readonly<Record<string, number>>, retriever?: RetrieverStatistics): string {
    const lines: string[] = [];
    const family = (name: string, type: string, help: string, samples: readonly string[]) =>
      lines.push(`# HELP search_e1_${name} ${help}`, `# TYPE search_e1_${name} ${type}`, ...samples);
    family(
      'requests_total',
      'counter',
      'Requests by status; 499 for those whose client left.',
      [...this.#requests].map(([status, n]) => `search_e1_requests_total{status="${status}"} ${n}`),
    );
    family('queries_total', 'counter', 'Queries asked.', [`search_e1_queries_total ${this.#queries}`]);
    family('long_queries_total', 'counter', 'Queries too long to be searched, which got an empty list.', [
      `search_e1_long_queries_total ${this.longQueries}`,
    ]);
    let below = 0;
    family(
      'retrieve_seconds',
      'histogram',
      'Seconds from a request of queries to its end, time-outs and clients that left included.',
      [
        ...BUCKETS.map((end, i) => {
          below += this.#latency[i]!;
          return `search_e1_retrieve_seconds_bucket{le="${end}"} ${below}`;
        }),
        `search_e1_retrieve_seconds_bucket{le="+Inf"} ${this.#timed}`,
        `search_e1_retrieve_seconds_sum ${this.#seconds}`,
        `search_e1_retrieve_seconds_count ${this.#timed}`,
      ],
    );
    if (retriever !== undefined) {
      const { queries, cacheHits, cacheBytes } = retriever;
      const one = (name: string, type: string, help: string, value: number) =>
        family(name, type, help, [`search_e1_${name} ${value}`]);
      one(
        'cache_hits_total',
        'counter',
        'Queries answered without a search: the same words were asked before.',
        cacheHits,
      );
      one('cache_misses_total', 'counter', 'Queries that were searched.', queries - cacheHits);
      one(
        'cache_hit_ratio',
        'gauge',
        'Share of all queries that were hits; 0 before the first.',
        cacheHits / (queries || 1),
      );
      one('cache_bytes', 'gauge', 'What the cache holds.', cacheBytes);
    }
    for (const [name, value] of Object.entries({ in_flight: this.inFlight, ...gauges }))
      family(name, 'gauge', `${name.replaceAll('_', ' ')}.`, [`search_e1_${name} ${value}`]);
    return `${lines.join('\n')}\n`;
  }
}
