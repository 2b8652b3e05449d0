import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { readTemplate, searchR1Template, worldTemplate } from './templates.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'templates-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(content: unknown): Promise<unknown> {
  const file = path.join(folder, 'template.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readTemplate(file);
}

describe('readTemplate', () => {
  it.each([searchR1Template, worldTemplate])(
    'takes the built-in template $name when written to a file',
    async (template) => {
      expect(await read(template)).toEqual(template);
    },
  );

  it('leaves braces alone that are no placeholders', async () => {
    const student = '{ "form": {} } {question}';
    expect(await read({ ...worldTemplate, student })).toMatchObject({ student });
  });

  it.each([
    ['a missing field', { student: undefined }, /student/],
    ['a field of another type', { chat: 'yes' }, /chat/],
    ['an unknown field', { observations: 'x' }, /observations/],
    ['an empty name', { name: '' }, /name/],
    ['a student prompt without its question', { student: 'Hello' }, /student: \{question\} is missing/],
    ['a teacher prompt without its expert', { teacher: '{question}' }, /teacher: \{expert\} is missing/],
    ['a placeholder twice', { teacher: '{question} {expert} {expert}' }, /teacher: \{expert\} may occur once/],
    ['a misspelt placeholder', { student: '{question} {qestion}' }, /student: \{qestion\} means nothing here/],
    ['a placeholder of another field', { passage: '{text} {question}' }, /passage: \{question\} means nothing here/],
    ['an observation without passages', { observation: '<information></information>' }, /observation: \{passages\}/],
    ['an observation with nothing around', { observation: ' {passages} ' }, /observation: needs text around/],
    ['a passage without text', { passage: '{title}' }, /passage: \{text\} is missing/],
    ['an empty message', { invalidAction: ' ' }, /invalidAction: must not be empty/],
  ])('refuses %s and names it', async (_, change, message) => {
    const wrong = read({ ...worldTemplate, ...change });
    await expect(wrong).rejects.toThrow(UserError);
    await expect(wrong).rejects.toThrow(message);
    await expect(wrong).rejects.toThrow('template.json');
  });

  it('refuses what is no template at all', async () => {
    await expect(read('[]')).rejects.toThrow(UserError);
    await expect(read('{')).rejects.toThrow(/template\.json: not valid JSON/);
    await expect(readTemplate(path.join(folder, 'absent.json'))).rejects.toThrow(/no such file/);
  });
});
