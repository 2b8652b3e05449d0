import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellCommand } from '../../base/shell-command.ts';
import { brokenAtWords, fitting, isRich, jsonText, message } from './terminal.ts';

const output = (isTTY: boolean, columns = 80) => ({ isTTY, columns, write: () => {} });

describe('what a terminal can show', () => {
  it.each<[boolean, boolean, Record<string, string>]>([
    [true, true, {}],
    [true, true, { TERM: 'xterm-256color', LANG: 'de_DE.UTF-8' }],
    [true, true, { LC_ALL: 'C.utf8', LANG: 'C' }],
    [false, false, { LANG: 'C.UTF-8' }],
    [false, true, { TERM: 'dumb' }],
    [false, true, { NO_COLOR: '1' }],
    [false, true, { LC_ALL: 'C', LANG: 'en_US.UTF-8' }],
    [false, true, { LC_CTYPE: 'POSIX' }],
    [false, true, { LANG: 'de_DE.ISO-8859-1' }],
  ])('rich: %s; a terminal: %s, in %j', (rich, isTTY, environment) => {
    expect(isRich(output(isTTY), environment)).toBe(rich);
  });

  it('is ASCII elsewhere, of what this program writes, in columns of the same width', () => {
    const row = '  nq   0.384 ±0.012  –.030 ─── ██░░';
    const plain = fitting(row, output(false));
    expect(plain).toBe('  nq   0.384+-0.012  -.030 --- ##..');
    expect(plain.length).toBe(row.length);
    expect(fitting('“Zoë” is 日本 …', output(false))).toBe('"Zoë" is 日本 ...');
    expect(fitting(row, output(true), {})).toBe(row);
  });
});

describe('a message', () => {
  it('steers no terminal and breaks between words', () => {
    const text = message(`found \u001b]52;c;aGk=\u0007 in ${'word '.repeat(40)}`, output(true, 40), {});
    expect(text).not.toMatch(/[^\n -~]/);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(40);
    expect(text.replace(/\s+/g, ' ')).toBe(`found ]52;c;aGk= in ${'word '.repeat(40)}`.trimEnd().concat(' '));
  });

  it('is whole lines in a log', () => {
    expect(message('a '.repeat(100), output(false))).toBe(`${'a '.repeat(100)}\n`);
  });

  it('keeps the margin of what it breaks', () => {
    expect(brokenAtWords('a\n  one two three\nb', 8)).toBe('a\n  one\n  two\n  three\nb');
  });
});

it('JSON keeps its value and holds nothing that steers', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      const text = jsonText(value, 1);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(text).not.toMatch(/[\u007f-\u009f\u202e]/);
    }),
  );
  expect(jsonText({ a: '\u009b31m' })).toBe('{"a":"\\u009b31m"}');
});

it('a printed command is read by a shell as the words that it was made of', () => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme-ascii', minLength: 0 }),
    fc.constantFrom("Häuser & wiki's", 'a b', '$HOME', '`ls`', '*', '~', '-x', '', '#1', 'hf:o/n@main', '!!', 'a\\b'),
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      const read = execFileSync('/bin/sh', ['-c', `for w in ${shellCommand(...words)}; do printf '%s\\0' "$w"; done`]);
      expect(read.toString().split('\0').slice(0, -1)).toEqual(words);
    }),
    { numRuns: 60 },
  );
  expect(shellCommand('search-e1', 'ask', '--policy', 'runs/a-1')).toBe('search-e1 ask --policy runs/a-1');
});
