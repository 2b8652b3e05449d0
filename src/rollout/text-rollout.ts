/**
 * One rollout on text: the same loop (turns.ts) over any model that is asked for text.
 *
 * A raw continuation goes on with the very text, as rollouts on ids do. A chat cannot: there the model's turns are
 * assistant messages, and the environment's replies (information block, message about an invalid action) user messages
 * without the blank lines around them. Which of both it was is on the record.
 *
 * Tokens are as the model counts them; where it does not, and for observations, four characters count as one.
 */
import type { Question } from '../base/question.ts';
import { streamKey } from '../base/random.ts';
import { type ChatTemplate, inTemplate } from '../checkpoint/served-template.ts';
import { type ChatMessage, PromptTooLong, type TextModel, type TextReply } from '../policy/text-model.ts';
import type { Segment } from '../protocol/authors.ts';
import { observe } from '../protocol/observation.ts';
import { asBegun, openingOf, withOpening } from '../protocol/opening.ts';
import { lastAnswer, wellFormed } from '../protocol/parser.ts';
import { studentMessage } from '../protocol/prompts.ts';
import { defuseByShape, turnEnds } from '../protocol/tags.ts';
import type { Template } from '../protocol/template.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { correctness, grounded } from './reward.ts';
import { SHORTEST_TURN } from './room.ts';
import type { SearchRecord, Trajectory } from './trajectory.ts';
import { type Conversation, type RolloutEvent, type TurnEnvironment, takeTurns } from './turns.ts';

const CHARACTERS_PER_TOKEN = 4;

export interface TextSurroundings extends TurnEnvironment {
  readonly model: TextModel;
  readonly template: Template;
  /** chat: messages for the server's chat template. raw: the prompt is a text that is continued. */
  readonly mode: 'chat' | 'raw';
  /** For raw continuations of models that were trained on chats: puts the prompt into the model's own chat template. */
  readonly chatTemplate?: ChatTemplate | undefined;
  /** 0 = greedy. */
  readonly temperature: number;
  /** The seed of turn n of a question's rollout follows from this seed, the question's id, the rollout and n. */
  readonly seed: number;
}

/** A stretch of text by one author. */
export interface TextSegment extends Segment {
  /** As counted by the model; null for the environment's, and where the model does not count. */
  readonly tokens: number | null;
  /** Until the model had written it, or the search was done. */
  readonly seconds: number;
  /** Thinking that the server keeps apart; see `TextReply`. */
  readonly reasoning?: string;
}

export interface TextTrajectory
  extends Pick<
    Trajectory,
    | 'questionId'
    | 'dataset'
    | 'rollout'
    | 'searches'
    | 'stop'
    | 'failure'
    | 'answer'
    | 'correct'
    | 'wellFormed'
    | 'grounded'
  > {
  readonly mode: TextSurroundings['mode'];
  readonly prompt: string;
  /** Everything after the prompt, in order. */
  readonly segments: readonly TextSegment[];
  /** Summed over the turns, as counted by the model; null when it does not count. A prompt holds all turns before it. */
  readonly promptTokens: number | null;
  readonly newTokens: number | null;
  /** Turns of which the server gave the thinking alone; absent when there were none. */
  readonly reasoningOnly?: number;
  /** See `TextReply`. */
  readonly leftOut?: readonly string[];
}

export interface TextTask {
  readonly question: Question;
  /** Index among the rollouts of this question. */
  readonly rollout: number;
  /** Of a chat: what was said before the question. */
  readonly earlier?: readonly ChatMessage[];
}

/** Runs one rollout. Aborting the signal ends it as 'cancelled'; the promise rejects for errors in this program only. */
export async function rollOutText(
  { question, rollout, earlier = [] }: TextTask,
  environment: TextSurroundings,
  signal?: AbortSignal,
  onEvent?: (event: RolloutEvent) => void,
): Promise<TextTrajectory> {
  const { template, mode, chatTemplate, seed } = environment;
  const message = studentMessage(template, outside(question.question, environment.model));
  const prompt = mode === 'raw' && template.chat ? (inTemplate(message, chatTemplate) ?? message) : message;
  const seedOf = (turn: number) => streamKey(seed, 'text-rollout', question.id, rollout, turn)[0];
  // A chat's prompt is put into the server's own template, which is not at hand.
  const opening = mode === 'raw' ? openingOf(template, chatTemplate, prompt) : '';
  const conversation = new TextConversation(prompt, opening, earlier, environment, seedOf, onEvent);
  const searches: SearchRecord[] = [];
  const ending = await takeTurns(conversation, searches, environment, { signal, onEvent });
  const { segments, shown, promptTokens, newTokens, leftOut } = conversation;
  const reasoningOnly = segments.filter(({ text, reasoning }) => reasoning !== undefined && text.trim() === '').length;
  const judged = withOpening(
    mode === 'raw' ? segments : segments.map((each) => ({ author: each.author, text: asBegun(each.text) })),
    opening,
  );
  const answer = lastAnswer(judged);
  return {
    questionId: question.id,
    dataset: question.dataset,
    rollout,
    mode,
    prompt,
    segments,
    searches,
    ...ending,
    answer,
    correct: correctness(answer, question.answers),
    wellFormed: wellFormed(judged),
    grounded: grounded(answer, shown),
    promptTokens,
    newTokens,
    ...(reasoningOnly > 0 && { reasoningOnly }),
    ...(leftOut.size > 0 && { leftOut: [...leftOut].sort() }),
  };
}

class TextConversation implements Conversation {
  readonly segments: TextSegment[] = [];
  /** Text of the passages that were shown, one entry an observation. */
  readonly shown: string[] = [];
  /** Fields of requests that the model's server refuses. */
  readonly leftOut = new Set<string>();
  promptTokens: number | null = 0;
  newTokens: number | null = 0;
  responseLeft: number;
  contextLeft: number;
  readonly contextTokens: number;
  readonly shortestTurn = estimate(SHORTEST_TURN);
  readonly opening: string;
  readonly #prompt: string;
  readonly #earlier: readonly ChatMessage[];
  readonly #environment: TextSurroundings;
  readonly #seedOf: (turn: number) => number;
  readonly #onEvent: ((event: RolloutEvent) => void) | undefined;
  #turns = 0;
  /** When the last segment was complete. */
  #since = performance.now();

  constructor(
    prompt: string,
    opening: string,
    earlier: readonly ChatMessage[],
    environment: TextSurroundings,
    seedOf: (turn: number) => number,
    onEvent: ((event: RolloutEvent) => void) | undefined,
  ) {
    this.opening = opening;
    this.#earlier = earlier;
    this.#prompt = prompt;
    this.#environment = environment;
    this.#seedOf = seedOf;
    this.#onEvent = onEvent;
    this.responseLeft = environment.limits.responseTokens;
    this.contextTokens = environment.limits.contextTokens;
    this.contextLeft = this.contextTokens - estimate(earlier.map(({ content }) => content).join('') + prompt);
  }

  async write(maxTokens: number, signal: AbortSignal): Promise<string | null> {
    const { model, mode, temperature, limits } = this.#environment;
    const onEvent = this.#onEvent;
    const asked = model.complete(
      {
        prompt: mode === 'raw' ? this.#text() : this.#messages(),
        maxTokens,
        temperature,
        stop: turnEnds,
        // 31 bits: some servers keep seeds as signed 32-bit numbers.
        seed: this.#seedOf(this.#turns++) >>> 1,
        ...(onEvent && {
          onText: (piece) => onEvent({ kind: 'text', piece }),
          onReasoning: (piece) => onEvent({ kind: 'reasoning', piece }),
        }),
      },
      signal,
    );
    // Once something has been said, it is the conversation that has filled the context, not the question.
    const reply: TextReply | null = await asked.catch((error: unknown) => {
      if (error instanceof PromptTooLong && this.segments.length > 0) return null;
      throw error;
    });
    if (reply === null) return null;
    const { text, reasoning, finish, promptTokens, newTokens, leftOut = [] } = reply;
    for (const field of leftOut) this.leftOut.add(field);
    if (finish === 'length' && text === '' && reasoning === undefined) return null;

    const written = newTokens ?? estimate(text + (reasoning ?? ''));
    const before = promptTokens ?? limits.contextTokens - this.contextLeft;
    this.responseLeft -= written;
    this.contextLeft = limits.contextTokens - before - written;
    // Cut short though more was allowed: the model's own context is full.
    if (finish === 'length' && newTokens !== null && newTokens < maxTokens) this.contextLeft = 0;
    this.promptTokens = sum(this.promptTokens, promptTokens);
    this.newTokens = sum(this.newTokens, newTokens);
    this.#add({ author: 'policy', text, tokens: newTokens, ...(reasoning !== undefined && { reasoning }) });
    return text;
  }

  show(reply: readonly Passage[] | 'invalid action'): boolean {
    const { template, mode, limits } = this.#environment;
    const { ids, shown } =
      reply === 'invalid action'
        ? { ids: characters.encode(template.invalidAction), shown: '' }
        : observe(characters, template, reply.map(this.#harmless), CHARACTERS_PER_TOKEN * limits.observationTokens);
    const text = mode === 'raw' ? characters.decode(ids) : characters.decode(ids).trim();
    if (estimate(text) >= this.contextLeft) return false;
    this.contextLeft -= estimate(text);
    this.shown.push(shown);
    this.#add({ author: 'environment', text, tokens: null });
    return true;
  }

  #harmless = (passage: Passage): Passage => {
    const { model } = this.#environment;
    return { ...passage, title: outside(passage.title, model), text: outside(passage.text, model) };
  };

  #add(segment: Omit<TextSegment, 'seconds'>): void {
    const now = performance.now();
    this.segments.push({ ...segment, seconds: (now - this.#since) / 1000 });
    this.#since = now;
  }

  #text(): string {
    return this.#prompt + this.segments.map(({ text }) => text).join('');
  }

  #messages(): ChatMessage[] {
    return [
      ...this.#earlier,
      { role: 'user', content: this.#prompt },
      ...this.segments.map(
        ({ author, text }): ChatMessage => ({ role: author === 'policy' ? 'assistant' : 'user', content: text }),
      ),
    ];
  }
}

/** Text from outside as this model may be shown it; tags are defused by template and observation. */
function outside(text: string, { knowsControlTokens }: TextModel): string {
  return knowsControlTokens ? text : defuseByShape(text);
}

/** Characters in the place of tokens, for observations of a model whose tokenizer is not at hand. */
const characters = {
  encode: (text: string) => Array.from(text, (character) => character.codePointAt(0)!),
  decode: (ids: readonly number[]) => ids.map((id) => String.fromCodePoint(id)).join(''),
};

const estimate = (text: string) => Math.ceil(text.length / CHARACTERS_PER_TOKEN);

const sum = (total: number | null, more: number | null) => (total === null || more === null ? null : total + more);
