/** HotpotQA: questions over two Wikipedia paragraphs, by bridge or comparison; a tenth or so are answered by yes or no. */
import type { Benchmark } from '../benchmark.ts';

export const hotpotqa: Benchmark = {
  name: 'hotpotqa',
  title: 'HotpotQA',
  source: 'Yang et al. 2018, arXiv 1809.09600',
  licence: 'CC BY-SA 4.0',
  split: 'dev',
  why: 'the test answers are hidden; the questions of the distractor and the full-wiki development sets are the same',
  questions: 7405,
  hops: 'multi',
  flashRag: 'hotpotqa/dev.jsonl',
  original: {
    name: 'hotpot_dev_fullwiki_v1.json',
    page: 'https://hotpotqa.github.io/',
    form: 'json',
    row: (row) => ({ id: `hotpotqa-${String(row._id)}`, question: row.question, answers: [row.answer] }),
  },
  sample: { question: 'Were Scott Derrickson and Ed Wood of the same nationality?', answer: 'yes' },
};
