/** Environment for tests of rollouts: a question, a retriever of made-up passages, limits. */
import type { Question } from '../../base/question.ts';
import { streamKey } from '../../base/random.ts';
import { worldTemplate } from '../../protocol/templates.ts';
import { testTokenizer } from '../../protocol/testing/tokenizer.ts';
import type { Hit, Retriever } from '../../retrieval/retriever.ts';
import type { Environment, RolloutTask } from '../rollout.ts';
import { defaultLimits } from '../turns.ts';
import { type FakePolicy, fakePolicy, type Script } from './fake-policy.ts';

export const tokenizer = testTokenizer();

export function question(id: string, text = `what is ${id} ?`, answers = ['gold']): Question {
  return { id, dataset: 'test', question: text, answers };
}

export function task(id: string, rollout = 0, text?: string): RolloutTask {
  return { question: question(id, text), rollout, key: streamKey(1, 'test', 0, id, rollout) };
}

/** Two hits that repeat the query, the second with the text "the gold egg". */
export function hitsOf(query: string): Hit[] {
  return [
    { passage: { id: `1:${query}`, title: query, text: `all about ${query}` }, score: 2 },
    { passage: { id: `2:${query}`, title: 'egg', text: 'the gold egg' }, score: 1 },
  ];
}

/** Finds two passages for any query. */
export const findsAll: Pick<Retriever, 'search'> = {
  search: async (queries) => queries.map(hitsOf),
};

export type Surrounded = Omit<Environment, 'policy'> & { readonly policy: FakePolicy };

/** Environment in the world's template with a scripted policy. */
export function around(
  script: Script,
  changes: Partial<Omit<Environment, 'policy'>> = {},
  contextLength?: number,
): Surrounded {
  const settings = { tokenizer, retriever: findsAll, template: worldTemplate, temperature: 1, ...changes };
  return {
    ...settings,
    limits: changes.limits ?? defaultLimits,
    deadlines: changes.deadlines ?? { search: 60, sample: 60 },
    policy: fakePolicy(settings.tokenizer, script, contextLength === undefined ? {} : { contextLength }),
  };
}

/** A script of one text a turn; the last is repeated. */
export function inTurns(...texts: string[]): Script {
  const turns = new Map<string, number>();
  return (_, { session }) => {
    const turn = turns.get(session!) ?? 0;
    turns.set(session!, turn + 1);
    return texts[Math.min(turn, texts.length - 1)]!;
  };
}

export function limits(changes: Partial<typeof defaultLimits>) {
  return { ...defaultLimits, ...changes };
}
