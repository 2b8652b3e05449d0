/** Where stop strings end a text. */

/** Where the first completed stop string of a text ends; undefined when none is complete. */
export function endOfStop(text: string, stop: readonly string[]): number | undefined {
  const ends = stop.map((string) => text.indexOf(string) + string.length).filter((_, i) => text.includes(stop[i]!));
  return ends.length === 0 ? undefined : Math.min(...ends);
}
