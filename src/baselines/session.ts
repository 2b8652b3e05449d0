/**
 * Where a baseline works: it asks the model and searches here. The session keeps the limits and deadlines, derives a seed for
 * each call, and writes everything down. What fails outside of the model's words ends the attempt (`AttemptEnded`).
 */
import { adviceOf } from '../base/errors.ts';
import { streamKey } from '../base/random.ts';
import { type ChatMessage, PromptTooLong, type TextModel } from '../policy/text-model.ts';
import type { Segment } from '../protocol/authors.ts';
import { defuseByShape } from '../protocol/tags.ts';
import type { Hit, Passage, Retriever } from '../retrieval/retriever.ts';
import { type Outcome, withDeadline } from '../rollout/deadline.ts';
import type { StopReason } from '../rollout/trajectory.ts';
import type { Deadlines, RolloutLimits } from '../rollout/turns.ts';
import type { Attempt } from './attempt.ts';

/** What all attempts of an evaluation share. */
export interface BaselineSessionOptions {
  readonly model: TextModel;
  readonly retriever: Pick<Retriever, 'search'>;
  /** As for rollouts; `observationTokens` is counted as four characters a token, since only the model knows its tokens. */
  readonly limits: RolloutLimits;
  readonly deadlines: Deadlines;
  /** 0 = greedy. */
  readonly temperature: number;
  /** Every call's seed follows from it, the question's id and the call's number. */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

/** Ends an attempt early, with the reason that goes on record. */
export class AttemptEnded extends Error {
  override readonly name = 'AttemptEnded';
  readonly stop: StopReason;

  constructor(stop: StopReason, message: string) {
    super(message);
    this.stop = stop;
  }
}

interface AskOptions {
  /** The reply ends where one of these is complete, and includes it. */
  readonly stop?: readonly string[];
  /** Default: limits.turnTokens. */
  readonly maxTokens?: number;
}

export class BaselineSession {
  readonly limits: RolloutLimits;
  readonly #options: BaselineSessionOptions;
  readonly #key: string;
  readonly #searches: { query: string; hits: readonly Hit[] }[] = [];
  readonly #transcript: Segment[] = [];
  readonly #leftOut = new Set<string>();
  #calls = 0;
  #reasoningOnly = 0;
  #promptTokens: number | null = 0;
  #newTokens: number | null = 0;
  /** What the model has been told in this attempt; only what is new to it goes on record again. */
  #told: readonly string[] = [];

  /** @param key the question's id: names the seeds */
  constructor(options: BaselineSessionOptions, key: string) {
    this.limits = options.limits;
    this.#options = options;
    this.#key = key;
  }

  get searchesLeft(): number {
    return this.limits.searches - this.#searches.length;
  }

  /** One call of the model. A single text is one user message. */
  async ask(prompt: string | readonly ChatMessage[], { stop = [], maxTokens }: AskOptions = {}): Promise<string> {
    const { model, limits, deadlines, temperature, seed, signal } = this.#options;
    const messages: readonly ChatMessage[] = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
    const left = limits.responseTokens - (this.#newTokens ?? 0);
    if (left < 1) throw new AttemptEnded('response-full', `all ${limits.responseTokens} tokens are used up`);
    this.#recordPrompt(messages);
    const [word] = streamKey(seed, 'baseline', this.#key, this.#calls);
    this.#calls += 1;
    const asked = await withDeadline(deadlines.sample, signal, (waiting) =>
      model.complete(
        {
          prompt: messages,
          maxTokens: Math.min(maxTokens ?? limits.turnTokens, left),
          temperature,
          stop,
          // 31 bits: some servers keep seeds as signed 32-bit numbers.
          seed: word >>> 1,
        },
        waiting,
      ),
    );
    // What the baseline has gathered may fill the context; a first prompt that does not fit has measured nothing.
    const full = this.#calls === 1 ? 'prompt-too-long' : 'context-full';
    if (asked.kind === 'failed' && asked.error instanceof PromptTooLong)
      throw new AttemptEnded(full, adviceOf(asked.error));
    if (asked.kind !== 'done') throw ended(asked, 'sample-failed', 'the model', deadlines.sample);
    const { text, reasoning, finish, promptTokens, newTokens, leftOut = [] } = asked.value;
    for (const field of leftOut) this.#leftOut.add(field);
    if (text === '' && finish === 'length' && reasoning === undefined)
      throw new AttemptEnded(full, 'the prompt leaves no room for a reply');
    if (text.trim() === '' && reasoning !== undefined) this.#reasoningOnly += 1;
    this.#promptTokens = sum(this.#promptTokens, promptTokens);
    this.#newTokens = sum(this.#newTokens, newTokens);
    this.#transcript.push({ author: 'policy', text });
    this.#told = [...this.#told, text];
    return text;
  }

  /** One search, best passage first. The caller looks at `searchesLeft` before. */
  async search(query: string): Promise<readonly Passage[]> {
    const { retriever, limits, deadlines, signal } = this.#options;
    if (this.searchesLeft < 1) throw new Error('a baseline searched more often than its limit allows');
    const searched = await withDeadline(deadlines.search, signal, (waiting) =>
      retriever.search([query], limits.passages, waiting),
    );
    if (searched.kind !== 'done') throw ended(searched, 'search-failed', 'the retriever', deadlines.search);
    const hits = searched.value[0];
    if (hits === undefined) throw new AttemptEnded('search-failed', 'the retriever returned no list for the query');
    this.#searches.push({ query, hits });
    return hits.map(({ passage }) => ({
      ...passage,
      title: this.outside(passage.title),
      text: this.outside(passage.text),
    }));
  }

  /** Text of others as the model may be shown it; tags are defused where it is put into a prompt. */
  outside(text: string): string {
    return this.#options.model.knowsControlTokens ? text : defuseByShape(text);
  }

  /** Everything but the outcome. */
  record(): Omit<Attempt, 'answer' | 'stop' | 'wellFormed'> {
    return {
      searches: this.#searches,
      transcript: this.#transcript,
      calls: this.#calls,
      promptTokens: this.#promptTokens,
      newTokens: this.#newTokens,
      ...(this.#reasoningOnly > 0 && { reasoningOnly: this.#reasoningOnly }),
      ...(this.#leftOut.size > 0 && { leftOut: [...this.#leftOut].sort() }),
    };
  }

  #recordPrompt(messages: readonly ChatMessage[]): void {
    const fresh = messages.filter(({ content }) => !this.#told.includes(content));
    for (const { content } of fresh) this.#transcript.push({ author: 'environment', text: content });
    this.#told = [...this.#told, ...fresh.map(({ content }) => content)];
  }
}

const sum = (total: number | null, more: number | null) => (total === null || more === null ? null : total + more);

/** The ending of a wait that did not bring what was waited for. */
function ended(
  outcome: Exclude<Outcome<unknown>, { kind: 'done' }>,
  stop: StopReason,
  what: string,
  seconds: number,
): AttemptEnded {
  switch (outcome.kind) {
    case 'failed':
      return new AttemptEnded(stop, adviceOf(outcome.error));
    case 'deadline':
      return new AttemptEnded('deadline', `no answer from ${what} within ${seconds} s`);
    case 'cancelled':
      return new AttemptEnded('cancelled', `cancelled while waiting for ${what}`);
  }
}
