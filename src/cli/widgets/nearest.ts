/** The known word nearest to a mistyped one. */

/**
 * Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions and swaps of neighbours.
 *
 * d(i, j) = min( d(i−1, j) + 1, d(i, j−1) + 1, d(i−1, j−1) + [a_i ≠ b_j], d(i−2, j−2) + 1 if a_i a_{i−1} = b_{j−1} b_j )
 */
export function editDistance(a: string, b: string): number {
  let [twoAbove, above]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      let best = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, twoAbove[j - 2]! + 1);
      row.push(best);
    }
    [twoAbove, above] = [above, row];
  }
  return above[b.length]!;
}

/**
 * The nearest of the known dotted paths; undefined when none is near. Case and the marks "-" and "_" count for nothing, and a
 * path may be given without its first parts: "learning_rate" finds "grpo.learningRate".
 */
export function nearestPath(unknown: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '');
  const lastPart = (text: string) => text.slice(text.lastIndexOf('.') + 1);
  const given = plain(unknown);
  const scored = known.map((path) => {
    const whole = editDistance(given, plain(path));
    // A little more than the whole path's distance, so that the right place wins over another place's same name.
    const part = editDistance(lastPart(given), lastPart(plain(path))) + 0.5;
    return { path, distance: Math.min(whole, part) };
  });
  const best = scored.reduce((a, b) => (b.distance < a.distance ? b : a), {
    path: '',
    distance: Number.POSITIVE_INFINITY,
  });
  return best.distance <= Math.max(2, lastPart(given).length / 3) ? best.path : undefined;
}
