/** Where text for a person goes. */

/** What is needed of process.stderr. */
export interface LiveOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}
