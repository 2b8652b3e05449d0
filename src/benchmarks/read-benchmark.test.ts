/** The seven benchmarks in each of their forms. Rows are made here in the layout of the published files. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BenchmarkName } from './benchmark.ts';
import { locateBenchmark, readBenchmark } from './read-benchmark.ts';
import { benchmarks, findBenchmark } from './suites/all.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'benchmarks-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const target = path.join(folder, name);
  await writeFile(target, content);
  return target;
}

const originals: Record<BenchmarkName, { content: string; id: string; question: string; answers: string[] }> = {
  nq: {
    content: '{"question": "who wrote it", "answer": ["Ann Lee", "A. Lee"]}\n',
    id: 'nq-0',
    question: 'who wrote it',
    answers: ['Ann Lee', 'A. Lee'],
  },
  triviaqa: {
    content: JSON.stringify({
      Data: [
        {
          QuestionId: 'tc_3',
          Question: 'Who wrote it?',
          Answer: { Value: 'Ann Lee', Aliases: ['A. Lee', 'Ann Lee'], NormalizedAliases: ['a lee', 'ann lee'] },
          SearchResults: [],
        },
      ],
      Split: 'dev',
    }),
    id: 'triviaqa-tc_3',
    question: 'Who wrote it?',
    answers: ['Ann Lee', 'A. Lee'],
  },
  popqa: {
    content:
      'id\tsubj\tprop\tobj\tquestion\tpossible_answers\n42\tIt\tauthor\tAnn\t"Who wrote ""It""?"\t"[""Ann Lee"", ""Lee, Ann""]"\n',
    id: 'popqa-42',
    question: 'Who wrote "It"?',
    answers: ['Ann Lee', 'Lee, Ann'],
  },
  hotpotqa: {
    content: JSON.stringify([{ _id: '5a8b', question: 'Same place?', answer: 'yes', type: 'comparison', context: [] }]),
    id: 'hotpotqa-5a8b',
    question: 'Same place?',
    answers: ['yes'],
  },
  '2wikimultihopqa': {
    content: JSON.stringify([{ _id: '8813', question: 'Who is the mother?', answer: 'Małgorzata', evidences: [] }]),
    id: '2wikimultihopqa-8813',
    question: 'Who is the mother?',
    answers: ['Małgorzata'],
  },
  musique: {
    content:
      '{"id": "2hop__1_2", "paragraphs": [], "question": "Who is it?", "answer": "Miquette", "answer_aliases": ["M. G."], "answerable": true}\n',
    id: 'musique-2hop__1_2',
    question: 'Who is it?',
    answers: ['Miquette', 'M. G.'],
  },
  bamboogle: {
    content: 'Question,Answer\n"Who, then, was it?",James Madison\n',
    id: 'bamboogle-0',
    question: 'Who, then, was it?',
    answers: ['James Madison'],
  },
};

describe.each(benchmarks)('$name', (benchmark) => {
  it("reads the authors' file", async () => {
    const { content, ...question } = originals[benchmark.name];
    const read = await readBenchmark(benchmark, await file(benchmark.original.name, content));
    expect(read).toEqual([{ ...question, dataset: benchmark.name }]);
  });

  it("reads FlashRAG's copy, and finds it in its layout", async () => {
    const base = path.join(folder, 'pulled');
    const target = path.join(base, benchmark.flashRag);
    await mkdir(path.dirname(target), { recursive: true });
    expect(await locateBenchmark(benchmark, base)).toBeUndefined();
    await writeFile(target, '{"id": "test_0", "question": "who?", "golden_answers": ["x", "y"], "metadata": {}}\n');
    expect(await locateBenchmark(benchmark, base)).toBe(target);
    expect(await readBenchmark(benchmark, target)).toEqual([
      { id: 'test_0', dataset: benchmark.name, question: 'who?', answers: ['x', 'y'] },
    ]);
  });

  it('refuses rows without a question or an answer, naming file, row and what is expected', async () => {
    const rows = [
      { Question: ' ', question: ' ' },
      { Question: 'q', question: 'q', answer: '', Answer: {} },
    ];
    for (const [i, message] of [/row 1: question: expected a text/, /row 1: no gold answer/].entries()) {
      const { form, list, name } = benchmark.original;
      const row = rows[i]!;
      const tabular = [Object.keys(row), Object.values(row).map((value) => (typeof value === 'string' ? value : ''))]
        .map((line) => line.join(form === 'tsv' ? '\t' : ','))
        .join('\n');
      const json = JSON.stringify(list === undefined ? [row] : { [list]: [row] });
      const content = { json, jsonl: JSON.stringify(row), tsv: tabular, csv: tabular }[form];
      await expect(readBenchmark(benchmark, await file(name, content))).rejects.toThrow(message);
    }
  });
});

it('reads gzipped JSONL of this project, located by name and split', async () => {
  const nq = findBenchmark('nq')!;
  const target = await file(
    'nq.test.jsonl.gz',
    gzipSync('{"id": "a", "dataset": "x", "question": "q", "answers": ["z"]}'),
  );
  expect(await locateBenchmark(nq, folder)).toBe(target);
  expect(await readBenchmark(nq, target)).toEqual([{ id: 'a', dataset: 'nq', question: 'q', answers: ['z'] }]);
});

it.each([
  ['hotpotqa', 'a.json', '{"data": []}', /a\.json: expected a list of questions/],
  ['triviaqa', 'b.json', '{"rows": []}', /expected a list of questions in "Data"/],
  ['hotpotqa', 'c.json', '[', /c\.json: not valid JSON/],
  ['hotpotqa', 'd.json', '[]', /d\.json: no questions/],
  ['hotpotqa', 'e.json', '[3]', /row 1: expected an object, found 3/],
  ['popqa', 'f.tsv', 'id\tquestion\n1\t"unclosed', /f\.tsv: not valid TSV/],
  ['bamboogle', 'none.csv', null, /none\.csv: no such file/],
  [
    'hotpotqa',
    'g.json',
    '[{"_id": "1", "question": "q", "answer": "a"}, {"_id": "1", "question": "q", "answer": "a"}]',
    /row 2: the id hotpotqa-1 occurs a second time/,
  ],
] as const)('%s refuses %s', async (name, fileName, content, message) => {
  const target = content === null ? path.join(folder, fileName) : await file(fileName, content);
  await expect(readBenchmark(findBenchmark(name)!, target)).rejects.toThrow(message);
});

const data = path.join(process.env.SEARCH_E1_SHARED ?? '../shared', 'data/questions');
describe.skipIf(!existsSync(data))(`the files of ${data} (skipped where they are absent)`, () => {
  /** Two of the files are subsets of their benchmark. */
  const subsets: Partial<Record<BenchmarkName, number>> = { triviaqa: 1188, popqa: 1972 };
  it.each(benchmarks)('$name has the expected number of questions', async (benchmark) => {
    const found = await locateBenchmark(benchmark, data);
    expect(await readBenchmark(benchmark, found!)).toHaveLength(subsets[benchmark.name] ?? benchmark.questions);
  });
});
