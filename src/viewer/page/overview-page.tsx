/** A run or an evaluation: what happened, what to do next, tables and curves that lead on. */
import type { Indexing, Overview } from '../wire.ts';
import { isExported, useAsk } from './ask.ts';
import { CurveChart } from './chart.tsx';
import { Command, DataTable, plural, Shown } from './parts.tsx';
import { hrefOf } from './route.ts';
import { Glossary } from './words.tsx';

const LIVE = 2000;

export function OverviewPage({ id }: { id: string }) {
  const query = new URLSearchParams({ source: id });
  const asked = useAsk<Overview>('overview', query, LIVE);
  return <Shown asked={asked}>{(overview) => <View overview={overview} id={id} />}</Shown>;
}

function View({ overview, id }: { overview: Overview; id: string }) {
  const { sentence, state, facts, next, stages, tables, curves, notes, settings, pairStages, source } = overview;
  const rollouts = (query: string) => hrefOf(['s', id, 'rollouts'], query);
  // An exported page holds a few rollouts: what leads to others would lead to none.
  const links = isExported() ? undefined : rollouts;
  const [first, ...others] = tables;
  return (
    <main class="overview">
      <h1>{source.name}</h1>
      <p class="lead">
        <span class={`state ${state}`}>{state}</span> {sentence}
      </p>
      <dl class="facts">
        {facts.map(({ name, value, means }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
            {means !== undefined && <dd class="means">{means}</dd>}
          </div>
        ))}
      </dl>
      <Progress id={id} />
      <nav class="doors" aria-label="look closer">
        <a href={rollouts('')}>All rollouts</a>
        {first && first.header.length > 1 && links && (
          <a href={links('mark=unsteady')}>Right at one stage, wrong at another</a>
        )}
        <a href={rollouts('mark=misread')}>Retrieved but misread</a>
        <a href={rollouts('mark=never-retrieved')}>Never retrieved</a>
        {pairStages.length > 0 && <a href={hrefOf(['s', id, 'pairs'])}>Distillation pairs</a>}
      </nav>
      {next.length > 0 && (
        <section>
          <h2>What to do next</h2>
          <ul class="commands">
            {next.map((one) => (
              <Command key={one.command} {...one} />
            ))}
          </ul>
        </section>
      )}
      {first && (
        <section>
          <h2>Results</h2>
          <p class="soft">
            Suites down, {source.kind === 'run' ? 'stages' : 'ways of answering'} across.
            {links && ' Each number leads to the rollouts that it is made of.'}
          </p>
          <DataTable table={first} {...(links && { href: links })} />
          {others.length > 0 && (
            <details>
              <summary>Other ways of asking ({others.length})</summary>
              {others.map((table) => (
                <DataTable key={table.title} table={table} {...(links && { href: links })} />
              ))}
            </details>
          )}
        </section>
      )}
      {stages.length > 0 && (
        <section>
          <h2>Stages</h2>
          <ol class="stages">
            {stages.map(({ name, label, means, status, note, query }) => (
              <li key={name} class={status.replaceAll(' ', '-')}>
                <span class="name">
                  {status === 'to come' || !links ? (
                    label
                  ) : (
                    <a href={query === null ? hrefOf(['s', id, 'pairs'], `stage=${name}`) : rollouts(query)}>{label}</a>
                  )}
                  <small class="soft">{status}</small>
                </span>
                <span>
                  {note !== '' && <span class="note">{note}</span>}
                  <span class="soft">{means}</span>
                </span>
              </li>
            ))}
          </ol>
        </section>
      )}
      {curves.length > 0 && (
        <section>
          <h2>Curves</h2>
          <p class="soft">
            Over the steps of training. {links && 'Each dot leads to the rollouts of its step; '}
            {links ? 'between' : 'Between'} two rounds no line is drawn.
          </p>
          <div class="charts">
            {curves.map((curve) => (
              <CurveChart
                key={curve.title}
                curve={curve}
                href={(stage, step, heldOut) =>
                  !links || stage.startsWith('e1') || stage.startsWith('sft')
                    ? links && stage.startsWith('e1')
                      ? hrefOf(['s', id, 'pairs'], `stage=${stage}`)
                      : undefined
                    : rollouts(
                        new URLSearchParams({
                          stage,
                          part: heldOut ? 'held-out' : 'step',
                          step: `${step}..${step}`,
                        }).toString(),
                      )
                }
              />
            ))}
          </div>
        </section>
      )}
      {notes.length > 0 && (
        <section>
          <h2>Notes</h2>
          <ul>
            {notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </section>
      )}
      <Glossary />
      <details>
        <summary>Settings, data and versions</summary>
        <pre class="scroll">{settings}</pre>
      </details>
    </main>
  );
}

/** How far the trajectories have been read; `isQuiet`: beside a count of its own, nothing where there is nothing to say of it. */
export function Progress({ id, isQuiet = false }: { id: string; isQuiet?: boolean }) {
  const { value } = useAsk<Indexing>('index', new URLSearchParams({ source: id }), LIVE);
  if (value === undefined) return null;
  const { rows, shards, textShards, ofShards } = value;
  const isReading = shards < ofShards;
  const areTextsMissing = !isReading && textShards < ofShards;
  if (isQuiet && !isReading && !areTextsMissing && value.unsearched === 0 && value.faults.length === 0) return null;
  return (
    <p class="soft small" role="status">
      {[
        ...(isQuiet ? [] : [plural(rows, 'rollout')]),
        ...(isReading ? [`reading, ${shards.toLocaleString('en')} of ${plural(ofShards, 'file')} so far`] : []),
        ...(areTextsMissing
          ? [`texts for searching: ${textShards.toLocaleString('en')} of ${plural(ofShards, 'file')} so far`]
          : []),
        ...(value.unsearched > 0
          ? [`the texts of ${plural(value.unsearched, 'rollout')} are too much to be searched`]
          : []),
      ].join('; ')}
      {value.faults.map((fault) => (
        <span class="fault" key={fault}>
          {' '}
          {fault}
        </span>
      ))}
    </p>
  );
}
