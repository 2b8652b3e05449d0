/** PopQA: questions made from Wikidata triples by templates, from rarely to often visited subjects. */
import type { Benchmark } from '../benchmark.ts';

export const popqa: Benchmark = {
  name: 'popqa',
  title: 'PopQA',
  source: 'Mallen et al. 2023, arXiv 2212.10511',
  licence: 'MIT',
  split: 'test',
  why: 'the only split',
  questions: 14_267,
  hops: 'single',
  flashRag: 'popqa/test.jsonl',
  original: {
    name: 'popQA.tsv',
    page: 'https://github.com/AlexTMallen/adaptive-retrieval',
    form: 'tsv',
    row: (row) => ({
      id: `popqa-${String(row.id)}`,
      question: row.question,
      answers: jsonList(row.possible_answers),
    }),
  },
  sample: { question: 'Who was the composer of Easy Living?', answer: 'Ralph Rainger' },
};

/** The column holds a JSON list of strings. */
function jsonList(value: unknown): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(String(value));
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return [];
  }
}
