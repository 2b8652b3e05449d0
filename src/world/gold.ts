/**
 * What the embedded world knows of its questions, exactly: of each step the entity's own article, the query that finds it, and
 * whether a statement is a fact.
 */
import type { Question } from '../base/question.ts';
import type { World } from './generate.ts';
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
      isTrue: (statement) => steps.some(({ entity, relation }) => statement === said(world, entity, relation)),
    };
  };
}

export interface WorldKnows {
  readonly steps: readonly { readonly passage: string; readonly key: string }[];
  readonly ordered: boolean;
  readonly isTrue: (statement: string) => boolean;
}

/** "director is gezor fano". */
function said(world: World, entity: string, relation: string): string | undefined {
  const fact = world.byName.get(entity)?.statements.find((one) => one.relation === relation);
  return fact && `${relation} is ${fact.value}`;
}

function isOfWorld(question: Question): question is WorldQuestion {
  return 'steps' in question && 'kind' in question;
}
