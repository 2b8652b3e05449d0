import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateWorld } from '../world/generate.ts';
import { SUITES } from '../world/suites.ts';
import { openQuestions, type QuestionSources } from './questions.ts';

let data: string;
beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), 'questions-'));
  const line = (i: number) => JSON.stringify({ id: `n${i}`, question: `who is ${i} ?`, answers: [`${i}`] });
  await writeFile(path.join(data, 'own.jsonl'), `${Array.from({ length: 30 }, (_, i) => line(i)).join('\n')}\n`);
  await writeFile(path.join(data, 'nq.test.jsonl'), `${line(1)}\n${line(2)}\n`);
});
afterAll(() => rm(data, { recursive: true, force: true }));

const open = (sources: Partial<QuestionSources>) =>
  openQuestions({ suites: [], files: [], data, world: undefined, limit: undefined, seed: 1, ...sources });
const own = { name: 'own', file: '' };
const ids = (suite: { questions: readonly { id: string }[] }) => suite.questions.map(({ id }) => id);

describe('questions of an evaluation', () => {
  it('come from files, all of them, in the order of the file', async () => {
    const [suite] = await open({ files: [{ ...own, file: path.join(data, 'own.jsonl') }] });
    expect(suite).toMatchObject({ name: 'own', of: 30 });
    expect(ids(suite!)).toEqual(Array.from({ length: 30 }, (_, i) => `n${i}`));
  });

  it('are a choice by the seed where a limit is given, in the order of the file', async () => {
    const files = [{ ...own, file: path.join(data, 'own.jsonl') }];
    const [ten] = await open({ files, limit: 10 });
    expect(ten!.of).toBe(30);
    const numbers = ids(ten!).map((id) => Number(id.slice(1)));
    expect(new Set(numbers).size).toBe(10);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    // Not simply the first ones, the same for the same seed, and others for another.
    expect(numbers).not.toEqual(Array.from({ length: 10 }, (_, i) => i));
    expect(await open({ files, limit: 10 })).toEqual([ten]);
    expect(ids((await open({ files, limit: 10, seed: 2 }))[0]!)).not.toEqual(ids(ten!));
    expect((await open({ files, limit: 30 }))[0]!.questions).toHaveLength(30);
    expect((await open({ files, limit: 31 }))[0]!.questions).toHaveLength(30);
  });

  it('are those of a benchmark that lies in the folder of data, or a file under its name', async () => {
    const [found] = await open({ suites: ['nq'] });
    expect(ids(found!)).toEqual(['n1', 'n2']);
    const [named] = await open({ files: [{ name: 'nq', file: path.join(data, 'nq.test.jsonl') }] });
    expect(named).toEqual(found);
  });

  it('are those of the embedded world by its name, or by that of one suite', async () => {
    const world = generateWorld(3);
    const all = await open({ suites: ['world'], world, limit: 4 });
    expect(all.map(({ name }) => name)).toEqual(SUITES.map((suite) => `world-${suite}`));
    for (const { questions, of } of all) expect([questions.length, of]).toEqual([4, 4]);
    expect(await open({ suites: ['world-nq'], world, limit: 4 })).toEqual([all[0]]);
  });

  it.each([
    [{ suites: ['natural'] }, /there is no benchmark natural/, /There are nq, .*--questions NAME=FILE/],
    [{ suites: ['hotpotqa'] }, /no questions of hotpotqa here/, /search-e1 data pull hotpotqa/],
    [{ suites: ['world-nq'] }, /about the embedded world, and something else is searched/, /--retriever world/],
    [{ suites: ['world-nope'], world: generateWorld(3) }, /has no suite world-nope/, /world-nq/],
    [{ suites: ['nq', 'nq'] }, /the suite nq is named twice/, undefined],
  ])('are refused with what is wrong and what there is: %#', async (sources, message, hint) => {
    const refused = open(sources);
    await expect(refused).rejects.toThrow(message);
    if (hint !== undefined) await expect(refused).rejects.toMatchObject({ hint: expect.stringMatching(hint) });
  });
});
