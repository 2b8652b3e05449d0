/** The built-in templates, and templates of the user's own from a JSON file. */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { readJson } from '../base/files.ts';
import type { Template } from './template.ts';

const instruction =
  'Answer the question at the end. Whenever you are given new information, first reason about it between <think> and </think>. ' +
  'If your reasoning shows that you lack some knowledge, call the search engine by writing <search> your query </search>; ' +
  'the best results come back to you between <information> and </information>. You may search as often as you want. ' +
  'Once you need nothing more, write the answer itself between <answer> and </answer>, with no explanation or detail: ' +
  'for example, <answer> Lisbon </answer>.';

/** The setting of Search-R1 (its rules, our wording): one user message in the model's chat template. */
export const searchR1Template: Template = {
  name: 'search-r1',
  student: `${instruction}\n\nQuestion: {question}\n`,
  teacher:
    `${instruction}\n\n` +
    'An expert has already worked on this very question. The expert reference below shows that work from the first step to the answer:\n\n' +
    '{expert}\n\n' +
    'That was the expert reference. Understand how it reaches the answer and how few searches it needs; then solve the question ' +
    'in your own steps, with your own thoughts and searches, in the form described above.\n\n' +
    'Question: {question}\n',
  chat: true,
  observation: '\n\n<information>{passages}</information>\n\n',
  passage: 'Doc {rank}(Title: {title}) {text}',
  separator: '\n',
  nothingFound: 'No passage was found.',
  invalidAction:
    '\n\nThat was not a valid action. To search, write the query between <search> and </search>; ' +
    'to finish, write the answer between <answer> and </answer>. Try again.\n\n',
};

/** The embedded world's language, in which each word and each tag is one token. */
export const worldTemplate: Template = {
  name: 'world',
  student: '<q> {question} </q>',
  teacher: '<q> {question} </q> <ref> {expert} </ref>',
  chat: false,
  observation: ' <information> {passages} </information> ',
  passage: '[ {title} ] {text}',
  separator: ' ',
  nothingFound: 'not found',
  invalidAction: ' <information> invalid </information> ',
};

/**
 * For small pretrained models: the same agent, asked in few words; of each passage the first 80 words, and none that ends in its
 * middle. The teacher's prompt says nothing of brevity.
 */
export const compactTemplate: Template = {
  name: 'compact',
  student:
    'Answer the question. Think between <think> and </think>. Search with <search> query </search>; passages come back between ' +
    '<information> and </information>. Give the answer in their words: <answer> answer </answer>.\n\nQuestion: {question}\n',
  teacher:
    'Answer the question. Think between <think> and </think>. Search with <search> query </search>; passages come back between ' +
    '<information> and </information>. Give the answer in their words: <answer> answer </answer>.\n\n' +
    'Another agent worked on this question:\n{expert}\n\nQuestion: {question}\n',
  chat: true,
  observation: '\n<information>{passages}</information>\n',
  passage: 'Doc {rank} (Title: {title}) {text}',
  passageWords: 80,
  wholePassages: true,
  separator: '\n',
  nothingFound: 'No passage was found.',
  invalidAction: '\nWrite <search> query </search> or <answer> answer </answer>.\n',
};

/** Each placeholder that a field may hold: whether it is required. All of them occur at most once. */
const placeholders: Partial<Record<keyof Template, Record<string, 'required' | 'optional'>>> = {
  student: { question: 'required' },
  teacher: { question: 'required', expert: 'required' },
  observation: { passages: 'required' },
  passage: { rank: 'optional', title: 'optional', text: 'required' },
  separator: {},
  nothingFound: {},
  invalidAction: {},
};

/** What stands in braces like a placeholder: {word}. Other braces are plain text. */
export const placeholder = /\{([a-z]+)\}/g;

function withPlaceholders(field: keyof Template) {
  const allowed = placeholders[field] ?? {};
  return z.string().superRefine((text, context) => {
    const found = [...text.matchAll(placeholder)].map((match) => match[1]!);
    for (const name of found)
      if (!(name in allowed))
        context.addIssue({ code: 'custom', message: `{${name}} means nothing here, ${expectation(allowed)}` });
    for (const [name, need] of Object.entries(allowed)) {
      const times = found.filter((each) => each === name).length;
      if (times > 1) context.addIssue({ code: 'custom', message: `{${name}} may occur once only, found ${times}` });
      if (times === 0 && need === 'required') context.addIssue({ code: 'custom', message: `{${name}} is missing` });
    }
  });
}

function expectation(allowed: Record<string, unknown>): string {
  const names = Object.keys(allowed).map((name) => `{${name}}`);
  return names.length === 0 ? 'no placeholder was expected' : `expected ${names.join(', ')}`;
}

const schema = z.strictObject({
  name: z.string().min(1),
  student: withPlaceholders('student'),
  teacher: withPlaceholders('teacher'),
  chat: z.boolean(),
  // Turns are told apart by the environment's text between them, so it must not be empty.
  observation: withPlaceholders('observation').refine((text) => text.trim() !== '{passages}', {
    message: 'needs text around {passages}, such as <information>{passages}</information>',
  }),
  passage: withPlaceholders('passage'),
  passageWords: z.int().min(1).max(100_000).exactOptional(),
  wholePassages: z.literal(true).exactOptional(),
  separator: withPlaceholders('separator'),
  nothingFound: withPlaceholders('nothingFound'),
  invalidAction: withPlaceholders('invalidAction').refine((text) => text.trim() !== '', {
    message: 'must not be empty',
  }),
});

/** The templates that go by a name. */
export const builtInTemplates: readonly Template[] = [searchR1Template, compactTemplate, worldTemplate];

/** A built-in template by its name, else the template in a file. */
export async function openTemplate(nameOrFile: string): Promise<Template> {
  return builtInTemplates.find(({ name }) => name === nameOrFile) ?? readTemplate(nameOrFile);
}

/** Reads and checks a template file. UserError naming the file and every field at fault. */
export async function readTemplate(file: string): Promise<Template> {
  const parsed = schema.safeParse(await readJson(file));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(
    (issue) => `${issue.path.length === 0 ? 'template' : issue.path.join('.')}: ${issue.message}`,
  );
  throw new UserError(`${file}: ${faults.join('; ')}`, {
    hint: `A template is a JSON object with the fields ${Object.keys(schema.shape).join(', ')}.`,
  });
}
