/** MuSiQue-Ans: two- to four-hop questions composed from single-hop ones so that no hop can be skipped. */
import type { Benchmark } from '../benchmark.ts';

export const musique: Benchmark = {
  name: 'musique',
  title: 'MuSiQue-Ans',
  source: 'Trivedi et al. 2022, arXiv 2108.00573',
  licence: 'CC BY 4.0',
  split: 'dev',
  why: 'the test answers are hidden; Ans is the part in which every question has an answer',
  questions: 2417,
  hops: 'multi',
  flashRag: 'musique/dev.jsonl',
  original: {
    name: 'musique_ans_v1.0_dev.jsonl',
    page: 'https://github.com/StonyBrookNLP/musique',
    form: 'jsonl',
    row: (row) => ({
      id: `musique-${String(row.id)}`,
      question: row.question,
      answers: [row.answer, ...(Array.isArray(row.answer_aliases) ? row.answer_aliases : [])],
    }),
  },
  sample: { question: 'Who is the spouse of the Green performer?', answer: 'Miquette Giraudy' },
};
