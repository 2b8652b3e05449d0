/** The page: where one is, and what is shown there. */
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import type { SourceLine } from '../wire.ts';
import { answerLocally, isExported, useAsk } from './ask.ts';
import { ComparePage } from './compare-page.tsx';
import { ExperimentPage } from './experiment-page.tsx';
import { exportedAnswers } from './exported.ts';
import { OverviewPage } from './overview-page.tsx';
import { PairPage, PairsPage } from './pairs-page.tsx';
import { Shown, useKeys } from './parts.tsx';
import { RolloutsPage } from './rollouts-page.tsx';
import { go, hrefOf, type Route, useRoute } from './route.ts';
import './style.css';
import { GroupPage, RolloutPage } from './trajectory.tsx';

const none = new URLSearchParams();

function App() {
  const route = useRoute();
  const sources = useAsk<SourceLine[]>('sources', none, 15_000);
  const [first] = sources.value ?? [];
  const id = route.path[0] === 's' ? route.path[1] : undefined;
  const source = sources.value?.find((one) => one.id === id);
  const from = route.path[0] === 'compare' ? route.query.get('from') : id;
  useEffect(() => {
    // Where there is one thing to look at, it is looked at.
    if (route.path.length === 0 && sources.value?.length === 1) go(hrefOf(['s', first!.id]), true);
  }, [route.path.length, sources.value?.length]);
  useEffect(() => {
    document.title = [route.path[2], source?.name ?? (route.path[0] === 'compare' ? 'compare' : undefined), 'search-e1']
      .filter(Boolean)
      .join(' · ');
  }, [route.path.join('/'), source?.name]);
  useEffect(() => scrollTo(0, 0), [route.path.join('/')]);
  const many = (sources.value?.length ?? 0) > 1;
  useKeys(many && route.path.length === 2 && id !== undefined ? { Escape: () => go('#/') } : {});
  return (
    <>
      <Top route={route} source={sources.value?.find((one) => one.id === from)} many={many} />
      <Shown asked={sources}>{(list) => <PageOf route={route} source={source} sources={list} />}</Shown>
      <footer class="soft small">
        {isExported() ? 'An exported page: it asks nobody.' : 'Served to this machine alone; nothing leaves it.'} Keys:{' '}
        <kbd>j</kbd> <kbd>k</kbd> next and previous, <kbd>Enter</kbd> open, <kbd>/</kbd> search, <kbd>Esc</kbd> back.
      </footer>
    </>
  );
}

function Top({
  route: { path, query },
  source,
  many,
}: {
  route: Route;
  source: SourceLine | undefined;
  many: boolean;
}) {
  const at = path[0] === 's' ? (path[2] ?? '') : undefined;
  const tabs: readonly (readonly [name: string, label: string, here: boolean | undefined])[] =
    source === undefined || source.kind === 'experiment'
      ? []
      : [
          ['', source.kind === 'run' ? 'Run' : 'Evaluation', at === ''],
          ['rollouts', 'Rollouts', at?.startsWith('rollout') || at === 'group'],
          ...(source.kind === 'run' && !isExported() ? [['pairs', 'Pairs', at?.startsWith('pair')] as const] : []),
        ];
  const from = source?.id ?? query.get('from') ?? undefined;
  return (
    <header>
      <a class="brand" href={many ? '#/' : source ? hrefOf(['s', source.id]) : '#/'}>
        search-e1
      </a>
      {source !== undefined && <span class="where">{source.name}</span>}
      <nav aria-label="views">
        {source !== undefined &&
          tabs.map(([name, label, here]) => (
            <a
              key={name}
              href={hrefOf(['s', source.id, ...(name === '' ? [] : [name])])}
              aria-current={here ? 'page' : undefined}
            >
              {label}
            </a>
          ))}
        {!isExported() && (
          <a
            href={hrefOf(['compare'], from === undefined ? '' : new URLSearchParams({ from }))}
            aria-current={path[0] === 'compare' ? 'page' : undefined}
          >
            Compare
          </a>
        )}
      </nav>
    </header>
  );
}

function PageOf({
  route: { path, query },
  source,
  sources,
}: {
  route: Route;
  source: SourceLine | undefined;
  sources: readonly SourceLine[];
}) {
  if (path[0] === 'compare') return <ComparePage query={query} from={query.get('from') ?? undefined} />;
  if (path[0] !== 's') return <Sources sources={sources} />;
  if (source === undefined)
    return (
      <main>
        <p class="empty">
          There is nothing of that name. <a href="#/">What there is</a>
        </p>
      </main>
    );
  const [, id, view = '', ...rest] = path as [string, string, ...string[]];
  if (source.kind === 'experiment') return <ExperimentPage id={id} />;
  switch (view) {
    case 'rollouts':
      return <RolloutsPage id={id} query={query} />;
    case 'rollout':
      return <RolloutPage id={id} rollout={rest[0] ?? ''} query={query} />;
    case 'group':
      return <GroupPage id={id} shard={rest[0] ?? ''} question={rest[1] ?? ''} />;
    case 'pairs':
      return <PairsPage id={id} query={query} />;
    case 'pair':
      return <PairPage id={id} pair={rest[0] ?? ''} query={query} />;
    default:
      return <OverviewPage id={id} />;
  }
}

function Sources({ sources }: { sources: readonly SourceLine[] }) {
  return (
    <main>
      <h1>What there is to look at</h1>
      {(['experiment', 'run', 'evaluation'] as const).map((kind) => {
        const own = sources.filter((one) => one.kind === kind);
        if (own.length === 0) return null;
        return (
          <section key={kind}>
            <h2>{kind}s</h2>
            <ul class="sources">
              {own.map(({ id, name }) => (
                <li key={id}>
                  <a href={hrefOf(['s', id])}>{name}</a>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </main>
  );
}

const answers = exportedAnswers();
if (answers !== undefined) answerLocally(answers);
render(<App />, document.getElementById('app')!);
