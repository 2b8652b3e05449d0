/** Which questions were answered rightly after one stage and wrongly after another: what only all rows together tell. */
import { bitOf, type Row } from '../runs/rows/row.ts';

const isEvaluation = ({ place: { part } }: Row) => part === 'evaluation' || part === 'answers';

/** Names what is asked alike at several stages: by an evaluation of a run, or by the baselines of an evaluation. */
const sameAsked = ({ place, about, rollout }: Row) => `${place.mode}\n${about.suite}\n${about.id}\n${rollout}`;

/** The rows of each shard, those of such questions with that mark; a shard without any keeps its list. */
export function withUnsteady(shards: readonly (readonly Row[])[]): (readonly Row[])[] {
  const [right, wrong] = [bitOf('right'), bitOf('wrong') | bitOf('no-answer')];
  const seen = new Map<string, number>();
  const unsteady = new Set<string>();
  const asked = shards.map((rows) =>
    rows[0] !== undefined && isEvaluation(rows[0]) ? rows.map(sameAsked) : undefined,
  );
  for (const [shard, keys] of asked.entries())
    for (const [i, key] of keys?.entries() ?? []) {
      const all = (seen.get(key) ?? 0) | shards[shard]![i]!.marks;
      seen.set(key, all);
      if ((all & right) !== 0 && (all & wrong) !== 0) unsteady.add(key);
    }
  if (unsteady.size === 0) return [...shards];
  return shards.map((rows, shard) => {
    const keys = asked[shard];
    if (!keys?.some((key) => unsteady.has(key))) return rows;
    return rows.map((row, i) => (unsteady.has(keys[i]!) ? { ...row, marks: row.marks | bitOf('unsteady') } : row));
  });
}
