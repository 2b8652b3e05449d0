/** The agent on an engine of our own: the very rollouts that training uses, token ids from end to end. */
import { streamKey } from '../base/random.ts';
import { type Environment, rollOutOne } from '../rollout/rollout.ts';
import { segments } from '../rollout/segments.ts';
import { policyTokenCount } from '../rollout/trajectory.ts';
import type { Solver } from './evaluate.ts';
import { remembering } from './found.ts';

export function solveByRollout(environment: Environment, seed: number): Solver {
  return async ({ suite, question }, signal) => {
    const retriever = remembering(environment.retriever);
    const key = streamKey(seed, 'evaluate', suite, question.id);
    const trajectory = await rollOutOne({ question, rollout: 0, key }, { ...environment, retriever }, signal);
    const { answer, stop, failure, searches, prompt, wellFormed } = trajectory;
    const said = segments(trajectory, environment.tokenizer);
    return {
      answer,
      stop,
      ...(failure !== undefined && { failure }),
      searches: searches.map(({ query }, i) => ({ query, hits: retriever.found[i] ?? [] })),
      transcript: [{ author: 'environment', text: environment.tokenizer.decode(prompt) }, ...said],
      calls: said.filter(({ author }) => author === 'policy').length,
      promptTokens: prompt.length,
      newTokens: policyTokenCount(trajectory),
      wellFormed,
    };
  };
}
