/** Bamboogle: 125 two-hop questions written by hand so that a search engine's first answer is wrong. */
import type { Benchmark } from '../benchmark.ts';

export const bamboogle: Benchmark = {
  name: 'bamboogle',
  title: 'Bamboogle',
  source: 'Press et al. 2023, arXiv 2210.03350',
  licence: 'MIT',
  split: 'test',
  why: 'the only split',
  questions: 125,
  hops: 'multi',
  flashRag: 'bamboogle/test.jsonl',
  original: {
    name: 'Bamboogle Prerelease - Sheet1.csv',
    page: 'https://github.com/ofirpress/self-ask',
    form: 'csv',
    row: (row, index) => ({ id: `bamboogle-${index}`, question: row.Question, answers: [row.Answer] }),
  },
  sample: {
    question: 'Who was president of the United States in the year that Citibank was founded?',
    answer: 'James Madison',
  },
};
