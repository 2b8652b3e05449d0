/**
 * What a baseline is: a way to get an answer to a question out of a language model, with or without searching.
 *
 * One file each beside this one. A baseline speaks to the model and to the retriever through its `BaselineSession` alone, which
 * counts, records and keeps the limits; so a file holds the prompt and the order of calls, as the paper would print them.
 * Prompts are in our own words and without worked examples; each file says where it departs from its paper.
 */
import type { BaselineSession } from './session.ts';

export type PromptedName = 'direct' | 'cot' | 'rag' | 'ircot' | 'react' | 'search-o1';

export interface Baseline {
  readonly name: PromptedName;
  readonly title: string;
  /** Authors, year, arXiv id. */
  readonly source: string;
  /** Every text that it adds around the question: part of an evaluation's identity. */
  readonly prompts: readonly string[];
  /** The answer; null when the model gave none. What goes wrong outside (server, retriever, deadline) is thrown by the session. */
  answer(question: string, session: BaselineSession): Promise<string | null>;
}
