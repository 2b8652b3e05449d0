/** TriviaQA, unfiltered: questions of quiz enthusiasts, every alias of the answer's Wikipedia page being right. */
import type { Benchmark } from '../benchmark.ts';

export const triviaqa: Benchmark = {
  name: 'triviaqa',
  title: 'TriviaQA (unfiltered)',
  source: 'Joshi et al. 2017, arXiv 1705.03551',
  licence: 'Apache-2.0',
  split: 'test',
  why: "the unfiltered development set: TriviaQA's own test answers are hidden, and open-domain works report this one as test",
  questions: 11_313,
  hops: 'single',
  flashRag: 'triviaqa/test.jsonl',
  original: {
    name: 'unfiltered-web-dev.json',
    page: 'https://nlp.cs.washington.edu/triviaqa/',
    form: 'json',
    list: 'Data',
    row: (row) => {
      const answer = (row.Answer ?? {}) as Readonly<Record<string, unknown>>;
      const aliases = Array.isArray(answer.Aliases) ? answer.Aliases : [];
      return { id: `triviaqa-${String(row.QuestionId)}`, question: row.Question, answers: [answer.Value, ...aliases] };
    },
  },
  sample: {
    question: 'Who wrote "A cauliflower is nothing but a cabbage with a college education"?',
    answer: 'Mark Twain',
  },
};
