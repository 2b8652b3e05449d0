import { describe, expect, it, vi } from 'vitest';
import { UserError } from '../base/errors.ts';
import { chatRenderer } from './chat-template.ts';

const render = (text: string) =>
  chatRenderer(text, { bos: '<s>', eos: '</s>' }, 't')([{ role: 'user', content: 'hi' }], true);

const failureOf = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('chatRenderer', () => {
  it('gives templates what transformers gives them', () => {
    expect(render('{{ bos_token }}{{ messages[0].role }}:{{ messages[0].content }}{{ eos_token }}')).toBe(
      '<s>user:hi</s>',
    );
    expect(render('{% if add_generation_prompt and not False and True %}a{% endif %}{{ none is none }}')).toBe('atrue');
    expect(
      render(
        '{% set ns = namespace(x=0) %}{% for i in range(2, 9, 3) %}{% set ns.x = ns.x + i %}{{ i }},{% endfor %}{{ ns.x }}',
      ),
    ).toBe('2,5,8,15');
    expect(render('{{ range(3) | list }}{{ range(5, 0, -2) | list }}{{ range(3, 0) | list }}')).toBe(
      '[0, 1, 2][5, 3, 1][]',
    );
    expect(() => render("{{ raise_exception('no users') }}")).toThrow(/^t: the chat template fails \(no users\)/);
  });

  it('knows no date but one, whatever day and place it is', () => {
    const text =
      "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y, %A %e %B %y %H:%M:%S %j %% %Q') }}{% endif %}";
    const expected = '26 Jul 2024, Friday 26 July 24 12:00:00 208 % %Q';
    expect(render(text)).toBe(expected);
    vi.useFakeTimers({ now: Date.UTC(2031, 0, 5) });
    try {
      expect(render(text)).toBe(expected);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    [
      'loops in loops',
      '{% for a in range(30000) %}{% for b in range(30000) %}{% endfor %}{% endfor %}',
      /more than 500000 steps/,
    ],
    [
      'loops with something in them',
      '{% for a in range(30000) %}{% for b in range(30000) %}x{% endfor %}{% endfor %}',
      /steps/,
    ],
    ['a long range', '{% for a in range(1000000000) %}{% endfor %}', /a range of 1000000000 numbers/],
    ['a range without end', '{% for a in range(5, 9, 0) %}{% endfor %}', /a range of Infinity/],
    [
      'text that doubles',
      '{% set ns = namespace(x="xx") %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
      /a text of \d+/,
    ],
    [
      'text that grows',
      '{% set ns = namespace(x="x" ) %}{% for a in range(99999) %}{% set ns.x = ns.x + messages[0].content %}{{ ns.x }}{% endfor %}',
      /steps|a text/,
    ],
    [
      'lists that double',
      '{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
      /a list of \d+/,
    ],
    ['a wide margin', '{{ "a\nb" | indent(400000000) }}', /fails/],
    ['endless recursion', '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}', /fails/],
    ['brackets in brackets', `{{ ${'['.repeat(100_000)} }}`, /fails/],
    ['a long template', 'x'.repeat(2 ** 20 + 1), /1048577 characters/],
    ['tricks with constructors', "{{ ''.constructor.constructor('return process')() }}", /fails/],
  ])('ends %s with a sentence, soon', (_, text, message) => {
    const before = process.cpuUsage();
    const failure = failureOf(() => render(text));
    const { user, system } = process.cpuUsage(before);
    expect(failure).toBeInstanceOf(UserError);
    expect(failure).toHaveProperty('message', expect.stringMatching(message));
    expect((user + system) / 1e6).toBeLessThan(10);
  });

  it('leaves long conversations room', () => {
    const text =
      "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ m.content | trim + eos_token }}{% endif %}{% endfor %}";
    const messages = Array.from({ length: 200 }, (_, i) => ({
      role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: 'word '.repeat(500),
    }));
    expect(chatRenderer(text, { bos: '', eos: '</s>' }, 't')(messages, true).length).toBeGreaterThan(200 * 2500);
  });
});
