/** Opens what an evaluation is of: the policy, what it searches, the questions; with the conditions that all of it amounts to. */
import { UserError } from '../base/errors.ts';
import { sha256 } from '../base/files.ts';
import { type BaselineName, promptedBaselines } from '../baselines/all.ts';
import { attemptQuestion } from '../baselines/attempt-question.ts';
import { questionsHash } from '../benchmarks/questions.ts';
import { textPolicy } from '../engines/open-engine.ts';
import type { Template } from '../protocol/template.ts';
import type { OpenRetriever } from '../retrieval/retriever.ts';
import { batchSearches } from '../rollout/batched-search.ts';
import { engineFailure } from '../rollout/complete-rollouts.ts';
import { keepAskable } from '../rollout/room.ts';
import { defaultDeadlines, type RolloutLimits } from '../rollout/turns.ts';
import { presentVersions } from '../runs/config-record.ts';
import type { World } from '../world/generate.ts';
import type { Conditions } from './conditions.ts';
import type { Solver } from './evaluate.ts';
import { modeOf, type NamedAgentInputs, openNamedAgent } from './named-agent.ts';
import type { NamedPolicy } from './named-policy.ts';
import { type OpenedSuite, openQuestions } from './questions.ts';
import { solveByRollout } from './solve-by-rollout.ts';
import { solveByText } from './solve-by-text.ts';

export interface EvaluationInputs extends NamedAgentInputs {
  readonly baselines: readonly BaselineName[];
  /** Empty, and no files: the embedded world's, where that is what is searched. */
  readonly suites: readonly string[];
  readonly files: readonly { readonly name: string; readonly file: string }[];
  readonly data: string;
  readonly limit: number | undefined;
  readonly seed: number;
  readonly temperature: number;
  readonly searches: number | undefined;
  readonly passages: number | undefined;
  /** New tokens of one reply. */
  readonly turnTokens: number | undefined;
  /** Tokens of prompt and response together. */
  readonly observationTokens?: number | undefined;
  readonly contextTokens?: number | undefined;
}

export interface OpenedEvaluation {
  readonly conditions: Conditions;
  readonly suites: readonly OpenedSuite[];
  readonly solve: Solver;
  close(): Promise<void>;
}

/** Opens everything; it has to be closed. Throws a UserError that names what cannot be opened, and why. */
export async function openEvaluation(inputs: EvaluationInputs): Promise<OpenedEvaluation> {
  // What is quickly read is read first: a mistyped name should not wait for weights and passages.
  const early = aboutWorld(inputs) ? undefined : await openQuestions({ ...inputs, world: undefined });
  const { searches, passages, turnTokens, observationTokens, contextTokens } = inputs;
  const limits = { searches, passages, turnTokens, observationTokens, contextTokens };
  const agent = await openNamedAgent(inputs, limits);
  try {
    const { policy, retriever, world, template, limits } = agent;
    const suites = early ?? (await worldQuestions(inputs, world));
    // Of a served model only its server knows how long a prompt is.
    if (policy.kind === 'engine' && inputs.baselines.includes('agent'))
      for (const { name, questions } of suites) {
        const { contextLength } = policy.policy.info;
        const within = { tokenizer: policy.tokenizer, template, limits, contextLength };
        keepAskable(questions, within, `questions of ${name}`, (tokens) => `--context-tokens ${tokens}`);
      }
    const solve = solver(inputs, policy, retriever, template, limits);
    const conditions = conditionsOf(inputs, policy, retriever, template, limits, suites);
    return { conditions, suites, solve, close: () => agent.close() };
  } catch (error) {
    await agent.close();
    throw error;
  }
}

/** Without any questions named, they are the embedded world's. */
function aboutWorld({ suites, files }: EvaluationInputs): boolean {
  return (suites.length === 0 && files.length === 0) || suites.some((name) => name.startsWith('world'));
}

async function worldQuestions(inputs: EvaluationInputs, world: World | undefined): Promise<OpenedSuite[]> {
  const none = inputs.suites.length === 0 && inputs.files.length === 0;
  if (none && world === undefined)
    throw new UserError('no questions: name benchmarks with --suites, or files with --questions', {
      hint: 'For example: --suites nq,hotpotqa --limit 200',
    });
  return openQuestions({ ...inputs, suites: none ? ['world'] : inputs.suites, world });
}

function solver(
  { temperature, seed }: EvaluationInputs,
  named: NamedPolicy,
  searched: OpenRetriever,
  template: Template,
  limits: RolloutLimits,
): Solver {
  const deadlines = defaultDeadlines;
  const retriever = { search: batchSearches((queries, k, signal) => searched.search(queries, k, signal)) };
  const model = named.kind === 'served' ? named.model : textPolicy(named.policy, named.tokenizer, named);
  const agent =
    named.kind === 'served'
      ? solveByText({
          ...named,
          mode: modeOf(named, template),
          retriever,
          template,
          limits,
          deadlines,
          temperature,
          seed,
        })
      : solveByRollout({ ...named, retriever, template, limits, deadlines, temperature }, seed);
  const solve: Solver = (task, signal) =>
    task.baseline === 'agent'
      ? agent(task, signal)
      : attemptQuestion(promptedBaselines[task.baseline], task.question, {
          model,
          retriever,
          limits,
          deadlines,
          temperature,
          seed,
          signal,
        });
  return named.kind === 'served' ? solve : stoppedByItsEngine(solve);
}

/** A server may fail at one question and not at the next; when our own engine fails, something is wrong with it. */
export function stoppedByItsEngine(solve: Solver): Solver {
  return async (task, signal) => {
    const attempt = await solve(task, signal);
    if (attempt.stop === 'sample-failed') throw engineFailure(task.suite, task.question.id, attempt.failure);
    return attempt;
  };
}

function conditionsOf(
  { baselines, temperature, seed }: EvaluationInputs,
  policy: NamedPolicy,
  retriever: OpenRetriever,
  template: Template,
  limits: RolloutLimits,
  suites: readonly OpenedSuite[],
): Conditions {
  const prompts = baselines.map((name) => [
    name,
    sha256(JSON.stringify(name === 'agent' ? template : promptedBaselines[name].prompts)),
  ]);
  const { kind, passages, corpusHash, settings } = retriever.info;
  return {
    schema: 1,
    model:
      policy.kind === 'served'
        ? {
            ...policy.model.info,
            mode: modeOf(policy, template),
            tokenizer: policy.chatTemplate?.hash ?? null,
          }
        : {
            engine: policy.policy.info.engine,
            mode: 'ids',
            name: policy.name,
            weights: policy.weights,
            tokenizer: policy.tokenizer.hash,
            deterministic: policy.policy.capabilities.deterministic,
          },
    retriever: { kind, passages, corpusHash, settings: { ...settings } },
    prompts: Object.fromEntries(prompts),
    suites: suites.map(({ name, questions, of }) => ({
      name,
      questions: questions.length,
      of,
      hash: questionsHash(questions),
    })),
    decoding: { temperature, seed },
    limits,
    versions: presentVersions(),
  };
}
