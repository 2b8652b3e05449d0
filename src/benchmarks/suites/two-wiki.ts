/** 2WikiMultiHopQA: two- to four-hop questions made from Wikidata paths and Wikipedia by templates. */
import type { Benchmark } from '../benchmark.ts';

export const twoWiki: Benchmark = {
  name: '2wikimultihopqa',
  title: '2WikiMultiHopQA',
  source: 'Ho et al. 2020, arXiv 2011.01060',
  licence: 'Apache-2.0',
  split: 'dev',
  why: 'the test answers are hidden',
  questions: 12_576,
  hops: 'multi',
  flashRag: '2wikimultihopqa/dev.jsonl',
  original: {
    name: 'dev.json',
    page: 'https://github.com/Alab-NII/2wikimultihop',
    form: 'json',
    // id_aliases.json, which later versions carry, is not used: the published figures rest on the one answer.
    row: (row) => ({ id: `2wikimultihopqa-${String(row._id)}`, question: row.question, answers: [row.answer] }),
  },
  sample: {
    question: 'Who is the mother of the director of film Polish-Russian War (Film)?',
    answer: 'Małgorzata Braunek',
  },
};
