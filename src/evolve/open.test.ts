import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { type Inputs, openSetup } from './open.ts';
import { presets } from './presets.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'open-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const long = `what is ${'city '.repeat(460)}?`;

async function inputs(training: readonly string[], suite: readonly string[]): Promise<Inputs> {
  const write = async (name: string, rows: readonly object[]) => {
    const file = path.join(folder, name);
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return file;
  };
  const questions = (name: string, texts: readonly string[]) =>
    write(
      `${name}.jsonl`,
      texts.map((question, i) => ({ id: `${name}${i}`, question, answers: ['x'] })),
    );
  return {
    questions: await questions('t', training),
    corpus: await write('corpus.jsonl', [{ id: 'p', title: 'x', text: 'x is a city .' }]),
    tokenizer: null,
    model: BASE_POLICY,
    template: 'world',
    evaluate: [{ suite: 's', file: await questions('s', suite) }],
    threads: 1,
  };
}

it('leaves out questions whose prompts leave no room for a turn, and says so; hashes are of all questions', async () => {
  const some = ['what is a ?', long, 'what is b ?', 'what is c ?'];
  const { setup, hashes, notes, close } = await openSetup(await inputs(some, some), presets.smoke);
  await close();
  expect(setup.trainingQuestions.map(({ id }) => id)).toEqual(['t0', 't2', 't3']);
  expect(setup.suites[0]!.questions.map(({ id }) => id)).toEqual(['s0', 's2', 's3']);
  expect(notes).toEqual([
    expect.stringMatching(
      /^1 of 4 training questions leave no room for a turn in a context of 448 tokens \(the prompt of t1 has 46\d\)/,
    ),
    expect.stringMatching(/^1 of 4 questions of s leave no room/),
  ]);
  const whole = await openSetup(await inputs(some, some), {
    ...presets.smoke,
    rollout: { ...presets.smoke.rollout, contextTokens: 512 },
  });
  await whole.close();
  expect(whole.setup.trainingQuestions).toHaveLength(4);
  expect(whole.hashes).toEqual(hashes);
});

it('refuses questions of which most cannot be asked', async () => {
  const opening = openSetup(await inputs(['what is a ?'], [long, long, 'what is b ?']), presets.smoke);
  await expect(opening).rejects.toThrow('2 of 3 questions of s leave no room for a turn in a context of 448 tokens');
  await expect(opening).rejects.toMatchObject({ hint: 'Allow a longer context: --set rollout.contextTokens=512' });
});
