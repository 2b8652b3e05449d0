/** A whole trajectory as an example: prompt, then turns and observations exactly as a rollout would put them together. */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { TokenIds } from '../policy/policy.ts';
import { encodeTurn } from '../protocol/encode-turn.ts';
import { observe } from '../protocol/observation.ts';
import { openingOf } from '../protocol/opening.ts';
import { studentPrompt, teacherPrompt } from '../protocol/prompts.ts';
import type { Template } from '../protocol/template.ts';
import type { Passage } from '../retrieval/retriever.ts';
import type { Example } from './examples.ts';

/** One turn of a demonstration. */
export interface DemonstratedTurn {
  /** The policy's words, from the first tag to </search> or </answer>. */
  readonly policy: string;
  /** What the search found; ignored in the last turn. */
  readonly passages: readonly Passage[];
  /** Whether these words are learned; a mistake that is only there to be recovered from is not. */
  readonly supervised: boolean;
}

/**
 * @param expert text of the expert trajectory: makes the prompt the teacher's
 * @param observationTokens limit on one observation
 */
export function trajectoryExample(
  tokenizer: Tokenizer,
  template: Template,
  question: string,
  turns: readonly DemonstratedTurn[],
  observationTokens: number,
  expert?: string,
): Example {
  const ids: number[] = [];
  const learned: [start: number, end: number][] = [];
  const append = (more: TokenIds) => {
    for (const id of more) ids.push(id);
  };
  append(
    expert === undefined
      ? studentPrompt(tokenizer, template, question)
      : teacherPrompt(tokenizer, template, question, encodeTurn(tokenizer, expert)),
  );
  const begun = openingOf(template, tokenizer, tokenizer.decode(ids.slice(-32))).trim();
  turns.forEach((turn, i) => {
    const start = ids.length;
    // What the prompt has opened is not opened again.
    const words = i === 0 && turn.policy.startsWith(begun) ? turn.policy.slice(begun.length) : turn.policy;
    append(encodeTurn(tokenizer, words));
    if (turn.supervised) learned.push([start, ids.length]);
    if (i < turns.length - 1) append(observe(tokenizer, template, turn.passages, observationTokens).ids);
  });
  const weights = new Float32Array(ids.length);
  for (const [start, end] of learned) weights.fill(1, start, end);
  return { ids, weights };
}
