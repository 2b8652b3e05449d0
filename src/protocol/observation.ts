/** What a search shows to the policy: passages as one closed information block within a token limit. */
import { encodeMarked, foreign } from '../checkpoint/foreign.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { fill } from './prompts.ts';
import { defuse } from './tags.ts';
import type { Template } from './template.ts';

export interface Observation {
  readonly ids: number[];
  /** The passages as far as they are shown, as text. */
  readonly shown: string;
}

/**
 * The observation of one search: opening text, passages in rank order, closing text, each encoded on its own.
 *
 * When the whole is longer than `limit` tokens the passages are cut from the end: the last ones go first, and one is cut
 * within its text (with `wholePassages` only when it is the first). The block is closed in any case; with a limit too small for
 * even an empty block, an empty block is what comes back. So a cut observation is a prefix of the uncut one, followed by the
 * same closing text.
 */
export function observe(
  tokenizer: Pick<Tokenizer, 'encode' | 'decode'>,
  template: Template,
  passages: readonly Passage[],
  limit: number,
): Observation {
  const [before, after] = template.observation.split('{passages}') as [string, string];
  const [open, close] = [tokenizer.encode(before), tokenizer.encode(after)];
  const inside: number[] = [];
  const room = () => limit - open.length - inside.length - close.length;

  if (passages.length === 0) inside.push(...tokenizer.encode(template.nothingFound).slice(0, Math.max(0, room())));
  for (const [index, { title, text }] of passages.entries()) {
    const lead = index === 0 ? '' : template.separator;
    const values = { rank: String(index + 1), title: oneLine(title) };
    const marked = {
      ...values,
      title: foreign(values.title),
      text: foreign(oneLine(firstWords(text, template.passageWords))),
    };
    const ids = encodeMarked(tokenizer, lead + fill(template.passage, marked));
    if (ids.length <= room()) {
      inside.push(...ids);
      continue;
    }
    if (template.wholePassages && index > 0) break;
    const heading = fill(template.passage.slice(0, template.passage.indexOf('{text}')), values);
    inside.push(...beginning(tokenizer, ids, Math.max(0, room()), (lead + heading).trim().length));
    break;
  }
  return { ids: [...open, ...inside, ...close], shown: passages.length === 0 ? '' : tokenizer.decode(inside) };
}

/** The text's first so many words, with a mark where there were more. */
function firstWords(text: string, count: number | undefined): string {
  const words = text.trim().split(/\s+/);
  return count === undefined || words.length <= count ? text : `${words.slice(0, count).join(' ')} …`;
}

/** Harmless and without line breaks, so that a passage cannot look like two. */
function oneLine(text: string): string {
  return defuse(text.trim().replace(/\s+/g, ' '));
}

/** The first `count` ids, less a character cut in two; none at all when no more than the heading would be shown. */
function beginning(
  tokenizer: Pick<Tokenizer, 'decode'>,
  ids: readonly number[],
  count: number,
  headingLength: number,
): number[] {
  const kept = ids.slice(0, count);
  // A UTF-8 character has at most four bytes, hence at most three tokens of an unfinished one.
  for (let i = 0; i < 3 && tokenizer.decode(kept).endsWith('\uFFFD'); i++) kept.pop();
  return tokenizer.decode(kept).trim().length > headingLength ? kept : [];
}
