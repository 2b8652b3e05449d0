/** The same questions on two sides: stages, runs or evaluations, and what changed between them. */
import { keyOf } from '../../runs/rows/row.ts';
import type { Comparison, SideChoice } from '../wire.ts';
import { useAsk } from './ask.ts';
import { plural, Scroll, Shown, useKeys } from './parts.tsx';
import { go, hrefOf } from './route.ts';

const keyOfSide = ({ source, stage, mode }: SideChoice) => JSON.stringify([source, stage, mode ?? '']);
const changes = [
  ['all', 'all'],
  ['gained', 'became right'],
  ['lost', 'became wrong'],
  ['right', 'right on both'],
  ['wrong', 'wrong on both'],
] as const;

export function ComparePage({ query, from }: { query: URLSearchParams; from: string | undefined }) {
  // What has not been read yet gives no sides: asked again, as runs and evaluations come.
  const sides = useAsk<SideChoice[]>('sides', new URLSearchParams(), 2000);
  const list = sides.value ?? [];
  const own = list.filter(({ source }) => from === undefined || source === from);
  const chosen = own.length > 1 ? own : list;
  // The way of asking that tables show first.
  const wanted = chosen.some(({ mode }) => mode === 'greedy-4') ? 'greedy-4' : chosen[0]?.mode;
  const main = chosen.filter(({ mode }) => mode === wanted);
  const a = query.get('a') ?? (main[0] ? keyOfSide(main[0]) : '');
  const b = query.get('b') ?? (main.at(-1) ? keyOfSide(main.at(-1)!) : '');
  const asking = new URLSearchParams(query);
  asking.set('a', a);
  asking.set('b', b);
  const asked = useAsk<Comparison>(a === '' || b === '' ? null : 'compare', asking);
  const change = (name: string, value: string) => {
    const next = new URLSearchParams(asking);
    if (value === '') next.delete(name);
    else next.set(name, value);
    go(hrefOf(['compare'], next), true);
  };
  useKeys({ Escape: () => history.back() });
  const pick = (name: 'a' | 'b', value: string) => (
    <label>
      {name === 'a' ? 'before' : 'after'}{' '}
      <select value={value} onChange={(event) => change(name, event.currentTarget.value)}>
        {list.map((side) => (
          <option key={keyOfSide(side)} value={keyOfSide(side)}>
            {side.label}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <main class="compare">
      <h1>Compare</h1>
      <Shown asked={sides}>
        {() =>
          list.length < 2 ? (
            <p class="empty">There are not two evaluated stages or evaluations yet.</p>
          ) : (
            <>
              <div class="bar">
                {pick('a', a)} {pick('b', b)}
              </div>
              <Shown asked={asked}>
                {(found) => <Found found={found} a={a} b={b} query={asking} change={change} />}
              </Shown>
            </>
          )
        }
      </Shown>
    </main>
  );
}

function Found({
  found,
  a,
  b,
  query,
  change,
}: {
  found: Comparison;
  a: string;
  b: string;
  query: URLSearchParams;
  change: (name: string, value: string) => void;
}) {
  const [sourceA, sourceB] = [a, b].map((side) => (JSON.parse(side) as string[])[0]!);
  const { counts } = found;
  const size = { all: counts.gained + counts.lost + counts.right + counts.wrong, ...counts };
  const suite = query.get('suite');
  return (
    <>
      <p class="lead">{found.sentence}</p>
      {found.suites.length > 0 && (
        <Scroll label="by suite">
          <table>
            <thead>
              <tr>
                {['suite', 'questions', 'right before', 'right after', 'became right', 'became wrong'].map((name) => (
                  <th scope="col" key={name}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {found.suites.map((line) => (
                <tr key={line.suite} aria-current={suite === line.suite ? 'true' : undefined}>
                  <th scope="row">
                    <button
                      type="button"
                      class="plain link"
                      onClick={() => change('suite', suite === line.suite ? '' : line.suite)}
                    >
                      {line.suite}
                    </button>
                  </th>
                  <td>{line.questions}</td>
                  <td>{line.a}</td>
                  <td>{line.b}</td>
                  <td class="good">{line.gained}</td>
                  <td class="bad">{line.lost}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      <div class="overlays" role="group" aria-label="which questions">
        {changes.map(([name, label]) => (
          <button
            type="button"
            key={name}
            aria-pressed={(query.get('change') ?? 'all') === name}
            onClick={() => change('change', name === 'all' ? '' : name)}
          >
            {label} <b>{size[name]}</b>
          </button>
        ))}
        {suite !== null && (
          <button type="button" onClick={() => change('suite', '')}>
            {suite} ×
          </button>
        )}
      </div>
      <p class="soft small">
        {plural(found.total, 'question')}
        {found.questions.length < found.total ? `, the first ${found.questions.length}` : ''}
      </p>
      <Scroll label="questions">
        <table class="grid-table">
          <thead>
            <tr>
              {['question', 'gold', 'before', 'searches', 'after', 'searches '].map((name) => (
                <th scope="col" key={name} class={name.startsWith('searches') ? 'number' : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.questions.map((one) => (
              <tr key={`${one.suite} ${one.id} ${one.a.rollout}`}>
                <th scope="row" class="question">
                  {one.question ?? one.id}
                </th>
                <td data-label="gold">{one.gold?.join(' · ') ?? '–'}</td>
                <td data-label="before" class={one.a.marks & 1 ? 'good' : 'bad'}>
                  <a href={hrefOf(['s', sourceA!, 'rollout', keyOf(one.a)], new URLSearchParams({ question: one.id }))}>
                    {one.a.answer ?? 'no answer'}
                  </a>
                </td>
                <td data-label="searches before" class="number">
                  {one.a.searches}
                </td>
                <td data-label="after" class={one.b.marks & 1 ? 'good' : 'bad'}>
                  <a href={hrefOf(['s', sourceB!, 'rollout', keyOf(one.b)], new URLSearchParams({ question: one.id }))}>
                    {one.b.answer ?? 'no answer'}
                  </a>
                </td>
                <td data-label="searches after" class={`number${one.a.searches === one.b.searches ? '' : ' changed'}`}>
                  {one.b.searches}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </>
  );
}
