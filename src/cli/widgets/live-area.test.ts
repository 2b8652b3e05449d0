import { describe, expect, it } from 'vitest';
import { clock } from '../../base/clock.ts';
import { bar, LiveArea } from './live-area.ts';

/** A terminal that understands what the area uses: line feeds, one line up, clear the line, show and hide the cursor. */
class Terminal {
  readonly isTTY: boolean;
  columns = 40;
  lines: string[] = [''];
  row = 0;
  cursor = true;
  written = '';

  constructor(isTTY = true) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.written += text;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what this is about.
    for (const [token] of text.matchAll(/\u001b\[\??\d+[A-Za-z]|\n|[^\u001b\n]/gu)) {
      if (token === '\r') continue;
      if (token === '\n') this.row += 1;
      else if (token === '\u001b[1A') this.row -= 1;
      else if (token === '\u001b[2K') this.lines[this.row] = '';
      else if (token === '\u001b[?25l') this.cursor = false;
      else if (token === '\u001b[?25h') this.cursor = true;
      else this.lines[this.row] += token;
      if (this.row < 0 || token.length > 6) throw new Error(`unexpected ${JSON.stringify(token)}`);
      this.lines[this.row] ??= '';
      if (this.lines[this.row]!.length > this.columns) throw new Error('a line wrapped');
    }
  }

  get screen(): string {
    return this.lines.join('\n').trimEnd();
  }
}

const view = (text: string, milestone = 'm') => ({
  lines: [`one ${text}`, `two ${text}`],
  plain: `all ${text}`,
  milestone,
});

describe('the live area', () => {
  it('draws in place, prints lasting lines above, and leaves nothing behind', () => {
    const terminal = new Terminal();
    let time = 0;
    const area = new LiveArea(terminal, true, () => time, {});
    area.show(view('a'));
    expect(terminal.screen).toBe('one a\ntwo a');
    expect(terminal.cursor).toBe(false);
    time = 1;
    area.show(view('b'));
    expect(terminal.screen).toBe('one b\ntwo b');
    area.print('a note');
    expect(terminal.screen).toBe('a note');
    area.show(view('c'));
    expect(terminal.screen).toBe('a note\none c\ntwo c');
    time = 2;
    area.show({ ...view('d'), lines: ['only d'] });
    expect(terminal.screen).toBe('a note\nonly d');
    area.finish();
    terminal.write('the table\n');
    expect(terminal.screen).toBe('a note\nthe table');
    expect(terminal.cursor).toBe(true);
    area.finish();
    expect(terminal.screen).toBe('a note\nthe table');
  });

  it('cuts lines to the width, so that none wraps', () => {
    const terminal = new Terminal();
    new LiveArea(terminal, true, undefined, {}).show(view('█'.repeat(100)));
    expect(Math.max(...terminal.lines.map((line) => line.length))).toBe(39);
  });

  it('leaves out what does not fit, part by part, and breaks no word', () => {
    const terminal = new Terminal();
    const area = new LiveArea(terminal, true, () => 0, {});
    area.show({
      ...view(''),
      lines: ['stage 1 of 9  evaluate the base  step 1 of 1  rollouts 7 of 80', `one ${'long '.repeat(20)}`],
    });
    expect(terminal.screen).toBe(`stage 1 of 9  evaluate the base\none ${'long '.repeat(5)}long…`);
    area.print('a note of more words than a line of forty columns has room for');
    expect(terminal.screen).toBe('a note of more words than a line of\nforty columns has room for');
  });

  it('breaks plain lines of progress between words where a terminal can do nothing else, and leaves those of a log whole', () => {
    const long = view('of one stage and of its step in more than forty columns');
    const whole = 'all of one stage and of its step in more than forty columns';
    const dumb = new Terminal();
    new LiveArea(dumb, true, () => 0, { TERM: 'dumb' }).show(long);
    expect(dumb.screen).toBe('all of one stage and of its step in\nmore than forty columns');
    let written = '';
    const log = {
      isTTY: false,
      columns: 40,
      write: (text: string) => {
        written += text;
      },
    };
    new LiveArea(log, true, () => 0, {}).show(long);
    expect(written).toBe(`${whole}\n`);
  });

  it('leaves no line behind when the terminal becomes narrower', () => {
    const terminal = new Terminal();
    let time = 0;
    const area = new LiveArea(terminal, true, () => time, {});
    area.show(view('a'.repeat(30)));
    // As terminals do: 34 columns now take three rows of 15, the last without anything behind.
    terminal.columns = 15;
    terminal.lines = terminal.lines.flatMap((line) => line.match(/.{1,15}/g) ?? ['']);
    terminal.row = terminal.lines.length - 1;
    time = 1;
    area.show(view('b'));
    expect(terminal.screen).toBe('one b\ntwo b');
  });

  it('removes the echo of a key that was pressed below it', () => {
    const terminal = new Terminal();
    const area = new LiveArea(terminal, true, () => 0, {});
    area.show(view('a'));
    terminal.write('^C');
    area.finish();
    terminal.write('stopped\n');
    expect(terminal.screen).toBe('stopped');
  });

  it('passes on nothing that steers the terminal', () => {
    const terminal = new Terminal(false);
    new LiveArea(terminal, true, () => 0, {}).print('note: \u001b]52;c;aGk=\u0007 of a server');
    expect(terminal.written).toBe('note: ]52;c;aGk= of a server\n');
  });

  it('does not redraw at every event', () => {
    const terminal = new Terminal();
    let time = 0;
    const area = new LiveArea(terminal, true, () => time, {});
    for (let i = 0; i < 1000; i++) {
      time = i / 1000;
      area.show(view(String(i)));
    }
    expect(terminal.written.split('one').length - 1).toBeLessThanOrEqual(11);
  });

  it.each([
    ['no terminal', false, true, {}],
    ['a terminal, but not wanted', true, false, {}],
    ['a terminal that can do nothing', true, true, { TERM: 'dumb' }],
    ['a terminal of the C locale', true, true, { LC_ALL: 'C' }],
  ])('writes plain lines where there is %s', (_, isTTY, inPlace, environment) => {
    const terminal = new Terminal(isTTY);
    let time = 0;
    const area = new LiveArea(terminal, inPlace, () => time, environment);
    for (let i = 0; i <= 25; i++) {
      time = i;
      area.show(view(String(i)));
    }
    area.print('a note');
    time = 26;
    area.show(view('new', 'another stage'));
    area.finish();
    expect(terminal.written).toBe('all 0\nall 10\nall 20\na note\nall new\n');
  });
});

it('clock and bar', () => {
  expect([0, 59.6, 61, 3599, 3723, -5].map(clock)).toEqual(['0:00', '1:00', '1:01', '59:59', '1:02:03', '0:00']);
  expect([0, 0.5, 1, 2].map((fraction) => bar(fraction, 4))).toEqual(['░░░░', '██░░', '████', '████']);
});
