/**
 * Prints src/retrieval/word-classes.ts: which characters are letters, digits, marks and so on to Lucene 8.7's StandardTokenizer,
 * read from its own tables. From the repository, with Debian's liblucene8-java and a Java compiler:
 *
 *   CP=/usr/share/java/lucene-core-8.7.0.jar:/usr/share/java/lucene-analyzers-common-8.7.0.jar
 *   mkdir classes && javac -cp $CP -d classes bench/retrieval/LucenePeer.java
 *   echo classes | java -cp $CP:classes LucenePeer > classes.txt
 *   node bench/retrieval/word-classes.ts classes.txt > src/retrieval/word-classes.ts
 */
import { readFileSync } from 'node:fs';

type Range = [first: number, last: number];

/** Lucene's classes of each set, found by what is in them: by a character that only they have. */
const SETS: Readonly<Record<string, { readonly doc: string; readonly samples: string }>> = {
  letter: { doc: 'ALetter of Word_Break, Hangul included, without Hebrew.', samples: 'a한' },
  emojiLetter: { doc: 'Letters that are emoji too.', samples: 'ℹ' },
  hebrew: { doc: 'Hebrew_Letter.', samples: 'א' },
  numeric: { doc: 'Numeric.', samples: '1٣' },
  extend: {
    doc: 'Extend, Format and ZWJ: what stays with the character before it.',
    samples: '\u0301\ufe0e\ufe0f\u20e3\u200d\u{e0041}\u{e007f}\u0e31',
  },
  katakana: { doc: 'Katakana.', samples: 'カ' },
  midLetter: { doc: 'MidLetter: joins letters.', samples: ':' },
  midNumeric: { doc: 'MidNum: joins digits.', samples: ',' },
  midBoth: { doc: 'MidNumLet: joins both.', samples: '.' },
  connector: { doc: 'ExtendNumLet: joins whatever it touches.', samples: '_' },
  han: { doc: 'Han: a character a word.', samples: '漢' },
  hiragana: { doc: 'Hiragana: a character a word.', samples: 'か' },
  unspaced: { doc: 'Complex_Context of Line_Break: scripts without spaces, a run a word.', samples: 'ก\u0e31' },
  emoji: { doc: 'Emoji that take no skin colour.', samples: '😀' },
  emojiBase: { doc: 'Emoji that do.', samples: '👍' },
};

const classes: [...Range, number][] = readFileSync(process.argv[2]!, 'utf8')
  .trim()
  .split('\n')
  .map((line) => line.split(' ').map(Number) as [number, number, number]);

function rangesOf(samples: string): Range[] {
  const wanted = new Set(
    [...samples].map((c) => classes.find(([a, b]) => a <= c.codePointAt(0)! && c.codePointAt(0)! <= b)![2]),
  );
  const merged: Range[] = [];
  for (const [first, last, of] of classes) {
    if (!wanted.has(of)) continue;
    const before = merged.at(-1);
    if (before !== undefined && before[1] + 1 === first) before[1] = last;
    else merged.push([first, last]);
  }
  return merged;
}

/** Each range by its distance from the end of the one before, and its length − 1 behind a point unless that is 0; in base 36. */
function packed(ranges: readonly Range[]): string[] {
  let at = 0;
  return ranges.map(([first, last]) => {
    const text = (first - at).toString(36) + (last > first ? `.${(last - first).toString(36)}` : '');
    at = last;
    return text;
  });
}

function lines(words: readonly string[]): string[] {
  const all = [''];
  for (const word of words) {
    if (all.at(-1)!.length + word.length > 114) all.push('');
    all[all.length - 1] += all.at(-1) === '' ? word : ` ${word}`;
  }
  return all;
}

const fields = Object.entries(SETS).map(([name, { doc, samples }]) => {
  const text = lines(packed(rangesOf(samples)));
  const value = text.length === 1 ? `'${text[0]}'` : `\`\n${text.map((line) => `    ${line}\n`).join('')}  \``;
  return `  /** ${doc} */\n  ${name}: set(${value}),\n`;
});
process.stdout.write(`/**
 * The classes of characters of UAX #29, Unicode 9, and the emoji of that time, exactly as Lucene 8.7's StandardTokenizer has them:
 * read from its tables by bench/retrieval/word-classes.ts. Kept here since the Unicode of Node grows with every version, and
 * with it the terms would change.
 *
 * A set is a list of ranges: the distance from the end of the one before, and behind a point the length − 1, in base 36.
 */
export const CLASSES = {
${fields.join('')}} as const;

/** As the inside of a character class of a regular expression with the flag v. */
function set(packed: string): string {
  let at = 0;
  return packed
    .trim()
    .split(/\\s+/)
    .map((range) => {
      const [gap, length] = range.split('.').map((digits) => Number.parseInt(digits, 36));
      const [first, last] = [at + gap!, at + gap! + (length ?? 0)];
      at = last;
      return \`\\\\u{\${first.toString(16)}}\${last > first ? \`-\\\\u{\${last.toString(16)}}\` : ''}\`;
    })
    .join('');
}
`);
