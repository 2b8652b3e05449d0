/** The agent over a model that is asked for text: the same loop and template, in chat messages. */
import { rollOutText, type TextSurroundings } from '../rollout/text-rollout.ts';
import type { Solver } from './evaluate.ts';
import { remembering } from './found.ts';

export function solveByText(environment: TextSurroundings): Solver {
  return async ({ question }, signal) => {
    const retriever = remembering(environment.retriever);
    const trajectory = await rollOutText({ question, rollout: 0 }, { ...environment, retriever }, signal);
    const { answer, stop, failure, searches, prompt, segments, promptTokens, newTokens, wellFormed } = trajectory;
    const { reasoningOnly, leftOut } = trajectory;
    return {
      answer,
      stop,
      ...(failure !== undefined && { failure }),
      searches: searches.map(({ query }, i) => ({ query, hits: retriever.found[i] ?? [] })),
      transcript: [{ author: 'environment', text: prompt }, ...segments],
      calls: segments.filter(({ author }) => author === 'policy').length,
      promptTokens,
      newTokens,
      ...(reasoningOnly !== undefined && { reasoningOnly }),
      ...(leftOut !== undefined && { leftOut }),
      wellFormed,
    };
  };
}
