/**
 * The agent's loop: the policy writes a turn, the environment answers it, until there is an answer or a limit is reached.
 *
 *     prompt ─► turn ─► answer          ─► the end
 *                ▲  └─► search          ─► observation ─┐
 *                │  └─► neither of both ─► message ─────┤
 *                └──────────────────────────────────────┘
 *
 * What a conversation is made of (token ids: rollout.ts, text: text-rollout.ts) is behind `Conversation`.
 * What fails outside of the policy (engine, retriever, a deadline) is the rollout's stop reason and is never thrown.
 */
import { adviceOf } from '../base/errors.ts';
import { parseTurn } from '../protocol/parser.ts';
import type { Passage, Retriever } from '../retrieval/retriever.ts';
import { type Outcome, withDeadline } from './deadline.ts';
import type { SearchRecord, StopReason } from './trajectory.ts';

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

/** What has been said so far, and how to go on. Prompt and response are the conversation's own. */
export interface Conversation {
  /** Tokens of prompt and response together that the context holds. */
  readonly contextTokens: number;
  /** Tokens of the shortest turn that answers: with less room behind the prompt the question cannot be asked. */
  readonly shortestTurn: number;
  /** What the prompt has begun of the first turn (opening.ts), or ''. */
  readonly opening: string;
  /** Tokens that still fit into the context; below 1 when it is full. */
  readonly contextLeft: number;
  /** Tokens that the policy may still write in this rollout. */
  readonly responseLeft: number;
  /** The policy's next turn, of at most so many tokens, as text; null when the context has no room for a single one. */
  write(maxTokens: number, signal: AbortSignal): Promise<string | null>;
  /** Shows the passages of a search, or says that a turn had no action. False when it does not fit with a token behind it; then nothing is shown. */
  show(reply: readonly Passage[] | 'invalid action'): boolean;
}

/** What somebody who follows a rollout is told, as it happens. */
export type RolloutEvent =
  /**
   * The policy's text, with what the prompt had begun of it, and thinking that a server keeps apart from it; joined, the pieces
   * are the whole.
   */
  | { readonly kind: 'text' | 'reasoning'; readonly piece: string }
  | { readonly kind: 'search'; readonly query: string }
  | { readonly kind: 'found'; readonly search: SearchRecord }
  | { readonly kind: 'invalid' };

export interface Ending {
  readonly stop: StopReason;
  readonly failure?: string;
}

export interface TurnEnvironment {
  readonly retriever: Pick<Retriever, 'search'>;
  readonly limits: RolloutLimits;
  readonly deadlines: Deadlines;
}

/** How one run of the loop is begun, followed and stopped. */
export interface Course {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: RolloutEvent) => void) | undefined;
  /** Told where a rollout that may search no more than so often ends without an answer. */
  readonly onSpent?: ((searches: number) => void) | undefined;
  /** Told before each turn but the first: how many turns there were without an action. */
  readonly onTurn?: ((invalidTurns: number) => void) | undefined;
  /** A conversation that goes on: its turns without an action; the others have searched. Default: it begins. */
  readonly invalidTurns?: number | undefined;
}

/** Runs the loop to its end; executed searches are added to `searches`, those of before, as they happen. */
export async function takeTurns(
  conversation: Conversation,
  searches: SearchRecord[],
  { retriever, limits, deadlines }: TurnEnvironment,
  { signal, onEvent, onSpent, onTurn, invalidTurns: before = 0 }: Course = {},
): Promise<Ending> {
  let invalidTurns = before;
  const firstTurn = searches.length + before;

  const { contextLeft: room, contextTokens, shortestTurn, opening } = conversation;
  const tooLong: Ending = {
    stop: 'prompt-too-long',
    failure: `the prompt of ${contextTokens - room} tokens leaves no room for a turn in a context of ${contextTokens}`,
  };
  if (firstTurn === 0) {
    if (room < shortestTurn) return tooLong;
    if (opening !== '') onEvent?.({ kind: 'text', piece: opening });
  }

  for (let turn = firstTurn; ; turn++) {
    if (turn > firstTurn) onTurn?.(invalidTurns);
    if (conversation.contextLeft < 1) return { stop: 'context-full' };
    const tokens = Math.min(limits.turnTokens, conversation.responseLeft, conversation.contextLeft);
    const written = await withDeadline(deadlines.sample, signal, (waiting) => conversation.write(tokens, waiting));
    if (written.kind !== 'done') return failed(written, 'sample-failed', 'sample', deadlines.sample);
    if (written.value === null) return turn === 0 ? tooLong : { stop: 'context-full' };

    const action = parseTurn(turn === 0 ? opening + written.value : written.value);
    if (action.kind === 'answer') return { stop: 'answered' };
    // Any other turn needs an environment's reply and a further turn.
    if (conversation.contextLeft < 1) return { stop: 'context-full' };
    if (conversation.responseLeft < 1) return { stop: 'response-full' };
    onSpent?.(searches.length);
    if (searches.length >= limits.searches) return { stop: 'no-answer' };

    if (action.kind === 'invalid') {
      invalidTurns += 1;
      if (invalidTurns > limits.invalidTurns) return { stop: 'no-answer' };
      onEvent?.({ kind: 'invalid' });
      if (!conversation.show('invalid action')) return { stop: 'context-full' };
      continue;
    }
    onEvent?.({ kind: 'search', query: action.query });
    const searched = await withDeadline(deadlines.search, signal, (waiting) =>
      retriever.search([action.query], limits.passages, waiting),
    );
    if (searched.kind !== 'done') return failed(searched, 'search-failed', 'search', deadlines.search);
    const hits = searched.value[0];
    if (hits === undefined) return { stop: 'search-failed', failure: 'the retriever returned no list for the query' };
    const search: SearchRecord = {
      query: action.query,
      turn,
      passages: hits.map(({ passage, score }) => ({ id: passage.id, title: passage.title, score })),
    };
    searches.push(search);
    onEvent?.({ kind: 'found', search });
    // When it does not fit, the question would have to be dropped from the context.
    if (!conversation.show(hits.map((hit) => hit.passage))) return { stop: 'context-full' };
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
      return { stop, failure: adviceOf(outcome.error) };
    case 'deadline':
      return { stop: 'deadline', failure: `no answer from ${what} within ${seconds} s` };
    case 'cancelled':
      return { stop: 'cancelled', failure: `the run was cancelled while waiting for ${what}` };
  }
}
