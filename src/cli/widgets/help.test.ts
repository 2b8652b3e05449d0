import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { capture } from '../testing/capture.ts';
import { helpOfWidth } from './help.ts';

const subcommands = ['build', 'search', 'eval', 'info'].map((name) => ['index', name]);
const all = 'evolve experiment doctor settings warmup export ask evaluate compare data score index serve-retriever';

it.each([[], ...all.split(' ').map((name) => [name]), ...subcommands, ['data', 'pull']].map((words) => [words]))(
  'the help of %j is no wider than the terminal',
  async (words) => {
    const { out } = await capture(...words, '--help');
    expect(out.split('\n').filter((line) => line.length > 100)).toEqual([]);
    for (const width of [80, 60]) {
      const narrow = helpOfWidth(out, width);
      expect(narrow.replace(/\s*\\\n\s*|\s+/g, ' ')).toBe(out.replace(/\s*\\\n\s*|\s+/g, ' '));
    }
  },
);

it('a sentence that goes on in a next line breaks once, and begins where it began', () => {
  const text = '\nOf words there are more than\nthe width has room for.\nShort.\n\n  margin kept\nNot\nlong.\n';
  const broken = '\nOf words there are\nmore than the width\nhas room for.\nShort.\n\n  margin kept\nNot\nlong.\n';
  expect(helpOfWidth(text, 20)).toBe(broken);
});

it('an example that was broken is the same command to a shell', () => {
  const command = '  search-e1 evolve --questions train.jsonl --corpus passages.jsonl.gz --model base --dry-run';
  const broken = helpOfWidth(`${command}      and what it does`, 50);
  expect(Math.max(...broken.split('\n').map((line) => line.length))).toBeLessThanOrEqual(50);
  const words = (text: string) => execFileSync('/bin/sh', ['-c', `printf '%s\\n' ${text.trim()}`]).toString();
  expect(words(broken.slice(0, broken.lastIndexOf('\n')))).toBe(words(command));
  expect(broken.endsWith('\n      and what it does')).toBe(true);
});
