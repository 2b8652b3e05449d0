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
  /** Of the processor, all threads together: what other work on the machine distorts least. */
  readonly processor?: readonly number[];
  /** Anything else worth a column, in words. */
  readonly note?: string;
}

/** Seconds of each of `repeats` calls, after one call to warm up. */
export async function seconds(repeats: number, work: () => Promise<unknown>): Promise<number[]> {
  await work();
  return (await timed(repeats, work)).seconds;
}

/** Seconds of each of `repeats` calls, and seconds of the processor. */
export async function timed(
  repeats: number,
  work: () => Promise<unknown>,
): Promise<{ readonly seconds: number[]; readonly processor: number[] }> {
  const times = { seconds: [] as number[], processor: [] as number[] };
  for (let i = 0; i < repeats; i++) {
    const [start, before] = [performance.now(), process.cpuUsage()];
    await work();
    const { user, system } = process.cpuUsage(before);
    times.seconds.push((performance.now() - start) / 1000);
    times.processor.push((user + system) / 1e6);
  }
  return times;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ what, who, tokensPerSecond, seconds: times, processor, note }) => [
    what,
    who,
    tokensPerSecond === undefined ? '' : `${Math.round(tokensPerSecond).toLocaleString('en')} tok/s`,
    `${median(times).toPrecision(3)} s`,
    processor === undefined ? '' : `${median(processor).toPrecision(3)} s of processor`,
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
