/**
 * One rollout on token ids: what the policy is trained on, and how the trained agent is measured (the loop: turns.ts).
 *
 * Ids are kept as sampled, from the first to the last: nothing is decoded, cut and encoded again (Search-R1 does so).
 * A token that completes a closing tag and carries further characters stays whole.
 */
import { randomUUID } from 'node:crypto';
import type { Question } from '../base/question.ts';
import type { StreamKey } from '../base/random.ts';
import { readTokens, textTeller } from '../checkpoint/text-teller.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Policy, Sample, SampleRequest, TokenIds } from '../policy/policy.ts';
import { observe } from '../protocol/observation.ts';
import { openingOf, withOpening } from '../protocol/opening.ts';
import { lastAnswer, wellFormed } from '../protocol/parser.ts';
import { studentPrompt } from '../protocol/prompts.ts';
import { turnEnds } from '../protocol/tags.ts';
import type { Template } from '../protocol/template.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { type Noise, withNoise } from './noise.ts';
import { correctness, grounded, type Reward } from './reward.ts';
import { shortestTurn } from './room.ts';
import { segments } from './segments.ts';
import { policyTokenCount, type SearchRecord, type Trajectory } from './trajectory.ts';
import {
  type Conversation,
  type Ending,
  type RolloutEvent,
  type RolloutLimits,
  type TurnEnvironment,
  takeTurns,
} from './turns.ts';

export interface RolloutTask {
  readonly question: Question;
  /** Index within the group. */
  readonly rollout: number;
  /** This rollout's stream: `streamKey(seed, stage, step, question.id, rollout)`. */
  readonly key: StreamKey;
  /** In place of the student prompt, e.g. a teacher prompt. */
  readonly prompt?: TokenIds;
  /** In place of those of the environment. */
  readonly limits?: RolloutLimits;
  readonly temperature?: number;
  /** Searches that are answered badly. */
  readonly noise?: Noise;
  /** Told after turns without an answer: the searches so far, and the trajectory of a rollout that may search no more often. */
  readonly onSpent?: (searches: number, trajectory: () => Trajectory) => void;
  /** The tree that it is a branch of, from 0 (tree.ts). */
  readonly tree?: number;
  /** Where it goes on from, of another rollout under the same prompt; its own tokens are drawn from `key` all the same. */
  readonly from?: Prefix;
  /** Told at the end where turns of its own began, but for the first: others may go on from there. */
  readonly onPrefixes?: (prefixes: readonly Prefix[]) => void;
}

/** A rollout up to where a turn of the policy begins: all that was said, found and shown before. */
export interface Prefix extends Pick<Trajectory, 'ids' | 'mask' | 'logprobs' | 'searches'> {
  /** Text of the passages, an entry an observation. */
  readonly shown: readonly string[];
  readonly invalidTurns: number;
}

/** What a rollout takes place in. */
export interface Environment extends TurnEnvironment {
  readonly policy: Pick<Policy, 'info' | 'sample' | 'release'>;
  readonly tokenizer: Tokenizer;
  readonly template: Template;
  /** 0 = greedy. */
  readonly temperature: number;
  /** Default: exact match. Never asked where the agent is measured. */
  readonly reward?: Reward;
}

/** Tokens of a prompt's end in which an opening tag is looked for. */
const PROMPT_END = 32;

type Listener = (event: RolloutEvent) => void;

/**
 * Runs one rollout. Aborting the signal ends it as 'cancelled'; the promise rejects for errors in this program only.
 * @param onEvent follows the rollout, text by text; it changes nothing in what is written
 */
export async function rollOutOne(
  task: RolloutTask,
  around: Environment,
  signal?: AbortSignal,
  onEvent?: Listener,
): Promise<Trajectory> {
  const { question, rollout, key, onSpent, limits, temperature, noise, tree, from, onPrefixes } = task;
  const { tokenizer, template } = around;
  const environment = {
    ...around,
    limits: limits ?? around.limits,
    temperature: temperature ?? around.temperature,
    ...(noise && { retriever: withNoise(around.retriever, noise) }),
  };
  const prompt = task.prompt ?? studentPrompt(tokenizer, template, question.question);
  const conversation = new IdConversation(key, prompt, environment, onEvent, from);
  const promptText = tokenizer.decode(prompt);
  const searches: SearchRecord[] = [...(from?.searches ?? [])];
  const prefixes: Prefix[] = [];
  const record = (ending: Ending): Trajectory => {
    const { ids, mask, logprobs, shown, opening } = conversation;
    const response = segments({ ids, mask }, tokenizer);
    const text = withOpening(response, opening);
    const answer = lastAnswer(text);
    const trajectory = {
      questionId: question.id,
      dataset: question.dataset,
      question: question.question,
      gold: question.answers,
      rollout,
      ...(tree !== undefined && { branch: { tree, from: from?.ids.length ?? 0 } }),
      prompt,
      // Copies: the rollout may go on.
      ids: [...ids],
      mask: [...mask],
      logprobs: [...logprobs],
      searches: [...searches],
      ...ending,
      answer,
      correct: correctness(answer, question.answers),
      wellFormed: wellFormed(text),
      grounded: grounded(answer, shown),
      text: { prompt: promptText, response: response.map((segment) => segment.text) },
    };
    const reward = around.reward?.({ question, trajectory, text }) ?? trajectory.correct;
    if (!Number.isFinite(reward)) throw new RangeError(`question ${question.id}: its reward is ${reward}`);
    return { ...trajectory, reward };
  };
  const tellSpent = onSpent && ((count: number) => onSpent(count, () => record({ stop: 'no-answer' })));
  const keep = (invalidTurns: number) => {
    const { ids, mask, logprobs, shown } = conversation;
    prefixes.push({
      ids: [...ids],
      mask: [...mask],
      logprobs: [...logprobs],
      searches: [...searches],
      shown: [...shown],
      invalidTurns,
    });
  };
  try {
    const ending = await takeTurns(conversation, searches, environment, {
      signal,
      onEvent,
      onSpent: tellSpent,
      onTurn: onPrefixes && keep,
      invalidTurns: from?.invalidTurns,
    });
    onPrefixes?.(prefixes);
    return record(ending);
  } finally {
    conversation.release();
  }
}

/** What has been said and shown so far, token by token. */
class IdConversation implements Conversation {
  readonly ids: number[];
  readonly mask: (0 | 1)[];
  readonly logprobs: number[];
  /** Text of the passages that were shown, one entry an observation. */
  readonly shown: string[];
  readonly contextTokens: number;
  readonly shortestTurn: number;
  readonly opening: string;
  readonly #key: StreamKey;
  readonly #prompt: TokenIds;
  readonly #environment: Environment;
  readonly #onEvent: Listener | undefined;
  readonly #session = randomUUID();
  #policyTokens: number;

  constructor(
    key: StreamKey,
    prompt: TokenIds,
    environment: Environment,
    onEvent: Listener | undefined,
    from: Prefix | undefined,
  ) {
    this.ids = [...(from?.ids ?? [])];
    this.mask = [...(from?.mask ?? [])];
    this.logprobs = [...(from?.logprobs ?? [])];
    this.shown = [...(from?.shown ?? [])];
    this.#policyTokens = from === undefined ? 0 : policyTokenCount(from);
    this.#key = key;
    this.#prompt = prompt;
    this.#environment = environment;
    this.#onEvent = onEvent;
    this.contextTokens = Math.min(environment.limits.contextTokens, environment.policy.info.contextLength);
    const { tokenizer, template } = environment;
    this.shortestTurn = shortestTurn(tokenizer);
    this.opening = openingOf(template, tokenizer, tokenizer.decode(prompt.slice(-PROMPT_END)));
  }

  get contextLeft(): number {
    return this.contextTokens - this.#prompt.length - this.ids.length;
  }

  get responseLeft(): number {
    return this.#environment.limits.responseTokens - this.#policyTokens;
  }

  async write(maxTokens: number, signal: AbortSignal): Promise<string | null> {
    const { tokenizer, temperature } = this.#environment;
    const request: SampleRequest = {
      prompt: [...this.#prompt, ...this.ids],
      maxTokens,
      temperature,
      stop: turnEnds,
      stopTokens: tokenizer.endTokens,
      key: this.#key,
      offset: this.#policyTokens,
      session: this.#session,
    };
    const sample = await this.#sample(request, signal);
    if (sample.stop === 'context' && sample.ids.length === 0) return null;
    const fault = faultOf(sample);
    if (fault !== undefined) throw new Error(fault);
    this.#append(sample.ids, 1, sample.logprobs);
    this.#policyTokens += sample.ids.length;
    return tokenizer.decode(sample.ids);
  }

  show(reply: readonly Passage[] | 'invalid action'): boolean {
    const { tokenizer, template, limits } = this.#environment;
    const { ids, shown } =
      reply === 'invalid action'
        ? { ids: tokenizer.encode(template.invalidAction), shown: '' }
        : observe(tokenizer, template, reply, limits.observationTokens);
    if (ids.length >= this.contextLeft) return false;
    this.#append(ids, 0, []);
    this.shown.push(shown);
    return true;
  }

  release(): void {
    this.#environment.policy.release(this.#session);
  }

  async #sample(request: SampleRequest, signal: AbortSignal): Promise<Sample> {
    const { policy, tokenizer } = this.#environment;
    const onEvent = this.#onEvent;
    if (onEvent === undefined) return policy.sample(request, { signal });
    const tell = textTeller(tokenizer, (piece) => onEvent({ kind: 'text', piece }));
    const sample = await policy.sample(request, { signal, onTokens: (ids) => tell(ids, false) });
    tell(readTokens(sample), true);
    return sample;
  }

  #append(ids: TokenIds, author: 0 | 1, logprobs: readonly number[]): void {
    for (const [i, id] of ids.entries()) {
      this.ids.push(id);
      this.mask.push(author);
      // + 0 turns a certain token's −0 into 0, which JSON can hold.
      this.logprobs.push(Math.fround(logprobs[i] ?? 0) + 0);
    }
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
