/** Small things that several pages show. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';
import { hasMark, type Row } from '../../runs/rows/row.ts';
import type { Table } from '../wire.ts';
import type { Asked } from './ask.ts';

export const short = (value: number | null | undefined, digits = 3): string =>
  value === null || value === undefined
    ? '–'
    : Number.isInteger(value)
      ? value.toLocaleString('en')
      : value.toFixed(digits).replace('-', '−');

export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

const STAGES: Readonly<Record<string, string>> = { grpo: 'GRPO', e1: 'E1', pool: 'pool', gate: 'gate', sft: 'SFT' };
/** "grpo-1" as people say it. */
export function stageLabel(name: string): string {
  const [, called, cycle] = /^(.+)-([1-9]\d*)$/.exec(name) ?? [];
  return called !== undefined && called in STAGES ? `${STAGES[called]} ${cycle}` : name;
}

const PARTS: Readonly<Record<string, string>> = {
  step: 'training step',
  'held-out': 'held-out questions',
  pool: 'pool',
  experts: 'gate: looking for experts',
  plain: 'gate: plain prompt',
  privileged: 'gate: expert shown',
  evaluation: 'evaluation',
  answers: 'evaluation',
};
export const partLabel = (part: string): string => PARTS[part] ?? part;
export function modeLabel(mode: string): string {
  const [decoding, searches] = mode.split('-');
  return `${decoding}, at most ${searches} searches`;
}

/** Where a row comes from, in words. */
export function placeLabel({ place }: Pick<Row, 'place'>): string {
  const step = place.step === null || place.part === 'pool' ? '' : `, step ${place.step}`;
  const part =
    place.part === 'step' || place.part === 'answers' || place.part === 'pool' ? '' : `, ${partLabel(place.part)}`;
  return `${stageLabel(place.stage)}${part}${step}${place.mode === null ? '' : ` (${modeLabel(place.mode)})`}`;
}

/** The same in a few letters, for a column. */
export function placeShort({ place }: Pick<Row, 'place'>): string {
  const [decoding, searches] = place.mode?.split('-') ?? [];
  const parts: Readonly<Record<string, string>> = { experts: 'experts', plain: 'plain', privileged: 'expert shown' };
  const more =
    place.part === 'evaluation'
      ? `${decoding} ≤${searches}`
      : place.part === 'step'
        ? `step ${place.step}`
        : place.part === 'held-out'
          ? `held out, ${place.step}`
          : parts[place.part];
  return `${stageLabel(place.stage)}${more === undefined ? '' : ` · ${more}`}`;
}

export function Verdict({ row }: { row: Row }) {
  const [name, word] = hasMark(row, 'failed')
    ? ['soft', 'failed']
    : hasMark(row, 'right')
      ? ['good', 'right']
      : hasMark(row, 'no-answer')
        ? ['bad', 'no answer']
        : ['bad', 'wrong'];
  return <span class={`verdict ${name}`}>{word}</span>;
}

/** What was asked for, or why it is not there. */
export function Shown<T>({ asked, children }: { asked: Asked<T>; children: (value: T) => ComponentChildren }) {
  if (asked.value === undefined)
    return asked.error === undefined ? (
      <p class="soft waiting">Reading …</p>
    ) : (
      <p class="fault" role="alert">
        {asked.error}
      </p>
    );
  return (
    <>
      {asked.error !== undefined && (
        <p class="fault" role="alert">
          {asked.error}
        </p>
      )}
      {children(asked.value)}
    </>
  );
}

/** What may be wider than the page, to be moved by the keyboard as well. */
export function Scroll({ label, also, children }: { label: string; also?: string; children: ComponentChildren }) {
  return (
    <section class={`scroll ${also ?? ''}`} tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}

export function DataTable({ table, href }: { table: Table; href?: (query: string) => string }) {
  return (
    <figure class="table">
      <figcaption>{table.title}</figcaption>
      <Scroll label={table.title}>
        <table>
          <thead>
            <tr>
              <td />
              {table.header.map((label) => (
                <th scope="col" key={label}>
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map(({ label, cells, rule }) => (
              <tr key={label} class={rule ? 'rule' : undefined}>
                <th scope="row">{label}</th>
                {cells.map(({ text, query }, i) => (
                  <td key={i}>
                    {href && query !== undefined && text !== '–' ? <a href={href(query)}>{text}</a> : text}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {table.notes.length > 0 && <p class="soft small">{table.notes.join(' ')}</p>}
    </figure>
  );
}

export function Command({ command, means }: { command: string; means: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => void navigator.clipboard?.writeText(command).then(() => setCopied(true));
  return (
    <li class="command">
      <code>{command}</code>
      <button type="button" onClick={copy} aria-label={`copy: ${command}`}>
        {copied ? 'copied' : 'copy'}
      </button>
      <span class="soft">{means}</span>
    </li>
  );
}

/** Keys by name, unless something is being typed. Esc works everywhere. */
export function useKeys(keys: Readonly<Record<string, () => void>>): void {
  useLayoutEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { target } = event;
      const isTyping =
        (target instanceof HTMLInputElement && target.type !== 'checkbox') ||
        target instanceof HTMLTextAreaElement ||
        target instanceof HTMLSelectElement;
      if (isTyping && event.key === 'Escape') return target.blur();
      const act = isTyping ? undefined : keys[event.key];
      if (act === undefined) return;
      event.preventDefault();
      act();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  });
}

/** Text with every gold answer in it marked. */
export function Marked({ text, gold }: { text: string; gold: readonly string[] | null }) {
  const pattern = goldPattern(gold ?? []);
  if (pattern === undefined) return <>{text}</>;
  const parts = text.split(pattern);
  return (
    <>
      {parts.map((part, i) =>
        i % 2 === 1 ? (
          <mark class="gold" key={i}>
            {part}
          </mark>
        ) : (
          part
        ),
      )}
    </>
  );
}

/** As whole words, whatever stands between them; not yes and no, which stand everywhere. */
export function goldPattern(gold: readonly string[]): RegExp | undefined {
  const each = gold
    .map((answer) => answer.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    .filter((words) => words.length > 0 && !['yes', 'no'].includes(words.join(' ')))
    .map((words) => words.join('[^\\p{L}\\p{N}]+'));
  return each.length === 0 ? undefined : new RegExp(`(?<![\\p{L}\\p{N}])(${each.join('|')})(?![\\p{L}\\p{N}])`, 'giu');
}

export function Position({
  place,
  href,
}: {
  place: { at: number; of: number; previous: string | null; next: string | null } | null;
  href: (key: string) => string;
}) {
  if (place === null) return <span class="soft">not among those of the filter</span>;
  return (
    <nav class="position" aria-label="neighbours within the filter">
      {place.previous === null ? (
        <span class="soft">‹ before k</span>
      ) : (
        <a href={href(place.previous)} rel="prev">
          ‹ before <kbd>k</kbd>
        </a>
      )}
      <span>
        {place.at.toLocaleString('en')} of {place.of.toLocaleString('en')}
      </span>
      {place.next === null ? (
        <span class="soft">j after ›</span>
      ) : (
        <a href={href(place.next)} rel="next">
          <kbd>j</kbd> after ›
        </a>
      )}
    </nav>
  );
}
