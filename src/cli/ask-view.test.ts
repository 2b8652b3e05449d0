import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AskView } from './ask-view.ts';
import { Paragraphs } from './widgets/paragraph.ts';

function output(columns?: number) {
  const terminal = {
    isTTY: columns !== undefined,
    columns,
    text: '',
    write(text: string) {
      terminal.text += text;
    },
  };
  return terminal;
}

const ending = { answer: 'Goethe', stop: 'answered', searches: 1, tokens: 1234, seconds: 2.04 } as const;

/** A question worked on, in pieces as a server sends them. */
function work(view: AskView): void {
  const say = (text: string) => {
    for (const piece of text.split(/(?<=[ e])/)) view.see({ kind: 'text', piece });
  };
  say('<think> I had better look it up first, to be quite sure.\nNow. </think> <search> author of Faust </search>');
  view.see({ kind: 'search', query: 'author of Faust' });
  const passages = [
    { id: '1', title: 'Faust, a tragedy in two parts', score: 2 },
    { id: '2', title: '', score: 1 },
  ];
  view.see({ kind: 'found', search: { query: 'author of Faust', passages } });
  say('I am not sure');
  view.see({ kind: 'invalid' });
  view.see({ kind: 'reasoning', piece: 'hidden thought' });
  say('<answer> Goethe </answer>');
  view.finish(ending);
}

describe('the view of a question', () => {
  it('shows thinking, searches with titles, and the answer', () => {
    const out = output();
    work(new AskView(out));
    expect(out.text.split('\n').map((line) => line.trimEnd())).toEqual([
      'think    I had better look it up first, to be quite sure.',
      '         Now.',
      'search   author of Faust',
      '         1. Faust, a tragedy in two parts',
      '         2. (no title)',
      '         I am not sure',
      '         (no search and no answer: asked again)',
      'think    hidden thought',
      'answer   Goethe',
      '         1 search, 1,234 tokens, 2.0 s',
      '',
    ]);
  });

  it('wraps within the terminal, and is coloured there alone', () => {
    const narrow = output(40);
    work(new AskView(narrow, {}));
    expect(narrow.text).toContain('\u001b[');
    const lines = stripVTControlCharacters(narrow.text).split('\n');
    expect(lines.slice(0, 3)).toEqual([
      'think    I had better look it up first,',
      '         to be quite sure.',
      '         Now.',
    ]);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40);
    const plain = output(40);
    work(new AskView(plain, { NO_COLOR: '1' }));
    expect(plain.text).toBe(stripVTControlCharacters(narrow.text));
  });

  it('says why there is no answer, and when nothing was found', () => {
    const out = output();
    const view = new AskView(out);
    view.see({ kind: 'found', search: { query: 'q', passages: [] } });
    view.finish({ ...ending, answer: null, stop: 'context-full', searches: 2, tokens: null });
    expect(out.text).toContain('nothing found\n');
    expect(out.text).toContain('answer   none (the context is full)\n');
    expect(out.text).toContain('2 searches, 2.0 s\n');
  });
});

describe('paragraphs', () => {
  it('keep every word in order, in lines no longer than the terminal', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { maxLength: 20 });
    fc.assert(
      fc.property(words, fc.integer({ min: 25, max: 80 }), fc.integer({ min: 1, max: 9 }), (words, columns, cut) => {
        const out = output(columns);
        const paragraphs = new Paragraphs(out, { NO_COLOR: '1' });
        paragraphs.begin('');
        const text = words.join(' ');
        for (let at = 0; at < text.length; at += cut) paragraphs.add(text.slice(at, at + cut));
        paragraphs.end();
        const lines = out.text.split('\n');
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(columns);
        // A word longer than a line goes on in the next one.
        expect(lines.join('').replaceAll(' ', '')).toBe(words.join(''));
      }),
    );
  });

  it('let no text steer the terminal', () => {
    const out = output(80);
    const paragraphs = new Paragraphs(out, { NO_COLOR: '1' });
    paragraphs.line('a\u001b[2Jb\u0007\rc\u009bd');
    expect(out.text).toBe('         a[2Jbcd\n');
  });
});
