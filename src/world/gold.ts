/**
 * What the embedded world knows of its questions, exactly: of each step the entity's own article, the query that finds it, and
 * what a thought states wrongly.
 */
import type { Question } from '../base/question.ts';
import { factOf, type World } from './generate.ts';
import { RELATIONS } from './schema.ts';
import type { WorldQuestion } from './suites.ts';
import { fullQuery } from './turns.ts';

/** As rollout/gold.ts, which stands above this room, asks for it; undefined for questions of another world. */
export function worldGold(world: World): (question: Question) => WorldKnows | undefined {
  const articles = new Map(world.passages.map(({ id, title }) => [title, id]));
  return (question) => {
    if (!isOfWorld(question)) return undefined;
    const { steps, kind } = question;
    const passages = steps.map(({ entity }) => articles.get(entity));
    if (passages.includes(undefined)) return undefined;
    return {
      steps: steps.map(({ entity, relation }, i) => ({ passage: passages[i]!, key: fullQuery(entity, relation) })),
      ordered: kind === 'chain',
      misstates: (words) => {
        const facts = steps.map(({ entity, relation }) => `${relation} is ${factOf(world, entity, relation)}`);
        return [...words.matchAll(STATEMENT)].some(([statement]) => !facts.includes(statement));
      },
    };
  };
}

export interface WorldKnows {
  readonly steps: readonly { readonly passage: string; readonly key: string }[];
  readonly ordered: boolean;
  readonly misstates: (words: string) => boolean;
}

/** "director is gezor fano": what an agent makes of a search (turns.ts, `speak`). */
const STATEMENT = new RegExp(`\\b(?:${RELATIONS.map(({ name }) => name).join('|')}) is [a-z]+ [a-z]+`, 'g');

function isOfWorld(question: Question): question is WorldQuestion {
  return 'steps' in question && 'kind' in question;
}
