/** An experiment: what was found of each claim, the arms, their differences with intervals, and the runs. */
import type { Experiment } from '../wire.ts';
import { useAsk } from './ask.ts';
import { Forest } from './chart.tsx';
import { DataTable, Shown } from './parts.tsx';
import { hrefOf } from './route.ts';

export function ExperimentPage({ id }: { id: string }) {
  const asked = useAsk<Experiment>('experiment', new URLSearchParams({ source: id }), 10_000);
  return <Shown asked={asked}>{(experiment) => <View experiment={experiment} />}</Shown>;
}

function View({
  experiment: { source, sentence, verdicts, tables, differences, reference, arms, runs },
}: {
  experiment: Experiment;
}) {
  const groups = Map.groupBy(differences, ({ label, mode }) => `${label} · ${mode}`);
  return (
    <main class="experiment">
      <h1>{source.name}</h1>
      <p class="lead">{sentence}</p>
      {verdicts.length > 0 && (
        <section>
          <h2>Claims</h2>
          <ul class="verdicts">
            {verdicts.map(({ claim, verdict, sentence: why }) => (
              <li key={claim}>
                <span class={`state ${verdict.replaceAll(' ', '-')}`}>{verdict}</span> <b>{claim}</b>
                <p>{why}</p>
              </li>
            ))}
          </ul>
        </section>
      )}
      {tables.map((table) => (
        <section key={table.title}>
          <h2>Arms</h2>
          <DataTable table={table} />
        </section>
      ))}
      {groups.size > 0 && (
        <section>
          <h2>Differences</h2>
          <p class="soft">
            Each arm minus “{reference}”, paired by seed and question: estimate and 95 % interval. An interval that
            holds 0 decides nothing.
          </p>
          {[...groups].map(([title, list], i) => (
            <details key={title} open={i < 2}>
              <summary>{title}</summary>
              <Forest differences={list} reference={reference} />
            </details>
          ))}
        </section>
      )}
      <section>
        <h2>Runs</h2>
        <ul class="sources">
          {runs.map((run) => (
            <li key={run.id}>
              <a href={hrefOf(['s', run.id])}>{run.name}</a>
            </li>
          ))}
        </ul>
        <details>
          <summary>What each arm changes</summary>
          <dl>
            {arms.map(({ name, means }) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{means}</dd>
              </div>
            ))}
          </dl>
        </details>
      </section>
    </main>
  );
}
