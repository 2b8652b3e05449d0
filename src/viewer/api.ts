/** What the page may ask, and the answers: pure of HTTP, so that an exported page is made by the same calls. */
import { UserError } from '../base/errors.ts';
import { keyOf, type Row } from '../runs/rows/row.ts';
import { type Change, changes, compare, matched } from './comparison.ts';
import { answerDetail, trajectoryDetail } from './detail.ts';
import { evaluationOverview } from './evaluation-view.ts';
import { experimentView } from './experiment-view.ts';
import { choicesBeside, countMarks, figures, filterOf, histogramOf, matcher, sorted } from './filter.ts';
import type { Library, Opened } from './library.ts';
import { type Pair, type PairOrder, pairDetail, pairOrders, selectPairs, sidesOf } from './pairs-view.ts';
import { labelOfStage, runOverview } from './run-view.ts';
import type {
  Comparison,
  Overview,
  PairDetail,
  PairLine,
  Rollouts,
  SideChoice,
  SourceLine,
  TrajectoryDetail,
} from './wire.ts';

/** Rows of an answer at most, and those that are given when the request does not say. */
const MOST_ROWS = 500;
const ROWS = 100;

export type Ask = (path: string, query: URLSearchParams) => Promise<unknown>;

/** Answers of the API by path. @throws UserError for a request that makes no sense */
export function apiOf(library: Library): Ask {
  const line = ({ id, kind, name }: SourceLine): SourceLine => ({ id, kind, name });
  return async (path, query) => {
    if (path === 'sources') return (await library.look()).map(line);
    if (path === 'sides') return sidesOfAll(library);
    if (path === 'compare') return comparison(library, query);
    const source = library.source(query.get('source') ?? '');
    if (path === 'experiment') {
      const inside = library.sources.filter(({ kind, folder }) => kind === 'run' && folder.startsWith(source.folder));
      return experimentView(source.folder, line(source), inside.map(line));
    }
    const opened = library.open(source.id);
    switch (path) {
      case 'overview':
        return overview(opened, line(source));
      case 'index':
        await opened.collection.glance();
        return opened.collection.state;
      case 'rollouts':
        await opened.collection.glance();
        return rollouts(opened, query);
      case 'rollout':
        return rollout(opened, query);
      case 'group':
        return group(opened, query);
      case 'pairs':
        return pairs(opened, query);
      case 'pair':
        return pair(opened, query);
      default:
        throw new UserError(`${path}: there is no such thing to ask`);
    }
  };
}

async function overview(opened: Opened, source: SourceLine): Promise<Overview> {
  await opened.collection.glance(50);
  return source.kind === 'run'
    ? runOverview(opened.files, source)
    : evaluationOverview(opened.source.folder, source, opened.collection);
}

function rollouts({ collection }: Opened, query: URLSearchParams): Rollouts {
  const { shards, textShards, ofShards } = collection.state;
  const filter = filterOf(query);
  const held = collection.holding(filter.text);
  const rows = sorted(held.filter(matcher(filter)), filter.sort);
  const from = natural(query.get('from'), 0);
  const count = Math.min(MOST_ROWS, natural(query.get('rows'), ROWS));
  return {
    total: rows.length,
    of: collection.rows.length,
    read: { shards: filter.text === '' ? shards : textShards, ofShards },
    from,
    rows: rows.slice(from, from + count),
    counts: countMarks(rows),
    choices: choicesBeside(held, rows, filter),
    histograms: figures.map((figure) => histogramOf(rows, figure)),
  };
}

async function rollout(opened: Opened, query: URLSearchParams): Promise<TrajectoryDetail> {
  const key = query.get('key') ?? '';
  await ensureShard(opened, key.slice(0, key.lastIndexOf(':')));
  const row = opened.collection.find(key);
  if (row === undefined) throw new UserError(`${key}: there is no such trajectory`);
  return { ...(await detail(opened, row)), place: placeIn(opened.collection.select(filterOf(query)).map(keyOf), key) };
}

/** An address leads to its rollout while others are still being read. */
const ensureShard = ({ collection }: Opened, shard: string) => collection.ensure((place) => place.shard === shard);

async function detail(opened: Opened, row: Row): Promise<TrajectoryDetail> {
  const line = await opened.collection.line(row);
  if (line === undefined) throw new UserError(`${keyOf(row)}: its shard has changed; load the page again`);
  const made =
    opened.source.kind === 'run' ? trajectoryDetail(row, line, await opened.text()) : answerDetail(row, line);
  return { ...made, place: null };
}

function placeIn(keys: readonly string[], key: string): TrajectoryDetail['place'] {
  const at = keys.indexOf(key);
  if (at < 0) return null;
  return { at: at + 1, of: keys.length, previous: keys[at - 1] ?? null, next: keys[at + 1] ?? null };
}

/** Most rollouts of a question that are shown side by side. */
const MOST_SIBLINGS = 64;

/** All rollouts of a question: in its shard, or in all of them. */
async function group(opened: Opened, query: URLSearchParams): Promise<TrajectoryDetail[]> {
  const [shard, id] = [query.get('shard'), query.get('question')];
  if (shard === null) await opened.collection.ensure(() => true);
  else await ensureShard(opened, shard);
  const rows = opened.collection.rows.filter(
    ({ place, about }) => about.id === id && (shard === null || place.shard === shard),
  );
  const details: TrajectoryDetail[] = [];
  for (const row of rows.slice(0, MOST_SIBLINGS)) details.push(await detail(opened, row));
  return details;
}

async function selectedPairs({ pairs }: Opened, query: URLSearchParams): Promise<readonly Pair[]> {
  const order = query.get('order') as PairOrder;
  return selectPairs(await pairs.all(), {
    stage: query.get('stage'),
    text: query.get('text') ?? '',
    order: pairOrders.includes(order) ? order : 'kl',
  });
}

async function pairs(opened: Opened, query: URLSearchParams): Promise<{ total: number; pairs: PairLine[] }> {
  await opened.collection.glance();
  const chosen = await selectedPairs(opened, query);
  const from = natural(query.get('from'), 0);
  const shown = chosen.slice(from, from + MOST_ROWS);
  const abouts = new Map(opened.collection.rows.map(({ about }) => [about.id, about]));
  return {
    total: chosen.length,
    pairs: shown.map(({ line }) => {
      const about = abouts.get(line.questionId);
      return { ...line, question: line.question ?? about?.question ?? null, gold: line.gold ?? about?.gold ?? null };
    }),
  };
}

async function pair(opened: Opened, query: URLSearchParams): Promise<PairDetail> {
  const key = query.get('key');
  const found = (await opened.pairs.all()).find(({ line }) => line.key === key);
  if (found === undefined) throw new UserError(`${key}: there is no such pair`);
  await opened.collection.ensure(({ part }) => part === 'pool');
  const { expert, student } = sidesOf(found, opened.collection.rows);
  const sides = {
    expert: expert ? await detail(opened, expert) : null,
    student: student ? await detail(opened, student) : null,
  };
  const place = placeIn(
    (await selectedPairs(opened, query)).map(({ line }) => line.key),
    found.line.key,
  );
  return { ...pairDetail(found, sides, await opened.text()), place };
}

/** Stages that were evaluated, of all runs and evaluations: what can be put side by side. */
async function sidesOfAll(library: Library): Promise<SideChoice[]> {
  const sides: SideChoice[] = [];
  for (const { id, kind, name } of library.sources) {
    if (kind === 'experiment') continue;
    const { collection } = library.open(id);
    await collection.glance(100);
    const found = new Map<string, SideChoice>();
    for (const { place } of collection.rows) {
      if (place.part !== 'evaluation' && place.part !== 'answers') continue;
      const key = `${place.stage} ${place.mode}`;
      if (!found.has(key))
        found.set(key, { source: id, stage: place.stage, mode: place.mode, label: sideLabel(name, place) });
    }
    sides.push(...found.values());
  }
  return sides;
}

function sideLabel(name: string, { stage, mode }: Pick<Row['place'], 'stage' | 'mode'>): string {
  const [decoding, searches] = mode?.split('-') ?? [];
  return `${name}: ${labelOfStage(stage)}${mode === null ? '' : `, ${decoding}, ≤ ${searches} searches`}`;
}

async function comparison(library: Library, query: URLSearchParams): Promise<Comparison> {
  const side = async (name: 'a' | 'b') => {
    const [source = '', stage = '', mode = ''] = JSON.parse(query.get(name) ?? '[]') as string[];
    const { collection, source: found } = library.open(source);
    const isOfSide = (place: Row['place']) =>
      place.stage === stage && (place.mode ?? '') === mode && (place.part === 'evaluation' || place.part === 'answers');
    await collection.ensure(isOfSide);
    const rows = collection.rows.filter(({ place }) => isOfSide(place));
    return { rows, label: sideLabel(found.name, { stage, mode: mode === '' ? null : mode }) };
  };
  const [a, b] = [await side('a'), await side('b')];
  const change = query.get('change') as Change;
  return compare(
    { a: a.label, b: b.label },
    matched(a.rows, b.rows),
    { change: changes.includes(change) ? change : 'all', suite: query.get('suite') },
    MOST_ROWS,
  );
}

function natural(text: string | null, otherwise: number): number {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : otherwise;
}
