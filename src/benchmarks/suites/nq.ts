/** Natural Questions, the open-domain form: questions that people typed into a search engine, with short answers. */
import type { Benchmark } from '../benchmark.ts';

export const nq: Benchmark = {
  name: 'nq',
  title: 'Natural Questions (open)',
  source: 'Kwiatkowski et al. 2019 (TACL); open form: Lee et al. 2019, arXiv 1906.00300',
  licence: 'CC BY-SA 3.0',
  split: 'test',
  why: "the public development set: NQ's own test set is hidden, and open-domain works report this one as test",
  questions: 3610,
  hops: 'single',
  flashRag: 'nq/test.jsonl',
  original: {
    name: 'NQ-open.dev.jsonl',
    page: 'https://github.com/google-research-datasets/natural-questions/tree/master/nq_open',
    form: 'jsonl',
    row: (row, index) => ({ id: `nq-${index}`, question: row.question, answers: list(row.answer) }),
  },
  sample: { question: 'when was the last time anyone was on the moon', answer: 'December 1972' },
};

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}
