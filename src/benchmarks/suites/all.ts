/** The seven benchmarks of the paper's table, in its order. */
import type { Benchmark, BenchmarkName } from '../benchmark.ts';
import { bamboogle } from './bamboogle.ts';
import { hotpotqa } from './hotpotqa.ts';
import { musique } from './musique.ts';
import { nq } from './nq.ts';
import { popqa } from './popqa.ts';
import { triviaqa } from './triviaqa.ts';
import { twoWiki } from './two-wiki.ts';

export const benchmarks: readonly Benchmark[] = [nq, triviaqa, popqa, hotpotqa, twoWiki, musique, bamboogle];

export const benchmarkNames: readonly BenchmarkName[] = benchmarks.map(({ name }) => name);

/** The benchmark of that name; undefined when there is none. */
export function findBenchmark(name: string): Benchmark | undefined {
  return benchmarks.find((benchmark) => benchmark.name === name);
}
