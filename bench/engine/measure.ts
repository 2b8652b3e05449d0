/** Timing, medians, and the table. */

/** One measured figure. */
export interface Row {
  /** What was done. */
  readonly what: string;
  /** Who did it: search-e1, or a peer with its version. */
  readonly who: string;
  readonly tokensPerSecond?: number;
  /** Every repetition, the first (warm-up) one left out. */
  readonly seconds: readonly number[];
  /** Anything else worth a column, in words. */
  readonly note?: string;
}

/** Seconds of each of `repeats` calls, after one call to warm up. */
export async function seconds(repeats: number, work: () => Promise<unknown>): Promise<number[]> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await work();
    times.push((performance.now() - start) / 1000);
  }
  return times;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ what, who, tokensPerSecond, seconds: times, note }) => [
    what,
    who,
    tokensPerSecond === undefined ? '' : `${Math.round(tokensPerSecond).toLocaleString('en')} tok/s`,
    `${median(times).toPrecision(3)} s`,
    note ?? '',
  ]);
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]!.length))) ?? [];
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
