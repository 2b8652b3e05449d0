/** The pairs of self-distillation: a list by KL, and one pair, expert beside student. */
import { useState } from 'preact/hooks';
import type { PairDetail, PairLine, TrajectoryDetail } from '../wire.ts';
import { useAsk } from './ask.ts';
import { Position, plural, Scroll, Shown, short, stageLabel, useKeys } from './parts.tsx';
import { go, hrefOf } from './route.ts';
import { Legend, Response, TokenText } from './trajectory.tsx';

const orders = [
  ['kl', 'greatest mean KL first'],
  ['max', 'greatest single KL first'],
  ['order', 'as they were taken'],
] as const;

const columns = [
  ...['question', 'gold', 'round', 'student'],
  ...['searches', 'expert’s', 'tokens', 'mean KL', 'greatest'],
];
const FIRST_NUMBER = columns.indexOf('searches');

export function PairsPage({ id, query }: { id: string; query: URLSearchParams }) {
  const asking = new URLSearchParams(query);
  asking.set('source', id);
  const asked = useAsk<{ total: number; pairs: PairLine[] }>('pairs', asking);
  const [at, setAt] = useState(0);
  const change = (name: string, value: string) => {
    const next = new URLSearchParams(query);
    if (value === '') next.delete(name);
    else next.set(name, value);
    go(hrefOf(['s', id, 'pairs'], next), true);
  };
  const href = (key: string) => hrefOf(['s', id, 'pair', key], query);
  const pairs = asked.value?.pairs ?? [];
  const move = (by: number) => setAt(Math.max(0, Math.min(pairs.length - 1, at + by)));
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: () => pairs[at] && go(href(pairs[at]!.key)),
    Escape: () => go(hrefOf(['s', id])),
  });
  return (
    <main class="pairs">
      <h1>Pairs</h1>
      <p class="lead">
        In self-distillation the policy, shown an efficient rollout (the expert), teaches itself on a sibling (the
        student). The KL of a token says how much the two disagree there: that is where the student learns.
      </p>
      <div class="bar">
        <input
          type="search"
          value={query.get('text') ?? ''}
          placeholder="Search questions and texts"
          aria-label="Search questions and texts"
          onChange={(event) => change('text', event.currentTarget.value)}
        />
        <label>
          sorted:{' '}
          <select value={query.get('order') ?? 'kl'} onChange={(event) => change('order', event.currentTarget.value)}>
            {orders.map(([name, label]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
        {query.get('stage') !== null && (
          <button type="button" onClick={() => change('stage', '')}>
            {stageLabel(query.get('stage')!)} ×
          </button>
        )}
        <p class="count" role="status">
          <b>{asked.value?.total ?? '…'}</b> pairs
        </p>
      </div>
      <Shown asked={asked}>
        {({ pairs }) =>
          pairs.length === 0 ? (
            <p class="empty">This run has no such pairs.</p>
          ) : (
            <Scroll label="pairs">
              <table class="grid-table">
                <thead>
                  <tr>
                    {columns.map((name, i) => (
                      <th scope="col" key={name} class={i < FIRST_NUMBER ? undefined : 'number'}>
                        {name}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {pairs.map((pair, i) => (
                    <tr key={pair.key} aria-current={i === at ? 'true' : undefined}>
                      <th scope="row" class="question">
                        <a href={href(pair.key)}>{pair.question ?? pair.questionId}</a>
                      </th>
                      <td data-label="gold">{pair.gold?.join(' · ') ?? '–'}</td>
                      <td data-label="round">{stageLabel(pair.stage)}</td>
                      <td data-label="student">
                        <span class={`verdict ${pair.studentCorrect ? 'good' : 'bad'}`}>
                          {pair.studentCorrect ? 'right' : 'wrong'}
                        </span>
                      </td>
                      <td data-label="searches" class="number">
                        {short(pair.studentSearches)}
                      </td>
                      <td data-label="expert’s" class="number">
                        {short(pair.expertSearches)}
                      </td>
                      <td data-label="tokens" class="number">
                        {pair.tokens}
                      </td>
                      <td data-label="mean KL" class="number">
                        {short(pair.meanKl, 4)}
                      </td>
                      <td data-label="greatest" class="number">
                        {short(pair.maxKl, 3)}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          )
        }
      </Shown>
    </main>
  );
}

export function PairPage({ id, pair, query }: { id: string; pair: string; query: URLSearchParams }) {
  const asking = new URLSearchParams(query);
  asking.set('source', id);
  asking.set('key', pair);
  const asked = useAsk<PairDetail>('pair', asking);
  const href = (key: string) => hrefOf(['s', id, 'pair', key], query);
  const place = asked.value?.place;
  const list = hrefOf(['s', id, 'pairs'], query);
  useKeys({
    j: () => place?.next && go(href(place.next)),
    k: () => place?.previous && go(href(place.previous)),
    Escape: () => go(list),
  });
  return (
    <main class="pair">
      <div class="bar">
        <a href={list}>
          ‹ all pairs <kbd>Esc</kbd>
        </a>
        {asked.value && <Position place={asked.value.place} href={href} />}
      </div>
      <Shown asked={asked}>
        {(detail) => (
          <>
            <h1>{detail.line.question ?? detail.line.questionId}</h1>
            <p class="lead">
              Gold: <b>{detail.line.gold?.join(' · ') ?? 'not known'}</b>. {detail.why}
            </p>
            <p class="soft">
              {stageLabel(detail.line.stage)}
              {detail.line.step === null ? '' : `, step ${detail.line.step}`} · {plural(detail.line.tokens, 'token')}{' '}
              learned from · mean KL {short(detail.line.meanKl, 4)}, greatest {short(detail.line.maxKl, 3)}
            </p>
            {detail.notes.map((note) => (
              <p class="soft small" key={note}>
                {note}
              </p>
            ))}
            {detail.tokens.streams[0] && detail.tokens.texts && (
              <section>
                <h2>The student’s tokens by KL</h2>
                <Legend stream={detail.tokens.streams[0]} />
                <div class="turn policy">
                  <TokenText
                    tokens={detail.tokens}
                    stream={detail.tokens.streams[0]}
                    from={0}
                    to={detail.tokens.ids.length}
                  />
                </div>
              </section>
            )}
            <div class="beside">
              <Side id={id} title="Expert" detail={detail.expert} />
              <Side id={id} title="Student" detail={detail.student} />
            </div>
            <section>
              <h2>The two prompts</h2>
              <div class="beside">
                <div>
                  <h3>teacher</h3>
                  <pre class="turn">{detail.teacherPrompt ?? 'not at hand'}</pre>
                </div>
                <div>
                  <h3>student</h3>
                  <pre class="turn">{detail.studentPrompt ?? 'not at hand'}</pre>
                </div>
              </div>
            </section>
          </>
        )}
      </Shown>
    </main>
  );
}

function Side({ id, title, detail }: { id: string; title: string; detail: TrajectoryDetail | null }) {
  const [show, setShow] = useState('text');
  if (detail === null)
    return (
      <article>
        <h2>{title}</h2>
        <p class="soft">Its rollout is not among those of the pool.</p>
      </article>
    );
  const { row } = detail;
  return (
    <article>
      <h2>
        <a
          href={hrefOf(
            ['s', id, 'rollout', `${row.place.shard}:${row.line}`],
            new URLSearchParams({ question: row.about.id }),
          )}
        >
          {title}: rollout {row.rollout}
        </a>{' '}
        <span class="soft small">
          {plural(row.searches, 'search', 'searches')}, {short(row.tokens)} policy tokens, answer “{row.answer ?? '–'}”
        </span>
      </h2>
      <Response detail={detail} show={show} choose={setShow} />
    </article>
  );
}
