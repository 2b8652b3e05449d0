/** The agent on an engine of our own: the very rollouts that training uses, token ids from end to end. */
import { streamKey } from '../base/random.ts';
import { rollOutOne, type Surroundings } from '../rollout/rollout.ts';
import { segments } from '../rollout/segments.ts';
import { policyTokenCount } from '../rollout/trajectory.ts';
import type { Solver } from './evaluate.ts';
import { remembering } from './found.ts';

export function solveByRollout(surroundings: Surroundings, seed: number): Solver {
  return async ({ suite, question }, signal) => {
    const retriever = remembering(surroundings.retriever);
    const key = streamKey(seed, 'evaluate', suite, question.id);
    const trajectory = await rollOutOne({ question, rollout: 0, key }, { ...surroundings, retriever }, signal);
    const { answer, stop, failure, searches, prompt, wellFormed } = trajectory;
    const said = segments(trajectory, surroundings.tokenizer);
    return {
      answer,
      stop,
      ...(failure !== undefined && { failure }),
      searches: searches.map(({ query }, i) => ({ query, hits: retriever.found[i] ?? [] })),
      transcript: [{ author: 'environment', text: surroundings.tokenizer.decode(prompt) }, ...said],
      calls: said.filter(({ author }) => author === 'policy').length,
      promptTokens: prompt.length,
      newTokens: policyTokenCount(trajectory),
      wellFormed,
    };
  };
}
