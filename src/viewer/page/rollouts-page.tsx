/** All rollouts: what they are, filters that combine, counts, and a search through their texts. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { hasMark, keyOf, marks, type Row } from '../../runs/rows/row.ts';
import { figures } from '../filter.ts';
import type { Rollouts } from '../wire.ts';
import { useAsk } from './ask.ts';
import { Bins } from './chart.tsx';
import { Progress } from './overview-page.tsx';
import {
  modeLabel,
  partLabel,
  placeShort,
  plural,
  Scroll,
  Shown,
  short,
  stageLabel,
  useKeys,
  Verdict,
} from './parts.tsx';
import { go, hrefOf } from './route.ts';

const PAGE = 100;
const LIVE = 3000;
/** While files are read, in milliseconds. */
const SOON = 500;

export function RolloutsPage({ id, query }: { id: string; query: URLSearchParams }) {
  const asking = new URLSearchParams(query);
  asking.set('source', id);
  asking.set('rows', String(PAGE));
  const [isRead, setIsRead] = useState(false);
  const asked = useAsk<Rollouts>('rollouts', asking, isRead ? LIVE : SOON);
  useEffect(() => setIsRead(asked.value !== undefined && isWhole(asked.value)), [asked.value]);
  const change = (edit: (next: URLSearchParams) => void, replace = false) => {
    const next = new URLSearchParams(query);
    next.delete('from');
    edit(next);
    go(hrefOf(['s', id, 'rollouts'], next), replace);
  };
  return (
    <main class="rollouts">
      <h1 class="hidden">Rollouts</h1>
      <Shown asked={asked}>
        {(found) => (
          <div class="split">
            <Filters found={found} query={query} change={change} />
            <List id={id} found={found} query={query} change={change} />
          </div>
        )}
      </Shown>
    </main>
  );
}

const isWhole = ({ read: { shards, ofShards } }: Rollouts) => ofShards > 0 && shards >= ofShards;

type Change = (edit: (next: URLSearchParams) => void, replace?: boolean) => void;

function toggled(query: URLSearchParams, name: string, value: string): void {
  const has = query.getAll(name).includes(value);
  const rest = query.getAll(name).filter((one) => one !== value);
  query.delete(name);
  for (const one of has ? rest : [...rest, value]) query.append(name, one);
}

const choices = [
  ['stage', 'stages', 'Stage', stageLabel],
  ['part', 'parts', 'Part of the run', partLabel],
  ['suite', 'suites', 'Suite', (value: string) => value],
  ['mode', 'modes', 'Asked', modeLabel],
  ['stop', 'stops', 'Ended by', (value: string) => value],
] as const;

function Filters({ found, query, change }: { found: Rollouts; query: URLSearchParams; change: Change }) {
  const wide = typeof matchMedia === 'undefined' || matchMedia('(min-width: 60rem)').matches;
  const active = [...query.keys()].filter((name) => name !== 'sort' && name !== 'from').length;
  return (
    <details class="filters" open={wide}>
      <summary>Filters{active > 0 && ` (${active})`}</summary>
      <div role="group" aria-label="What holds">
        <h2>What holds</h2>
        <ul class="marks">
          {marks.map(({ name, label, means }) => {
            const [only, without] = [query.getAll('mark').includes(name), query.getAll('not').includes(name)];
            const count = found.counts[name];
            const set = (list: 'mark' | 'not', other: 'mark' | 'not') => () =>
              change((next) => {
                if (next.getAll(other).includes(name)) toggled(next, other, name);
                toggled(next, list, name);
              });
            return (
              <li key={name} class={count === 0 && !only && !without ? 'none' : undefined}>
                <button type="button" class="mark" aria-pressed={only} title={means} onClick={set('mark', 'not')}>
                  <span>{label}</span> <b>{count.toLocaleString('en')}</b>
                </button>
                <button
                  type="button"
                  class="not"
                  aria-pressed={without}
                  title={`leave out: ${label}`}
                  aria-label={`not ${label}`}
                  onClick={set('not', 'mark')}
                >
                  not
                </button>
              </li>
            );
          })}
        </ul>
      </div>
      <div class="all-bins">
        {found.histograms
          .filter(({ figure }) => figure !== 'step' || query.has('step'))
          .map((histogram) => (
            <Bins
              key={histogram.figure}
              histogram={histogram}
              chosen={query.has(histogram.figure)}
              choose={(range) =>
                change((next) => (range === null ? next.delete(histogram.figure) : next.set(histogram.figure, range)))
              }
            />
          ))}
      </div>
      {choices.map(([name, list, title, label]) => {
        const values = found.choices[list];
        const chosen = query.getAll(name);
        if (values.length < 2 && chosen.length === 0) return null;
        return (
          <fieldset key={name}>
            <legend>{title}</legend>
            {[...new Set([...values.map(({ value }) => value), ...chosen])].map((value) => (
              <label key={value}>
                <input
                  type="checkbox"
                  checked={chosen.includes(value)}
                  onChange={() => change((next) => toggled(next, name, value))}
                />
                <span>{label(value)}</span>{' '}
                <b>{(values.find((one) => one.value === value)?.count ?? 0).toLocaleString('en')}</b>
              </label>
            ))}
          </fieldset>
        );
      })}
    </details>
  );
}

function Search({ query, change }: { query: URLSearchParams; change: Change }) {
  const given = query.get('text') ?? '';
  const [text, setText] = useState(given);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setText(given), [given]);
  useEffect(() => {
    if (text === given) return;
    const timer = setTimeout(
      () => change((next) => (text === '' ? next.delete('text') : next.set('text', text)), true),
      250,
    );
    return () => clearTimeout(timer);
  }, [text]);
  useKeys({ '/': () => input.current?.focus() });
  return (
    <input
      ref={input}
      type="search"
      value={text}
      placeholder="Search questions, thoughts, queries, passages  ( / )"
      aria-label="Search questions, thoughts, queries, passages"
      onInput={(event) => setText(event.currentTarget.value)}
    />
  );
}

const columns: readonly {
  name: string;
  sort?: string;
  title: string;
  numeric?: boolean;
  of: (row: Row) => preact.ComponentChildren;
  minor?: boolean;
}[] = [
  { name: 'gold', title: 'The gold answers', of: ({ about }) => about.gold?.join(' · ') ?? '–' },
  { name: 'answer', title: 'What the policy answered', of: ({ answer }) => answer ?? '–' },
  { name: 'stage', sort: 'stage', title: 'Where in the run', of: placeShort },
  { name: 'suite', title: 'Suite or data set', of: ({ about }) => about.suite, minor: true },
  {
    name: 'searches',
    sort: 'searches',
    title: 'Searches that were made',
    numeric: true,
    of: ({ searches }) => searches,
  },
  {
    name: 'tokens',
    sort: 'tokens',
    title: 'Tokens that the policy wrote',
    numeric: true,
    of: ({ tokens }) => short(tokens),
  },
  {
    name: 'reward',
    sort: 'reward',
    title: 'What it is worth in training',
    numeric: true,
    of: ({ reward }) => short(reward, 2),
  },
  {
    name: 'advantage',
    sort: 'advantage',
    title: 'Against its group',
    numeric: true,
    of: ({ advantage }) => short(advantage, 2),
    minor: true,
  },
  {
    name: 'retrieved',
    title: 'A gold answer stands in a passage that was shown',
    of: ({ retrieved }) => yes(retrieved),
    minor: true,
  },
  {
    name: 'grounded',
    title: 'The answer stands in a passage that was shown',
    of: ({ grounded }) => yes(grounded),
    minor: true,
  },
  { name: 'formed', title: 'Well formed', of: (row) => yes(!hasMark(row, 'malformed')), minor: true },
  { name: 'ended by', title: 'Why it ended', of: ({ stop }) => stop, minor: true },
];
const yes = (value: boolean | null) => (value === null ? '–' : value ? 'yes' : 'no');

function List({ id, found, query, change }: { id: string; found: Rollouts; query: URLSearchParams; change: Change }) {
  const [at, setAt] = useState(0);
  const { rows, total, of, from } = found;
  const current = Math.min(at, rows.length - 1);
  const place = new URLSearchParams(query);
  place.delete('from');
  const href = (row: Row) => hrefOf(['s', id, 'rollout', keyOf(row)], place);
  const move = (by: number) => {
    const to = Math.max(0, Math.min(rows.length - 1, current + by));
    setAt(to);
    document.querySelectorAll('tr[data-row]')[to]?.scrollIntoView({ block: 'nearest' });
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: () => rows[current] && go(href(rows[current]!)),
    Escape: () => (query.size > 0 ? go(hrefOf(['s', id, 'rollouts'])) : go(hrefOf(['s', id]))),
  });
  const sort = query.get('sort') ?? '';
  const resort = (name: string) =>
    change((next) =>
      sort === `-${name}` ? next.set('sort', name) : sort === name ? next.delete('sort') : next.set('sort', `-${name}`),
    );
  const page = (to: number) => change((next) => to > 0 && next.set('from', String(to)));
  return (
    <section class="list">
      <div class="bar">
        <Search query={query} change={change} />
        <p role="status" class="count">
          <b>{total.toLocaleString('en')}</b> of {plural(of, 'rollout')}
          {of > 0 && !isWhole(found) && ' so far'}
        </p>
        {query.size > 0 && <a href={hrefOf(['s', id, 'rollouts'])}>show all</a>}
      </div>
      <Chosen query={query} change={change} />
      <Progress id={id} isQuiet />
      {of === 0 ? (
        <p class="empty">Nothing has been read yet.</p>
      ) : total === 0 ? (
        <p class="empty">
          No rollout is like that. Take a filter away, or <a href={hrefOf(['s', id, 'rollouts'])}>show all</a>.
        </p>
      ) : (
        <Scroll label="rollouts">
          <table class="grid-table">
            <thead>
              <tr>
                <th scope="col">verdict</th>
                <th scope="col" aria-sort={ariaSort(sort, 'question')}>
                  <button type="button" class="plain" onClick={() => resort('question')}>
                    question{arrow(sort, 'question')}
                  </button>
                </th>
                {columns.map(({ name, sort: by, title, numeric, minor }) => (
                  <th
                    scope="col"
                    key={name}
                    title={title}
                    class={`${numeric ? 'number' : ''} ${minor ? 'minor' : ''}`}
                    aria-sort={by === undefined ? undefined : ariaSort(sort, by)}
                  >
                    {by === undefined ? (
                      name
                    ) : (
                      <button type="button" class="plain" onClick={() => resort(by)}>
                        {name}
                        {arrow(sort, by)}
                      </button>
                    )}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, i) => (
                <tr
                  key={keyOf(row)}
                  data-row
                  aria-current={i === current ? 'true' : undefined}
                  onMouseDown={() => setAt(i)}
                >
                  <td>
                    <Verdict row={row} />
                  </td>
                  <th scope="row" class="question">
                    <a href={href(row)}>{row.about.question ?? row.about.id}</a>
                  </th>
                  {columns.map(({ name, numeric, minor, of: value }) => (
                    <td key={name} data-label={name} class={`${numeric ? 'number' : ''} ${minor ? 'minor' : ''}`}>
                      {value(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {total > PAGE && (
        <nav class="pages" aria-label="pages">
          <button type="button" disabled={from === 0} onClick={() => page(Math.max(0, from - PAGE))}>
            ‹ before
          </button>
          <span>
            {from + 1} to {Math.min(total, from + PAGE)}
          </span>
          <button type="button" disabled={from + PAGE >= total} onClick={() => page(from + PAGE)}>
            after ›
          </button>
        </nav>
      )}
    </section>
  );
}

const ariaSort = (sort: string, name: string) =>
  sort === name ? 'ascending' : sort === `-${name}` ? 'descending' : 'none';
const arrow = (sort: string, name: string) => (sort === name ? ' ↑' : sort === `-${name}` ? ' ↓' : '');

/** What is chosen, each with a way to take it back. */
function Chosen({ query, change }: { query: URLSearchParams; change: Change }) {
  const label = (mark: string) => marks.find(({ name }) => name === mark)?.label ?? mark;
  const chips = [
    ...query.getAll('mark').map((value) => ({ name: 'mark', value, text: label(value) })),
    ...query.getAll('not').map((value) => ({ name: 'not', value, text: `not ${label(value)}` })),
    ...choices.flatMap(([name, , , of]) => query.getAll(name).map((value) => ({ name, value, text: of(value) }))),
    ...figures.flatMap((name) =>
      query
        .getAll(name)
        .map((value) => ({ name, value, text: `${name} ${value.replace('..', ' to ').replace('<', 'below ')}` })),
    ),
    ...query.getAll('question').map((value) => ({ name: 'question', value, text: `question ${value}` })),
  ];
  if (chips.length === 0) return null;
  return (
    <ul class="chips" aria-label="chosen filters">
      {chips.map(({ name, value, text }) => (
        <li key={name + value}>
          <button
            type="button"
            onClick={() => change((next) => toggled(next, name, value))}
            aria-label={`${text} ×, take away`}
          >
            {text} ×
          </button>
        </li>
      ))}
    </ul>
  );
}
