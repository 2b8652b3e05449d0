/**
 * Exact match, F1 and substring match of open-domain question answering, with Python's semantics to the letter, since
 * every published number was computed by SQuAD's Python script (Rajpurkar et al., 2016) or a copy of it.
 *
 * Two strings that normalise to nothing ("The", "a") are equal, and the empty string occurs in every text, as in Python.
 */

/** Python's string.punctuation: the 32 printable ASCII characters that are neither letters nor digits nor the space. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** Python's \b(a|an|the)\b: there a word consists of letters, digits and numerals of every script, and the underscore. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** What Python's str.split() splits at: unlike \s it has U+001C-U+001F and U+0085, and lacks U+FEFF. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts four control characters as white space
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** Lower case, then punctuation deleted ("a.b" becomes "ab"), then articles replaced by a space, then white space collapsed. */
export function normalizeAnswer(answer: string): string {
  return normalizedTokens(answer).join(' ');
}

function normalizedTokens(answer: string): string[] {
  const words = answer.toLowerCase().replace(PUNCTUATION, '').replace(ARTICLES, ' ');
  return words.split(WHITE_SPACE).filter((token) => token !== '');
}

/** 1 when the prediction equals one of the gold answers after normalisation, else 0. */
export function exactMatch(prediction: string, answers: readonly string[]): 0 | 1 {
  const normalized = normalizeAnswer(prediction);
  return answers.some((answer) => normalizeAnswer(answer) === normalized) ? 1 : 0;
}

/** 1 when one of the gold answers occurs in the text (a prediction or a passage) after normalisation of both, else 0. */
export function substringMatch(text: string, answers: readonly string[]): 0 | 1 {
  const normalized = normalizeAnswer(text);
  return answers.some((answer) => normalized.includes(normalizeAnswer(answer))) ? 1 : 0;
}

/** The best F1, in [0, 1], between the prediction's tokens and those of a gold answer, as multisets. */
export function f1(prediction: string, answers: readonly string[]): number {
  const predicted = normalizedTokens(prediction);
  return Math.max(0, ...answers.map((answer) => tokenF1(predicted, normalizedTokens(answer))));
}

/** F1 = 2 |P ∩ G| / (|P| + |G|), the harmonic mean of precision and recall; 0 when nothing is shared. */
function tokenF1(predicted: readonly string[], gold: readonly string[]): number {
  const rest = [...gold];
  let shared = 0;
  for (const token of predicted) {
    const i = rest.indexOf(token);
    if (i < 0) continue;
    rest.splice(i, 1);
    shared++;
  }
  return shared === 0 ? 0 : (2 * shared) / (predicted.length + gold.length);
}
