/**
 * One rollout: the policy writes a turn, the environment answers it, until there is an answer or a limit is reached.
 *
 *     prompt ─► turn ─► answer          ─► the end
 *                ▲  └─► search          ─► observation ─┐
 *                │  └─► neither of both ─► message ─────┤
 *                └──────────────────────────────────────┘
 *
 * Ids are kept as sampled, from the first to the last: nothing is decoded, cut and encoded again (Search-R1 does so).
 * A token that completes a closing tag and carries further characters stays whole.
 * What fails outside of the policy (engine, retriever, a deadline) is the trajectory's stop reason and is never thrown.
 */
import { randomUUID } from 'node:crypto';
import { messageOf } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import type { StreamKey } from '../base/random.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Policy, Sample, TokenIds } from '../policy/policy.ts';
import { type Observation, observe } from '../protocol/observation.ts';
import { lastAnswer, parseTurn, wellFormed } from '../protocol/parser.ts';
import { studentPrompt } from '../protocol/prompts.ts';
import { turnEnds } from '../protocol/tags.ts';
import type { Template } from '../protocol/template.ts';
import type { Retriever } from '../retrieval/retriever.ts';
import { type Outcome, withDeadline } from './deadline.ts';
import { grounded, reward } from './reward.ts';
import { segments } from './segments.ts';
import type { SearchRecord, StopReason, Trajectory } from './trajectory.ts';

/** All are whole numbers; token limits are at least 1. */
export interface RolloutLimits {
  /** Searches that are executed, ≥ 0. After them comes one last turn, in which a search is not executed and ends the rollout. */
  readonly searches: number;
  /** Turns without an action that are answered by a message, ≥ 0; the next such turn ends the rollout. So there are at most searches + invalidTurns + 1 turns. */
  readonly invalidTurns: number;
  /** Tokens of one turn. */
  readonly turnTokens: number;
  /** Tokens of all turns together, the environment's not counted. */
  readonly responseTokens: number;
  /** Tokens of one observation, its tags included. */
  readonly observationTokens: number;
  /** Tokens of prompt and response together; the engine's own context length is kept as well. */
  readonly contextTokens: number;
  /** Passages asked for by one search, ≥ 1. */
  readonly passages: number;
}

/** Search-R1's setting. Its loop spends a search on each invalid turn; here they have a limit of their own. */
export const defaultLimits: RolloutLimits = {
  searches: 4,
  invalidTurns: 2,
  turnTokens: 500,
  responseTokens: 2500,
  observationTokens: 500,
  contextTokens: 4096,
  passages: 3,
};

/** The longest waits, in seconds. */
export interface Deadlines {
  readonly search: number;
  readonly sample: number;
}

export const defaultDeadlines: Deadlines = { search: 120, sample: 1800 };

export interface RolloutTask {
  readonly question: Question;
  /** Index within the group. */
  readonly rollout: number;
  /** This rollout's stream: `streamKey(seed, stage, step, question.id, rollout)`. */
  readonly key: StreamKey;
  /** In place of the student prompt, e.g. a teacher prompt. */
  readonly prompt?: TokenIds;
}

/** What a rollout takes place in. */
export interface Surroundings {
  readonly policy: Pick<Policy, 'info' | 'sample' | 'release'>;
  readonly tokenizer: Tokenizer;
  readonly retriever: Pick<Retriever, 'search'>;
  readonly template: Template;
  readonly limits: RolloutLimits;
  readonly deadlines: Deadlines;
  /** 0 = greedy. */
  readonly temperature: number;
}

interface Ending {
  readonly stop: StopReason;
  readonly failure?: string;
}

/** Runs one rollout. Aborting the signal ends it as 'cancelled'; the promise rejects for errors in this program only. */
export async function rollOutOne(
  task: RolloutTask,
  surroundings: Surroundings,
  signal?: AbortSignal,
): Promise<Trajectory> {
  const { question } = task;
  const prompt = task.prompt ?? studentPrompt(surroundings.tokenizer, surroundings.template, question.question);
  const response = new Response();
  const session = randomUUID();
  let ending: Ending;
  try {
    ending = await takeTurns(task, prompt, response, session, surroundings, signal);
  } finally {
    surroundings.policy.release(session);
  }
  const { ids, mask, logprobs, searches, shown } = response;
  const text = segments({ ids, mask }, surroundings.tokenizer);
  const answer = lastAnswer(text);
  return {
    questionId: question.id,
    dataset: question.dataset,
    rollout: task.rollout,
    prompt,
    ids,
    mask,
    logprobs,
    searches,
    ...ending,
    answer,
    reward: reward(answer, question.answers),
    wellFormed: wellFormed(text),
    grounded: grounded(answer, shown),
  };
}

/** What has been said and shown so far, token by token. */
class Response {
  readonly ids: number[] = [];
  readonly mask: (0 | 1)[] = [];
  readonly logprobs: number[] = [];
  readonly searches: SearchRecord[] = [];
  /** Text of the passages that were shown, one entry an observation. */
  readonly shown: string[] = [];
  policyTokens = 0;

  /** Tokens by the policy. */
  say(sample: Sample): void {
    this.#append(sample.ids, 1, sample.logprobs);
    this.policyTokens += sample.ids.length;
  }

  /** Tokens by the environment. */
  show({ ids, shown }: Observation): void {
    this.#append(ids, 0, []);
    this.shown.push(shown);
  }

  #append(ids: TokenIds, author: 0 | 1, logprobs: readonly number[]): void {
    for (const [i, id] of ids.entries()) {
      this.ids.push(id);
      this.mask.push(author);
      // + 0 turns a certain token's −0 into 0, which JSON can hold.
      this.logprobs.push((logprobs[i] ?? 0) + 0);
    }
  }
}

async function takeTurns(
  task: RolloutTask,
  prompt: TokenIds,
  response: Response,
  session: string,
  surroundings: Surroundings,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  const { policy, tokenizer, retriever, template, limits, deadlines, temperature } = surroundings;
  const contextTokens = Math.min(limits.contextTokens, policy.info.contextLength);
  let invalidTurns = 0;

  for (;;) {
    const contextLeft = contextTokens - prompt.length - response.ids.length;
    const responseLeft = limits.responseTokens - response.policyTokens;
    if (contextLeft < 1) return { stop: 'context-full' };

    const sampled = await withDeadline(deadlines.sample, signal, (waiting) =>
      policy.sample(
        {
          prompt: [...prompt, ...response.ids],
          maxTokens: Math.min(limits.turnTokens, responseLeft, contextLeft),
          temperature,
          stop: turnEnds,
          stopTokens: tokenizer.endTokens,
          key: task.key,
          offset: response.policyTokens,
          session,
        },
        waiting,
      ),
    );
    if (sampled.kind !== 'done') return failed(sampled, 'sample-failed', 'sample', deadlines.sample);
    const sample = sampled.value;
    if (sample.stop === 'context' && sample.ids.length === 0) return { stop: 'context-full' };
    const fault = faultOf(sample);
    if (fault !== undefined) return { stop: 'sample-failed', failure: fault };
    response.say(sample);

    const action = parseTurn(tokenizer.decode(sample.ids));
    if (action.kind === 'answer') return { stop: 'answered' };
    // Any other turn needs an environment's reply and a further turn.
    if (sample.stop === 'context' || sample.ids.length >= contextLeft) return { stop: 'context-full' };
    if (sample.ids.length >= responseLeft) return { stop: 'response-full' };
    if (response.searches.length >= limits.searches) return { stop: 'no-answer' };

    let reply: Observation;
    if (action.kind === 'invalid') {
      invalidTurns += 1;
      if (invalidTurns > limits.invalidTurns) return { stop: 'no-answer' };
      reply = { ids: tokenizer.encode(template.invalidAction), shown: '' };
    } else {
      const searched = await withDeadline(deadlines.search, signal, (waiting) =>
        retriever.search([action.query], limits.passages, waiting),
      );
      if (searched.kind !== 'done') return failed(searched, 'search-failed', 'search', deadlines.search);
      const hits = searched.value[0];
      if (hits === undefined) return { stop: 'search-failed', failure: 'the retriever returned no list for the query' };
      response.searches.push({
        query: action.query,
        passages: hits.map(({ passage, score }) => ({ id: passage.id, title: passage.title, score })),
      });
      const passages = hits.map((hit) => hit.passage);
      reply = observe(tokenizer, template, passages, limits.observationTokens);
    }
    // With at least one token behind it; otherwise the question would have to be dropped from the context.
    if (reply.ids.length >= contextLeft - sample.ids.length) return { stop: 'context-full' };
    response.show(reply);
  }
}

/** The ending of a wait that did not bring what was waited for. */
function failed(
  outcome: Exclude<Outcome<unknown>, { kind: 'done' }>,
  stop: 'search-failed' | 'sample-failed',
  what: string,
  seconds: number,
): Ending {
  switch (outcome.kind) {
    case 'failed':
      return { stop, failure: messageOf(outcome.error) };
    case 'deadline':
      return { stop: 'deadline', failure: `no answer from ${what} within ${seconds} s` };
    case 'cancelled':
      return { stop: 'cancelled', failure: `the run was cancelled while waiting for ${what}` };
  }
}

/** What is wrong with an engine's sample, if anything: nothing wrong may enter a trajectory. */
function faultOf({ ids, logprobs }: Sample): string | undefined {
  if (ids.length === 0) return 'the engine returned no tokens';
  if (logprobs.length !== ids.length)
    return `the engine returned ${ids.length} tokens and ${logprobs.length} log-probabilities`;
  const bad = logprobs.findIndex((value) => !Number.isFinite(value));
  return bad < 0 ? undefined : `the engine returned a log-probability of ${logprobs[bad]} for new token ${bad}`;
}
