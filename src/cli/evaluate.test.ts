/**
 * The real command against a scripted server: killed at any moment it ends with the same results; faults of the server end as
 * recorded failures or successful retries, never as a wrong score.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { titleReader } from '../baselines/testing/title-reader.ts';
import { type Reply, type Script, scriptedServer } from '../engines/openai/testing/scripted-server.ts';
import type { Answer } from '../evaluation/answer.ts';
import type { EvaluationResults } from '../evaluation/results.ts';
import { capture } from './testing/capture.ts';

const command = fileURLToPath(new URL('../../bin/search-e1.js', import.meta.url));
const things = ['hen', 'egg', 'gold', 'tin', 'fox', 'pear', 'moon', 'river'];

let folder: string;
let files: string[];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'evaluate-'));
  const write = async (name: string, rows: readonly object[]) => {
    const file = path.join(folder, name);
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return file;
  };
  const corpus = await write(
    'corpus.jsonl',
    things.map((title, i) => ({ id: `p${i}`, title, text: `Everything about the ${title} and what it is like.` })),
  );
  const questions = (suite: string) =>
    things.map((thing, i) => ({ id: `${suite}${i}`, question: `what is ${suite} ${thing}`, answers: [thing] }));
  const [one, two] = [await write('one.jsonl', questions('one')), await write('two.jsonl', questions('two'))];
  files = ['--retriever', corpus, '--questions', `one=${one}`, '--questions', `two=${two}`];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const out = (name: string) => path.join(folder, name);
const resultsOf = (name: string) => readFile(path.join(out(name), 'results.json'), 'utf8');

/** Runs `search-e1 evaluate` in a process of its own, until it is to be killed. */
async function evaluate(args: readonly string[], kill: Promise<void>): Promise<string | number | null> {
  const child = spawn(process.execPath, [command, 'evaluate', ...files, ...args], { stdio: 'ignore' });
  void kill.then(() => child.kill('SIGKILL'));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
}

it('ends with the same results when it is killed again and again', async () => {
  const [undisturbed, broken] = await Promise.all([scriptedServer(titleReader), killable()]);
  try {
    const args = (url: string, name: string) =>
      ['--policy', `${url}#scripted`, '--baseline', 'all', '--concurrency', '4', '--out', out(name)] as const;
    const disturbed = async () => {
      for (const requests of [7, 110]) {
        const killed = broken.after(requests);
        expect(await evaluate(args(broken.server.url, 'killed'), killed)).toBe('SIGKILL');
      }
    };
    await disturbed();
    // The same command within this process: what is started for every command takes longest.
    for (const [server, name] of [
      [undisturbed, 'whole'],
      [broken.server, 'killed'],
    ] as const)
      expect(await capture('evaluate', ...files, ...args(server.url, name))).toMatchObject({ code: 0 });
    expect(await resultsOf('killed')).toBe(await resultsOf('whole'));
    // What was on record was not asked again: at most what was under way at the two kills.
    expect(broken.server.asked.length - undisturbed.asked.length).toBeLessThanOrEqual(2 * 4 * 5);
    const { rows } = JSON.parse(await resultsOf('whole')) as EvaluationResults;
    const scores = Object.fromEntries(rows.map(({ baseline, micro }) => [baseline, micro.exactMatch!.mean]));
    expect(scores).toEqual({ direct: 0, cot: 0, ircot: 1, 'search-o1': 1, react: 1, rag: 1, agent: 1 });
  } finally {
    await Promise.all([undisturbed.close(), broken.server.close()]);
  }
});

/** A server that says when it has been asked so many times. */
async function killable() {
  let [limit, reached] = [Number.POSITIVE_INFINITY, () => {}];
  let count = 0;
  const server = await scriptedServer((asked) => {
    count += 1;
    if (count >= limit) reached();
    return titleReader(asked);
  });
  const after = (requests: number) =>
    new Promise<void>((resolve) => {
      [limit, reached] = [requests, resolve];
    });
  return { server, after };
}

describe('faults of the server', () => {
  const run = async (name: string, script: Script, ...more: string[]) => {
    const server = await scriptedServer(script);
    try {
      const args = ['--policy', `${server.url}#scripted`, '--baseline', 'rag', '--out', out(name), ...more];
      return await capture('evaluate', ...files, ...args);
    } finally {
      await server.close();
    }
  };

  it('are mended by retries where that is possible', async () => {
    const faults: readonly Reply[] = [
      { fault: 'status', status: 429, retryAfter: 0 },
      { fault: 'status', status: 500, retryAfter: 0 },
      { fault: 'cut', text: 'tin' },
      { fault: 'malformed', text: 'tin' },
    ];
    let first = 0;
    const { code } = await run('mended', (asked) =>
      asked.attempt === 0 && first < faults.length ? faults[first++]! : titleReader(asked),
    );
    expect(code).toBe(0);
    const { rows } = JSON.parse(await resultsOf('mended')) as EvaluationResults;
    expect(rows[0]!.micro.exactMatch!.mean).toBe(1);
    expect(rows[0]!.suites.map(({ failures }) => failures)).toEqual([0, 0]);

    const other = await run('mended', titleReader, '--seed', '2');
    expect(other).toMatchObject({ code: 2, out: '' });
    expect(other.err).toContain('decoding.seed: 1 there, 2 now');
  });

  it('are recorded as failures where it is not, and asked again', async () => {
    const ill = (asked: { prompt: string }) => asked.prompt.includes('what is two fox');
    const broken = await run('ill', (asked) => (ill(asked) ? { fault: 'content-type' } : titleReader(asked)));
    expect(broken.code).toBe(2);
    expect(broken.err).toMatch(/1 of 16 questions failed.*text\/html/);
    expect(broken.err).toContain('Give the same command again');
    const before = JSON.parse(await resultsOf('ill')) as EvaluationResults;
    expect(before.rows[0]!.suites.map(({ failures, exactMatch }) => [failures, exactMatch!.mean])).toEqual([
      [0, 1],
      // The one that failed is in no figure.
      [1, 1],
    ]);
    let asked = 0;
    const mended = await run('ill', (each) => {
      asked += 1;
      return titleReader(each);
    });
    expect(mended.code).toBe(0);
    expect(asked).toBe(1);
    const after = JSON.parse(await resultsOf('ill')) as EvaluationResults;
    expect(after.rows[0]!.micro.exactMatch!.mean).toBe(1);
  });
});

describe('what a server says', () => {
  const run = async (name: string, script: Script, ...more: string[]) => {
    const server = await scriptedServer(script);
    try {
      const args = ['--policy', `${server.url}#scripted`, '--limit', '4', '--out', out(name), ...more];
      return await capture('evaluate', ...files, ...args);
    } finally {
      await server.close();
    }
  };
  const recorded = async (name: string) =>
    (await readFile(path.join(out(name), 'answers.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Answer);

  it('of a prompt that is too long is a failure in its words for the agent and for baselines, never a score', async () => {
    const words = "This model's maximum context length is 600 tokens and your request has 550 input tokens";
    const { code, err } = await run(
      'refused',
      () => ({ fault: 'status', status: 400, message: words }),
      ...['--baseline', 'agent,rag'],
    );
    expect(code).toBe(2);
    expect(err).toMatch(/16 of 16 questions failed, such as .*maximum context length is 600/);
    const { rows } = JSON.parse(await resultsOf('refused')) as EvaluationResults;
    expect(rows.flatMap(({ suites }) => suites.map(({ failures, exactMatch }) => [failures, exactMatch]))).toEqual(
      Array.from({ length: 4 }, () => [4, null]),
    );
    const answers = await recorded('refused');
    for (const { stop, failure } of answers) {
      expect(stop).toBe('sample-failed');
      expect(failure).toContain(words);
      expect(failure).toContain('--context-tokens');
    }
  });

  it('of an optional field is recorded, and said', async () => {
    const { code, out: printed } = await run(
      'seedless',
      (asked) => ('seed' in asked.body ? { fault: 'status', status: 400, message: 'seed?' } : titleReader(asked)),
      ...['--baseline', 'rag'],
    );
    expect(code).toBe(0);
    expect(printed).toContain('The server refuses seed, and was asked without.');
    expect((await recorded('seedless')).every(({ leftOut }) => leftOut?.join() === 'seed')).toBe(true);
  });

  it('is thinking alone: such replies are counted, and said', async () => {
    const { code, out: printed } = await run(
      'thinking',
      () => ({ reasoning: 'It is the hen.', text: '' }),
      '--baseline',
      'rag',
    );
    expect(code).toBe(0);
    expect(printed).toContain("8 replies held the model's thinking alone");
    expect((await recorded('thinking')).map(({ reasoningOnly }) => reasoningOnly)).toEqual(Array(8).fill(1));
  });

  it('stands beside question and gold answers on record, and wrong answers are shown with them', async () => {
    const { out: printed } = await run('wrong', () => 'tin foil', '--baseline', 'direct', '--seed', '3');
    const answers = await recorded('wrong');
    for (const { id, question, gold, prediction } of answers) {
      const thing = things[Number(/\d+/.exec(id)![0])]!;
      expect({ question, gold, prediction }).toEqual({
        question: `what is ${id.replace(/\d+/, '')} ${thing}`,
        gold: [thing],
        prediction: 'tin foil',
      });
    }
    expect(printed).toMatch(
      /Wrong answers of Direct.*, for example \(all are in answers\.jsonl\):\n {2}one: what is one (\w+)\n {4}gold: \1 · answered: tin foil\n {2}two: /,
    );
  });
});

describe('the command', () => {
  it.each([
    ['an unknown baseline', ['--baseline', 'rga'], /there is no rga, did you mean rag\?/],
    ['an unknown benchmark', ['--suites', 'trivia', '--data', 'x'], /there is no benchmark trivia/],
    ['a benchmark that is not there', ['--suites', 'nq', '--data', 'nowhere'], /nowhere: no questions of nq/],
    ['questions about a world that is not searched', ['--suites', 'world-nq'], /--retriever world/],
    ['questions without a name', ['--questions', 'x.jsonl'], /expected NAME=FILE/],
    ['a file that is no question file', ['--questions', 'three=%CORPUS%'], /corpus\.jsonl:1: question: /],
    ['a suite named twice', ['--questions', '%ONE%'], /the suite one is named twice/],
    ['a bad temperature', ['--temperature', '-1'], /at least 0/],
    ['a stage of what is no run', ['--policy', '%FOLDER%#grpo-1'], /not a run directory/],
    ['a policy that is nowhere', ['--policy', 'nowhere'], /--policy nowhere: there is no directory nowhere/],
    ['a raw text for a model that has token ids', ['--raw'], /--raw: only a served model/],
    ['a server that is not there', ['--policy', 'http://127.0.0.1:1/v1#m'], /127\.0\.0\.1:1\/v1: no connection/],
  ])('refuses %s with exit code 2', async (_, more, message) => {
    const args = more.map((arg) =>
      arg.replace('%CORPUS%', files[1]!).replace('%ONE%', files[3]!).replace('%FOLDER%', folder),
    );
    const { code, out: printed, err } = await capture('evaluate', ...files, '--out', out('refused'), ...args);
    expect(err).toMatch(message);
    expect(code).toBe(2);
    expect(printed).toBe('');
  });

  it('asks everything by /completions where that is wanted', async () => {
    const server = await scriptedServer(titleReader);
    try {
      const args = ['--policy', `${server.url}#scripted`, '--raw', '--baseline', 'agent,search-o1', '--limit', '1'];
      expect(await capture('evaluate', ...files, ...args, '--out', out('raw'))).toMatchObject({ code: 0 });
      const { conditions, rows } = JSON.parse(await resultsOf('raw')) as EvaluationResults;
      expect(conditions.model).toMatchObject({ mode: 'raw', tokenizer: null });
      expect(rows.map(({ micro }) => micro.exactMatch!.mean)).toEqual([1, 1]);
      expect(server.asked.every(({ body }) => typeof body.prompt === 'string' && !('messages' in body))).toBe(true);
    } finally {
      await server.close();
    }
  });

  it('needs questions and something to search', async () => {
    const server = await scriptedServer(titleReader);
    try {
      const policy = ['--policy', `${server.url}#scripted`, '--out', out('refused')];
      expect((await capture('evaluate', ...policy)).err).toContain('--retriever is missing');
      expect((await capture('evaluate', ...policy, ...files.slice(0, 2))).err).toContain('no questions');
    } finally {
      await server.close();
    }
  });
});

describe('a small checkpoint of the embedded engine', () => {
  it('is asked by the agent’s rollouts and by baselines, with the same results again', async () => {
    const suites = ['--suites', 'world-nq,world-hotpotqa', '--limit', '3'];
    const args = ['evaluate', ...suites, '--baseline', 'agent,rag', '--threads', '1', '--json'];
    const [one, two] = [out('base'), out('base-again')];
    const first = await capture(...args, '--out', one);
    expect(first).toMatchObject({ code: 0 });
    await capture(...args, '--out', two, '--concurrency', '3');
    const read = (name: string) => readFile(path.join(name, 'results.json'), 'utf8');
    expect(await read(two)).toBe(await read(one));
    const { results } = JSON.parse(first.out) as { results: EvaluationResults };
    expect(results.rows.map(({ baseline }) => baseline)).toEqual(['agent', 'rag']);
    expect(results.rows[0]!.micro.wellFormed!.mean).toBe(1);
    expect(results.rows[0]!.micro.exactMatch!.mean).toBeGreaterThan(0);

    const table = path.join(folder, 'table.html');
    const compared = await capture('compare', one, two, '--out', table);
    expect(compared).toMatchObject({ code: 0 });
    expect(compared.out).toContain('base-again: RAG');
    const html = await readFile(table, 'utf8');
    expect(html).toContain('base-again: RAG');
    expect(html).not.toContain('://');
  });
});
