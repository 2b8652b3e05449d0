/** Holds a file of questions against what its benchmark should be. */
import type { Question } from '../base/question.ts';
import type { Benchmark } from './benchmark.ts';
import { questionsHash } from './questions.ts';
import { readBenchmark } from './read-benchmark.ts';

export interface Checked {
  readonly benchmark: string;
  readonly file: string;
  readonly questions: number;
  readonly expected: number;
  /** Questions whose text stands in the file before; benchmarks have some. */
  readonly repeated: number;
  /** SHA-256 as `evaluate` records it. */
  readonly hash: string;
  readonly complete: boolean;
}

/** Reads the whole file. @throws UserError naming file, row and field of anything malformed */
export async function checkBenchmark(benchmark: Benchmark, file: string): Promise<Checked> {
  const questions = await readBenchmark(benchmark, file);
  return {
    benchmark: benchmark.name,
    file,
    questions: questions.length,
    expected: benchmark.questions,
    repeated: questions.length - distinct(questions),
    hash: questionsHash(questions),
    complete: questions.length === benchmark.questions,
  };
}

function distinct(questions: readonly Question[]): number {
  return new Set(questions.map(({ question }) => question)).size;
}
