/**
 * Published exact match on the seven benchmarks, by the papers' own numbers, and the conditions they were measured under.
 *
 * Qwen2.5-3B throughout. Rows from Direct to Search-R1 are Search-R1's table (arXiv 2503.09516) as later papers repeat it; the
 * others come from Search-E1 (2605.22511) and the papers it compares with, ZeroSearch by its own protocol.
 */
import type { BenchmarkName } from '../benchmarks/benchmark.ts';

export interface PublishedRow {
  readonly title: string;
  /** Null where the paper gives none. */
  readonly exactMatch: Readonly<Record<BenchmarkName, number | null>>;
}

/** What these numbers were measured under. */
export const publishedConditions = {
  model: 'Qwen2.5-3B',
  corpus: 'Wikipedia of December 2018, 21,015,324 passages',
  passages: 21_015_324,
  retriever: 'E5-base-v2, exact search',
  k: 3,
  searches: 4,
  decoding: 'greedy',
} as const;

type Value = number | null;
type Seven = readonly [Value, Value, Value, Value, Value, Value, Value];

function row(title: string, values: Seven): PublishedRow {
  const [nq, triviaqa, popqa, hotpotqa, twoWiki, musique, bamboogle] = values;
  return { title, exactMatch: { nq, triviaqa, popqa, hotpotqa, '2wikimultihopqa': twoWiki, musique, bamboogle } };
}

export const publishedRows: readonly PublishedRow[] = [
  row('Direct', [0.106, 0.288, 0.108, 0.149, 0.244, 0.02, 0.024]),
  row('CoT', [0.023, 0.032, 0.005, 0.021, 0.021, 0.002, 0]),
  row('IRCoT', [0.111, 0.312, 0.2, 0.164, 0.171, 0.067, 0.24]),
  row('Search-o1', [0.238, 0.472, 0.262, 0.221, 0.218, 0.054, 0.32]),
  row('RAG', [0.348, 0.544, 0.387, 0.255, 0.226, 0.047, 0.08]),
  row('SFT', [0.249, 0.292, 0.104, 0.186, 0.248, 0.044, 0.112]),
  row('R1-instruct (no search)', [0.21, 0.449, 0.171, 0.208, 0.275, 0.06, 0.192]),
  row('Rejection sampling', [0.294, 0.488, 0.332, 0.24, 0.233, 0.059, 0.21]),
  row('Search-R1-Instruct, PPO', [0.341, 0.545, 0.378, 0.324, 0.319, 0.103, 0.264]),
  row('Search-R1-Instruct, GRPO', [0.397, 0.565, 0.391, 0.331, 0.31, 0.124, 0.232]),
  row('ReSearch-Instruct', [0.365, 0.571, 0.395, 0.351, 0.272, 0.095, 0.266]),
  row('ZeroSearch-Instruct', [0.414, 0.574, 0.448, 0.274, 0.3, 0.098, 0.111]),
  row('StepSearch-Instruct', [null, null, null, 0.345, 0.32, 0.174, 0.344]),
  row('AutoRefine-Base', [0.467, 0.62, 0.45, 0.405, 0.393, 0.157, 0.344]),
  row('GiGPO-Instruct', [0.42, 0.595, 0.424, 0.369, 0.37, 0.126, 0.641]),
  row('SD-Search-Base', [0.47, 0.624, 0.467, 0.425, 0.42, 0.188, 0.402]),
  row('Search-E1', [0.474, 0.626, 0.461, 0.427, 0.436, 0.193, 0.464]),
];
