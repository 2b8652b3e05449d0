/** An exported page answers from the data that it carries: the same filters over the same rows. */

import { keyOf, type Row } from '../../runs/rows/row.ts';
import { choicesBeside, countMarks, type Filter, figures, filterOf, histogramOf, matcher, sorted } from '../filter.ts';
import type { Overview, Rollouts, TrajectoryDetail } from '../wire.ts';
import type { Answer } from './ask.ts';

/** What a page carries; written by ../export-page.ts. */
export interface Exported {
  readonly overview: Overview;
  readonly rollouts: readonly TrajectoryDetail[];
  /** Of how many in the run. */
  readonly of: number;
}

export function exportedAnswers(): Answer | undefined {
  const data = document.getElementById('exported')?.textContent;
  if (data === undefined || data === null) return undefined;
  const { overview, rollouts: details } = JSON.parse(data) as Exported;
  const rows = details.map(({ row }) => row);
  const byKey = new Map(details.map((one) => [keyOf(one.row), one]));
  const texts = new Map<Row, string>(details.map((one) => [one.row, textOf(one)]));
  const holding = (text: string) => {
    const wanted = text.toLowerCase();
    return rows.filter((row) => wanted === '' || texts.get(row)!.includes(wanted));
  };
  const select = (filter: Filter) => sorted(holding(filter.text).filter(matcher(filter)), filter.sort);
  return (path, query) => {
    switch (path) {
      case 'sources':
        return [overview.source];
      case 'overview':
        return overview;
      case 'index':
        return { rows: rows.length, shards: 1, ofShards: 1, textShards: 1, faults: [], unsearched: 0 };
      case 'rollouts': {
        const filter = filterOf(query);
        const chosen = select(filter);
        const from = Number(query.get('from') ?? 0);
        const found: Rollouts = {
          total: chosen.length,
          of: rows.length,
          read: { shards: 1, ofShards: 1 },
          from,
          rows: chosen.slice(from, from + 100),
          counts: countMarks(chosen),
          choices: choicesBeside(holding(filter.text), chosen, filter),
          histograms: figures.map((figure) => histogramOf(chosen, figure)),
        };
        return found;
      }
      case 'rollout': {
        const key = query.get('key') ?? '';
        const keys = select(filterOf(query)).map(keyOf);
        const at = keys.indexOf(key);
        const detail = byKey.get(key);
        if (detail === undefined) throw new Error('This rollout is not among those that were exported.');
        return {
          ...detail,
          place:
            at < 0 ? null : { at: at + 1, of: keys.length, previous: keys[at - 1] ?? null, next: keys[at + 1] ?? null },
        };
      }
      case 'group':
        return details.filter(
          ({ row }) => row.place.shard === query.get('shard') && row.about.id === query.get('question'),
        );
      default:
        throw new Error('This is not in an exported page: it holds the rollouts that were chosen.');
    }
  };
}

function textOf({ row: { about, answer }, turns }: TrajectoryDetail): string {
  return [about.question ?? '', ...(about.gold ?? []), answer ?? '', ...turns.map(({ text }) => text)]
    .join('\0')
    .toLowerCase();
}
