/** A perfect agent's work on a question, as a rollout would have left it: ids, and who wrote them. */
import type { Question } from '../base/question.ts';
import type { TokenIds } from '../policy/policy.ts';
import type { AuthoredIds } from '../protocol/authors.ts';
import { encodeTurn } from '../protocol/encode-turn.ts';
import { observe } from '../protocol/observation.ts';
import { openingOf } from '../protocol/opening.ts';
import type { Run } from './run.ts';

/** Tokens of a prompt's end in which an opening tag is looked for. */
const PROMPT_END = 32;

/**
 * @param prompt of which it is the response: what it has opened is not opened again
 * @throws RangeError for a question that nobody can demonstrate; whoever opens a run refuses it before (outside.ts)
 */
export function demonstrated(run: Run, question: Question, prompt: TokenIds = []): AuthoredIds {
  const { tokenizer, template, demonstrate } = run.setup;
  const begun = openingOf(template, tokenizer, tokenizer.decode(prompt.slice(-PROMPT_END))).trim();
  const turns = demonstrate?.(question);
  if (turns === undefined) throw new RangeError(`there is no demonstration of question ${question.id}`);
  const ids: number[] = [];
  const mask: (0 | 1)[] = [];
  const append = (more: readonly number[], author: 0 | 1) => {
    for (const id of more) {
      ids.push(id);
      mask.push(author);
    }
  };
  for (const [i, { policy, passages }] of turns.entries()) {
    append(encodeTurn(tokenizer, i === 0 && policy.startsWith(begun) ? policy.slice(begun.length) : policy), 1);
    if (i < turns.length - 1)
      append(observe(tokenizer, template, passages, run.settings.rollout.observationTokens).ids, 0);
  }
  return { ids, mask };
}
