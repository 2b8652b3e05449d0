/** What forms of advantage and credit have to go by, of a step that has been rolled out: how they ask the policy, and what they may show it. */
import type { RolledOutStep } from '../algorithms/grpo.ts';
import type { Question } from '../base/question.ts';
import { answerTurn, teacherPrompt } from '../protocol/prompts.ts';
import { goldOfFile } from '../rollout/gold.ts';
import { expertIds, type Groups, type Run } from './run.ts';

export function rolledOutStep(run: Run, questions: readonly Question[], groups: Groups): RolledOutStep {
  const { policy, tokenizer, template, gold = goldOfFile } = run.setup;
  // Counted as trained tokens: what is read is paid for.
  const score: RolledOutStep['score'] = (ids) => run.training(ids, (watch) => policy.logprobs(ids, 'present', watch));
  return {
    questions,
    groups,
    score,
    async own(trajectories) {
      if (policy.capabilities.sampler === 'exact') return trajectories.map(({ logprobs }) => logprobs);
      const scored = await score(trajectories.map(({ prompt, ids }) => [...prompt, ...ids]));
      return scored.map((stream, i) => stream.subarray(trajectories[i]!.prompt.length));
    },
    prompts: {
      showing: (question, shown) => teacherPrompt(tokenizer, template, question?.question ?? '', shown),
      viewOf: (trajectory) => expertIds(run, trajectory),
      answerTurn: ({ answers }) => answerTurn(tokenizer, answers[0]!),
    },
    contextLength: policy.info.contextLength,
    gold,
  };
}
