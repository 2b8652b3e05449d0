import { describe, expect, it } from 'vitest';
import type { Asked } from '../evaluation/agent.ts';
import { runCommand, sessionHelp } from './ask-commands.ts';

const passage = (id: string, title = id) => ({ passage: { id, title, text: `all about ${title}\u001b[2J` }, score: 1 });
const last = { found: [[passage('a'), passage('b')], [passage('c')]] } as unknown as Asked;

function typed(line: string, asked: Asked | undefined = last) {
  let out = '';
  const output = {
    write: (text: string) => {
      out += text;
    },
  };
  return { done: runCommand(line, asked, { out: output, err: output }), out };
}

describe('in a session', () => {
  it.each(['/exit', 'exit', 'quit', '/q', 'EXIT'])('%s ends it', (line) => {
    expect(typed(line)).toEqual({ done: 'exit', out: '' });
  });

  it('help is shown, also for a command that there is not', () => {
    expect(typed('/help')).toEqual({ done: true, out: sessionHelp });
    expect(typed('/hlep')).toEqual({ done: true, out: `There is no /hlep. A line is a question.\n${sessionHelp}` });
  });

  it('passages can be read whole, without steering the terminal', () => {
    const indented = (...lines: string[]) => lines.map((line) => `         ${line}\n`).join('');
    expect(typed('/read 1').out).toBe(indented('c [c]', 'all about c[2J'));
    expect(typed('/read 1.2').out).toBe(indented('b [b]', 'all about b[2J'));
    for (const line of ['/read 2', '/read 3.1', '/read', '/read x', '/read 0'])
      expect(typed(line).out).toBe(
        'Which passage? There are 1.1 to 1.2, 2.1 to 2.1; a number alone is one of the last search.\n',
      );
    expect(
      runCommand('/read 1', undefined, {
        out: { write: (text) => expect(text).toBe('Nothing was asked yet.\n') },
        err: { write() {} },
      }),
    ).toBe(true);
  });

  it('anything else is a question', () => {
    for (const line of ['who wrote Faust?', 'exit strategies of firms?', 'help me find a play'])
      expect(typed(line)).toEqual({ done: false, out: '' });
  });
});
