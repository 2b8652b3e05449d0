import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generateWorld } from '../world/generate.ts';
import { evaluationQuestions, SUITES, trainingQuestions } from '../world/suites.ts';
import { openGold } from './gold.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gold-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const spelled = (question: string) => question.toLowerCase();
const none = { named: [], ofRun: [], world: undefined, spelled };

async function questionFile(name: string, rows: Readonly<Record<string, string>>): Promise<string> {
  const file = path.join(folder, name);
  const line = ([question, answer]: [string, string]) =>
    JSON.stringify({ id: question, question, golden_answers: [answer] });
  await writeFile(file, Object.entries(rows).map(line).join('\n'));
  return file;
}

it('finds a question however it is spelled, the user’s files before the run’s', async () => {
  const mine = await questionFile('mine.jsonl', { 'Who is it?': 'mine' });
  const run = await questionFile('run.jsonl', { 'who is it?': 'run', 'Where?': 'there' });
  const gold = await openGold({ ...none, named: [mine], ofRun: [run] });
  expect(gold(' WHO is it? ')).toEqual(['mine']);
  expect(gold('where?')).toEqual(['there']);
  expect(gold('when?')).toBeUndefined();
});

it('a file of the run may be gone, one that the user named may not', async () => {
  const gone = path.join(folder, 'gone.jsonl');
  const gold = await openGold({ ...none, ofRun: [gone] });
  expect(gold('anything')).toBeUndefined();
  await expect(openGold({ ...none, named: [gone] })).rejects.toThrow('gone.jsonl');
});

it('knows every question that the embedded world trains and evaluates on', async () => {
  const world = generateWorld(7);
  const gold = await openGold({ ...none, world });
  const asked = [...SUITES.flatMap((suite) => evaluationQuestions(world, suite, 20)), ...trainingQuestions(world, 50)];
  for (const { question, answers } of asked) expect(gold(question)).toEqual(answers);
});
