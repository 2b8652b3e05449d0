/**
 * Queries a second over HTTP: `search-e1 serve-retriever` in a process of its own, asked by this one over a few connections,
 * in batches, no query twice. The client shares the machine with the server, and takes its part of the time.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface HttpSpeed {
  readonly k: number;
  readonly batch: number;
  readonly connections: number;
  /** Queries a second of each round. */
  readonly queries: readonly number[];
  /** Seconds from start to the first line, opening the index included. */
  readonly startSeconds: number;
  /** The server's at the end, in megabytes. */
  readonly rss: number;
  /** Share of the queries that the server's cache answered. */
  readonly cacheHitRate: number;
}

const [K, BATCH, CONNECTIONS] = [3, 256, 4];
/** Of a round. */
const BATCHES = 40;
const command = path.join(import.meta.dirname, '../../bin/search-e1.js');

/** @param queries an endless supply */
export async function measureHttp(folder: string, queries: Iterator<string>, rounds: number): Promise<HttpSpeed> {
  const start = performance.now();
  const server = spawn(process.execPath, [command, 'serve-retriever', folder, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const { done, value } = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
    if (done) throw new Error('the server ended');
    const { url } = JSON.parse(value) as { url: string };
    const startSeconds = (performance.now() - start) / 1000;
    const speeds: number[] = [];
    // The first round warms up: compilers, page cache.
    for (let round = 0; round <= rounds; round++) {
      const bodies = Array.from({ length: BATCHES }, () => requestBody(queries));
      const began = performance.now();
      await Promise.all(Array.from({ length: CONNECTIONS }, () => askAll(url, bodies)));
      if (round > 0) speeds.push((1000 * BATCHES * BATCH) / (performance.now() - began));
    }
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const metric = (name: string) => Number(new RegExp(`^search_e1_${name} (.*)$`, 'm').exec(metrics)?.[1]);
    return {
      ...{ k: K, batch: BATCH, connections: CONNECTIONS, queries: speeds, startSeconds },
      rss: Math.round(metric('resident_bytes') / 1e6),
      cacheHitRate: metric('cache_hit_ratio'),
    };
  } finally {
    server.kill();
  }
}

function requestBody(queries: Iterator<string>): string {
  const batch = Array.from({ length: BATCH }, () => queries.next().value as string);
  return JSON.stringify({ queries: batch, topk: K, return_scores: true });
}

/** One connection: takes the next body until none is left. */
async function askAll(url: string, bodies: string[]): Promise<void> {
  for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
    const response = await fetch(`${url}/retrieve`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
    });
    const { result } = (await response.json()) as { result: unknown[] };
    if (result.length !== BATCH) throw new Error(`${BATCH} queries brought ${result.length} lists`);
  }
}
