/** One rollout, turn by turn: thoughts, searches with what they found, the answer; and its tokens one by one. */
import type { Stream, Tokens, TrajectoryDetail, Turn } from '../wire.ts';
import { useAsk } from './ask.ts';
import { Marked, Position, placeLabel, plural, Scroll, Shown, short, useKeys, Verdict } from './parts.tsx';
import { go, hrefOf } from './route.ts';

export function RolloutPage({ id, rollout, query }: { id: string; rollout: string; query: URLSearchParams }) {
  const asking = new URLSearchParams(query);
  asking.set('source', id);
  asking.set('key', rollout);
  asking.delete('show');
  const asked = useAsk<TrajectoryDetail>('rollout', asking);
  const href = (key: string) => hrefOf(['s', id, 'rollout', key], query);
  const place = asked.value?.place;
  const filter = new URLSearchParams(query);
  filter.delete('show');
  const list = hrefOf(['s', id, 'rollouts'], filter);
  useKeys({
    j: () => place?.next && go(href(place.next)),
    k: () => place?.previous && go(href(place.previous)),
    Escape: () => go(list),
  });
  return (
    <main class="rollout">
      <div class="bar">
        <a href={list}>
          ‹ {filter.size === 0 ? 'all rollouts' : 'all of the filter'} <kbd>Esc</kbd>
        </a>
        {asked.value && <Position place={asked.value.place} href={href} />}
      </div>
      <Shown asked={asked}>{(detail) => <Detail id={id} detail={detail} query={query} />}</Shown>
    </main>
  );
}

function Detail({ id, detail, query }: { id: string; detail: TrajectoryDetail; query: URLSearchParams }) {
  const { row } = detail;
  const { about } = row;
  return (
    <>
      <h1>{about.question ?? about.id}</h1>
      <Facts detail={detail} />
      <p class="bar links">
        <a href={hrefOf(['s', id, 'group', row.place.shard, about.id])}>its group, side by side</a>
        <a href={hrefOf(['s', id, 'rollouts'], new URLSearchParams({ question: about.id }))}>
          the same question everywhere
        </a>
        {row.place.step !== null && row.place.part === 'step' && (
          <a
            href={hrefOf(
              ['s', id, 'rollouts'],
              new URLSearchParams({ stage: row.place.stage, step: `${row.place.step}..${row.place.step}` }),
            )}
          >
            its step
          </a>
        )}
      </p>
      <Response
        detail={detail}
        show={query.get('show') ?? 'text'}
        choose={(show) => {
          const next = new URLSearchParams(query);
          if (show === 'text') next.delete('show');
          else next.set('show', show);
          go(hrefOf(['s', id, 'rollout', `${row.place.shard}:${row.line}`], next), true);
        }}
      />
    </>
  );
}

export function Facts({ detail: { row, failure } }: { detail: TrajectoryDetail }) {
  const facts: readonly (readonly [name: string, value: preact.ComponentChildren])[] = [
    ['verdict', <Verdict row={row} key="v" />],
    ['answer', row.answer ?? 'none'],
    ['gold', row.about.gold?.join(' · ') ?? 'not known'],
    ['from', placeLabel(row)],
    ['suite', row.about.suite],
    ['searches', row.searches],
    ['policy tokens', short(row.tokens)],
    ['reward', short(row.reward, 3)],
    ...(row.advantage === null ? [] : [['advantage', short(row.advantage, 3)] as const]),
    [
      'retrieved',
      row.retrieved === null
        ? 'cannot be told'
        : row.retrieved
          ? 'a gold answer was shown'
          : 'no gold answer was shown',
    ],
    [
      'grounded',
      row.grounded === null
        ? 'not asked'
        : row.grounded
          ? 'its answer stands in a passage'
          : 'its answer stands in no passage',
    ],
    ['ended', `${row.stop}${failure === null ? '' : `: ${failure}`}`],
  ];
  return (
    <dl class="facts close">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Why a question was answered as it was, as far as that can be told from what was shown. */
function reading({ row }: TrajectoryDetail): string | undefined {
  if (row.retrieved === true && row.reward !== 1 && row.answer !== null)
    return 'A gold answer was on the page that the policy read; it took another one. Look at its thought after the marked passage.';
  if (row.retrieved === false && row.answer !== null && row.grounded === false)
    return 'No gold answer was ever shown, and the answer that was given stands in no passage either: it was made up. Look at the queries.';
  if (row.retrieved === false)
    return 'No gold answer was ever shown. Look at the queries: did they ask for the right thing?';
  return undefined;
}

export function Response({
  detail,
  show,
  choose,
}: {
  detail: TrajectoryDetail;
  show: string;
  choose: (show: string) => void;
}) {
  const { turns, tokens, prompt, notes, raw, promptIds } = detail;
  const streams = tokens?.texts ? tokens.streams : [];
  const stream = streams.find(({ name }) => name === show);
  const choices = [
    { name: 'text', label: 'text' },
    ...streams,
    ...(tokens ? [{ name: 'ids', label: 'token ids' }] : []),
    ...(raw === '' ? [] : [{ name: 'raw', label: 'raw line' }]),
  ];
  // Not every rollout has what the one before it was shown as.
  const shown = choices.some(({ name }) => name === show) ? show : 'text';
  const why = reading(detail);
  return (
    <>
      <div class="overlays" role="group" aria-label="show the response as">
        {choices.map(({ name, label }) => (
          <button type="button" key={name} aria-pressed={shown === name} onClick={() => choose(name)}>
            {label}
          </button>
        ))}
      </div>
      {notes.map((note) => (
        <p class="soft small" key={note}>
          {note}
        </p>
      ))}
      {shown === 'raw' ? (
        <pre class="scroll raw">{raw}</pre>
      ) : shown === 'ids' && tokens ? (
        <pre
          class="scroll raw"
          tabIndex={0}
        >{`prompt    ${promptIds?.join(' ') ?? ''}\nresponse  ${tokens.ids.join(' ')}`}</pre>
      ) : (
        <>
          {stream !== undefined && <Legend stream={stream} />}
          {why !== undefined && stream === undefined && <p class="why">{why}</p>}
          {prompt !== null && (
            <details class="turn prompt">
              <summary>Prompt{promptIds ? `, ${plural(promptIds.length, 'token')}` : ''}</summary>
              <pre>{prompt}</pre>
            </details>
          )}
          <ol class="turns">
            {turns.map((turn, i) => (
              <TurnView key={i} turn={turn} gold={detail.row.about.gold} tokens={tokens} stream={stream} />
            ))}
          </ol>
        </>
      )}
    </>
  );
}

function TurnView({
  turn,
  gold,
  tokens,
  stream,
}: {
  turn: Turn;
  gold: readonly string[] | null;
  tokens: Tokens | null;
  stream: Stream | undefined;
}) {
  const count = turn.tokens === null ? '' : `, ${plural(turn.tokens[1] - turn.tokens[0], 'token')}`;
  if (stream !== undefined && tokens?.texts && turn.tokens !== null)
    return (
      <li class={`turn ${turn.author}`}>
        <h2>
          {turn.author === 'policy' ? 'policy' : 'shown'}
          <span class="soft">{count}</span>
        </h2>
        <TokenText tokens={tokens} stream={stream} from={turn.tokens[0]} to={turn.tokens[1]} />
      </li>
    );
  if (turn.author === 'policy')
    return (
      <li class="turn policy">
        <h2>
          policy<span class="soft">{count}</span>
        </h2>
        <Spoken text={turn.text} gold={gold} />
      </li>
    );
  if (turn.search === null)
    return (
      <li class="turn environment">
        <h2>
          shown<span class="soft">{count}</span>
        </h2>
        <p class="said">
          <Marked text={turn.text} gold={gold} />
        </p>
      </li>
    );
  const { query, passages } = turn.search;
  const isSplit = passages.every(({ text }) => text !== null);
  return (
    <li class="turn environment">
      <h2>
        found for “{query}”<span class="soft">{count}</span>
      </h2>
      {passages.length === 0 && <p class="soft">nothing</p>}
      <ol class="passages">
        {passages.map(({ id, title, score, text }, rank) => (
          <li key={rank}>
            <h3>
              <span class="rank">{rank + 1}</span> <Marked text={title} gold={gold} />{' '}
              <span class="soft">
                {short(score, 2)} · {id}
              </span>
            </h3>
            {text !== null &&
              (text === '' ? (
                <p class="soft">cut away by the limit on an observation’s tokens</p>
              ) : (
                <p class="said">
                  <Marked text={text} gold={gold} />
                </p>
              ))}
          </li>
        ))}
      </ol>
      {!isSplit && (
        <p class="said">
          <Marked text={turn.text} gold={gold} />
        </p>
      )}
    </li>
  );
}

const ACTIONS = /<(think|search|answer)>([\s\S]*?)<\/\1>/g;

/** What the policy wrote, its tags as headings of their contents; what stands outside of them is shown as it is. */
function Spoken({ text, gold }: { text: string; gold: readonly string[] | null }) {
  const parts: preact.ComponentChildren[] = [];
  let at = 0;
  const outside = (from: number, to: number) => {
    const rest = text.slice(from, to).trim();
    if (rest !== '')
      parts.push(
        <p class="said outside" key={`o${from}`}>
          {rest}
        </p>,
      );
  };
  for (const match of text.matchAll(ACTIONS)) {
    outside(at, match.index);
    at = match.index + match[0].length;
    const inside = match[2]!.trim();
    parts.push(
      <p class={`said ${match[1]}`} key={match.index}>
        <span class="tag">{match[1]}</span> {match[1] === 'answer' ? <Marked text={inside} gold={gold} /> : inside}
      </p>,
    );
  }
  outside(at, text.length);
  return <>{parts}</>;
}

// ------------------------------------------------------------------------------------------------------------- tokens

function scaleOf({ values }: Stream): { low: number; high: number } {
  const all = values.flatMap((value) => value ?? []).toSorted((a, b) => a - b);
  const at = (share: number) => all[Math.floor(share * (all.length - 1))] ?? 0;
  return { low: Math.min(0, at(0.02)), high: Math.max(at(0.98), 1e-6) };
}

export function Legend({ stream }: { stream: Stream }) {
  const { low, high } = scaleOf(stream);
  // Of three digits, since a KL may be far below 0.001.
  const ends = [high > 1e-6 ? high : 0, low].filter((end) => end !== 0);
  const text = ends.map((end) => String(Number(end.toPrecision(3))).replace('-', '−')).join(' and from ');
  return (
    <p class="legend small">
      {stream.means}{' '}
      <span class="soft">
        {text === '' ? 'All are 0' : `Full colour from ${text}; the number stands where the pointer rests`}.
      </span>
    </p>
  );
}

export function TokenText({
  tokens: { texts, ids, mask },
  stream,
  from,
  to,
}: {
  tokens: Tokens;
  stream: Stream;
  from: number;
  to: number;
}) {
  const { low, high } = scaleOf(stream);
  const shown = [];
  for (let t = from; t < to; t++) {
    const value = stream.values[t] ?? null;
    const strength =
      value === null ? 0 : value >= 0 ? Math.sqrt(Math.min(1, value / high)) : -Math.sqrt(Math.min(1, value / low));
    const color =
      strength === 0
        ? undefined
        : `rgba(var(${strength > 0 ? '--heat' : '--cold'}), ${(Math.abs(strength) * 0.7).toFixed(3)})`;
    shown.push(
      <span
        key={t}
        class={mask[t] === 1 ? undefined : 'soft'}
        title={`${value === null ? 'none' : Number(value.toPrecision(4))} · token ${ids[t]}`}
        style={color === undefined ? {} : { background: color }}
      >
        {texts![t]}
      </span>,
    );
  }
  return <p class="said tokens">{shown}</p>;
}

// -------------------------------------------------------------------------------------------------------------- group

/** All rollouts of a question in one shard, side by side. */
export function GroupPage({ id, shard, question }: { id: string; shard: string; question: string }) {
  const asked = useAsk<TrajectoryDetail[]>('group', new URLSearchParams({ source: id, shard, question }));
  useKeys({ Escape: () => history.back() });
  return (
    <main class="group">
      <div class="bar">
        <a href={hrefOf(['s', id, 'rollouts'], new URLSearchParams({ question }))}>‹ the same question everywhere</a>
      </div>
      <Shown asked={asked}>
        {(group) => {
          const about = group[0]?.row.about;
          if (about === undefined) return <p class="empty">This question has no rollouts here.</p>;
          const right = group.filter(({ row }) => row.marks & 1).length;
          return (
            <>
              <h1>{about.question ?? about.id}</h1>
              <p class="lead">
                Gold: <b>{about.gold?.join(' · ') ?? 'not known'}</b>. {plural(group.length, 'rollout')}, {right} right
                {right === 0 || right === group.length ? ': all the same, so nothing is learned from them' : ''}.{' '}
                {placeLabel(group[0]!.row)}.
              </p>
              <Scroll label="rollouts side by side" also="siblings">
                {group.map((detail) => (
                  <article key={detail.row.line}>
                    <h2>
                      <a
                        href={hrefOf(
                          ['s', id, 'rollout', `${detail.row.place.shard}:${detail.row.line}`],
                          new URLSearchParams({ question }),
                        )}
                      >
                        rollout {detail.row.rollout}
                      </a>{' '}
                      <Verdict row={detail.row} />
                    </h2>
                    <p class="small soft">
                      reward {short(detail.row.reward, 2)}
                      {detail.row.advantage === null ? '' : `, advantage ${short(detail.row.advantage, 2)}`},{' '}
                      {plural(detail.row.searches, 'search', 'searches')}, {short(detail.row.tokens)} tokens
                    </p>
                    <ol class="turns">
                      {detail.turns.map((turn, i) => (
                        <TurnView key={i} turn={turn} gold={about.gold} tokens={null} stream={undefined} />
                      ))}
                    </ol>
                  </article>
                ))}
              </Scroll>
            </>
          );
        }}
      </Shown>
    </main>
  );
}
