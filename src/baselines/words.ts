/** Small texts that several baselines share: passages as documents, and the answer in a reply. */
import { defuse } from '../protocol/tags.ts';
import type { Passage } from '../retrieval/retriever.ts';

/** The phrase after which chain-of-thought prompts want the answer. */
export const answerPhrase = 'So the answer is:';

/** Passages as numbered lines, as Search-R1 shows them, cut at `tokens` tokens of four characters. */
export function documents(passages: readonly Passage[], tokens: number): string {
  if (passages.length === 0) return 'No document was found.';
  const oneLine = (text: string) => defuse(text.trim().replace(/\s+/g, ' '));
  const lines = passages.map(({ title, text }, i) => `Doc ${i + 1}(Title: ${oneLine(title)}) ${oneLine(text)}`);
  return lines.join('\n').slice(0, 4 * tokens);
}

/** What a reasoning model says after its thoughts; models that do not think in tags say everything there. */
export function afterThinking(reply: string): string {
  return reply.split('</think>').at(-1)!.trim();
}

/** A reply that was asked to be nothing but the answer: its first line. Null when nothing was said. */
export function shortAnswer(reply: string): string | null {
  const [line] = afterThinking(reply).split('\n');
  const answer = line!.replace(/^(?:the )?answer(?: is)?:\s*/i, '').trim();
  return answer === '' ? null : answer;
}

/** The rest of the line behind the last "the answer is"; null when that was never said. */
export function concludedAnswer(reply: string): string | null {
  const last = [...afterThinking(reply).matchAll(/\bthe answer is:?[ \t]*([^\n]*)/gi)].at(-1);
  return last?.[1]?.trim() || null;
}
