/** Commands that are printed for a person to give again. */

/**
 * A command for a POSIX shell, to be pasted as it stands: words that a shell would read otherwise are put in single quotes.
 */
export function shellCommand(...words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
