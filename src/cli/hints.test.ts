/**
 * Advice that a command does not know is worse than none: every command and option that a text of this program names exists, and an error
 * that a command can meet names only options of that command.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { allCommands } from './main.ts';

const source = fileURLToPath(new URL('..', import.meta.url));

/** "evolve", "index build" → its own options, by their long names. */
const known = new Map<string, ReadonlySet<string>>();
const describe = (command: Command, above: string) => {
  const name = `${above} ${command.name()}`.trim();
  known.set(name, new Set([...command.options.map((option) => option.long ?? ''), '--help']));
  for (const below of command.commands) describe(below, name);
};
for (const command of await allCommands({ out: process.stdout, err: process.stderr })) describe(command, '');

interface Text {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** The texts of a source file that are not comments; what is put into a template stands as "…". */
function textsOf(file: string): Text[] {
  const code = ts.createSourceFile(file, readFileSync(path.join(source, file), 'utf8'), ts.ScriptTarget.Latest, true);
  const texts: Text[] = [];
  const add = (node: ts.Node, text: string) =>
    texts.push({ file, line: code.getLineAndCharacterOfPosition(node.getStart()).line + 1, text });
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) add(node, node.text);
    else if (ts.isTemplateExpression(node))
      add(node, [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…'));
    ts.forEachChild(node, visit);
  };
  visit(code);
  return texts;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|testing/.test(file))
  .sort();

/** Commands of ours in a text, with what follows them up to the end of the sentence or of the line. */
function quotedCommands(text: string): { name: string; options: string[] }[] {
  return [...text.matchAll(/search-e1 ([a-z][^`\n]*)/g)].flatMap(([, rest]) => {
    const words = rest!.split(/[\s.,;:)]+/);
    const name = [`${words[0]} ${words[1]}`, words[0]!].find((each) => known.has(each));
    // "search-e1 hybrid index" names a kind of directory.
    return name === undefined ? [] : [{ name, options: optionsIn(rest!.replaceAll('\\\n', ' ')) }];
  });
}

function optionsIn(text: string): string[] {
  return [...text.matchAll(/(?<![\w-])--[a-z][a-z0-9-]*/g)].map(([option]) => option);
}

const texts = files.flatMap(textsOf);
const place = ({ file, line, text }: Text) => `${file}:${line} "${text.trim().slice(0, 120)}"`;

/** Which files a file imports, directly or through others; types apart. */
function reachedFrom(start: string): Set<string> {
  const reached = new Set<string>();
  const visit = (file: string) => {
    if (reached.has(file)) return;
    reached.add(file);
    const code = readFileSync(path.join(source, file), 'utf8');
    for (const [, target] of code.matchAll(/^(?:import|export) (?!type)[^;]*?from '(\.[^']+)'/gms))
      visit(path.join(path.dirname(file), target!));
  };
  visit(start);
  return reached;
}

/** The command's file and all that it reaches. Subcommands stand in files of their own, or in their group's. */
const reach = new Map(
  [...known.keys()].flatMap((name) => {
    const file = [name.replace(' ', '-'), name.split(' ')[0]!]
      .map((stem) => `cli/${stem}.ts`)
      .find((each) => files.includes(each));
    return file === undefined ? [] : [[name, reachedFrom(file)] as const];
  }),
);

/** What is told when something goes wrong: texts that are not style sheets, other programs' commands, or examples of ours. */
const advice = texts.filter(
  ({ text }) =>
    !/var\(--|: #|optimum-cli|llama-gguf-split|search-e1 [a-z]/.test(text) &&
    // The option itself, as it is declared.
    !/^(?:-\w, )?--\S+(?: <[^>]+>)?$/.test(text),
);

it('finds commands, options and texts to hold against each other', () => {
  expect(known.get('evolve')).toContain('--resume');
  expect(known.get('index build')).toContain('--corpus');
  expect(known.get('export')).not.toContain('--resume');
  expect(advice.filter(({ text }) => optionsIn(text).length > 0).length).toBeGreaterThan(50);
  expect(quotedCommands('Continue with: search-e1 evolve --resume runs/x')).toEqual([
    { name: 'evolve', options: ['--resume'] },
  ]);
});

it('quotes commands with options that they have', () => {
  const wrong = texts.flatMap((one) =>
    quotedCommands(one.text).flatMap(({ name, options }) =>
      options
        .filter((option) => !known.get(name)!.has(option))
        .map((option) => `${place(one)}: ${name} has no ${option}`),
    ),
  );
  expect(wrong).toEqual([]);
});

it("names options that the command at hand has: a command's own file, and what is shared by several", () => {
  const wrong = advice.flatMap((one) =>
    optionsIn(one.text).flatMap((option) => {
      const own = [...known.keys()].filter((name) => one.file === `cli/${name.replace(' ', '-')}.ts`);
      const meet =
        own.length > 0 ? own : [...reach].filter(([, reached]) => reached.has(one.file)).map(([name]) => name);
      const without = meet.filter((name) => !known.get(name)!.has(option));
      // Who reaches a file that is not a command's does not always reach the line: one command must know the option, at least.
      // A group has no options: those of its members count.
      const isGroup = (name: string) => [...known.keys()].some((other) => other.startsWith(`${name} `));
      const isWrong = meet.length > 0 && without.length === meet.length && !meet.every(isGroup);
      return isWrong ? [`${place(one)}: ${option} is unknown to ${without.join(', ')}`] : [];
    }),
  );
  expect(wrong).toEqual([]);
});

it('leaves it to the command to say how its work goes on', () => {
  const wrong = advice.filter(
    ({ file, text }) =>
      !file.startsWith('cli/') &&
      /--resume|same command|goes? on/i.test(text) &&
      /^(?:Free|Mend|Continue|Give)/.test(text),
  );
  expect(wrong.map(place)).toEqual([]);
});
