/** The baselines, in the order of the published table. */
import type { Baseline, PromptedName } from './baseline.ts';
import { chainOfThought } from './cot.ts';
import { direct } from './direct.ts';
import { ircot } from './ircot.ts';
import { rag } from './rag.ts';
import { react } from './react.ts';
import { searchO1 } from './search-o1.ts';

/** Those that are a prompt and an order of calls; the trained agent's own loop (`agent`) is a rollout. */
export const promptedBaselines: Readonly<Record<PromptedName, Baseline>> = {
  direct,
  cot: chainOfThought,
  ircot,
  'search-o1': searchO1,
  react,
  rag,
};

export type BaselineName = PromptedName | 'agent';

export const baselineNames: readonly BaselineName[] = ['direct', 'cot', 'ircot', 'search-o1', 'react', 'rag', 'agent'];

/** As a table names it. */
export function baselineTitle(name: BaselineName): string {
  return name === 'agent' ? 'Agent' : promptedBaselines[name].title;
}
