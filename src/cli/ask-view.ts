/** What a person sees of a question being worked on: thinking, searches with the titles they found, the answer. */

import { type PartKind, TagReader } from '../protocol/tag-reader.ts';
import type { StopReason } from '../rollout/trajectory.ts';
import type { RolloutEvent } from '../rollout/turns.ts';
import type { LiveOutput } from './widgets/live-area.ts';
import { Paragraphs, type Style } from './widgets/paragraph.ts';

const labels: Record<PartKind, { readonly label: string; readonly style: Style }> = {
  think: { label: 'think', style: 'dim' },
  search: { label: 'search', style: 'cyan' },
  answer: { label: 'answer', style: ['bold', 'green'] },
  other: { label: '', style: 'dim' },
};

/** How a question ended. */
export interface AskEnding {
  readonly answer: string | null;
  readonly stop: StopReason;
  readonly searches: number;
  /** Null where the model does not count. */
  readonly tokens: number | null;
  readonly seconds: number;
  /** Null where no gold answers are known. */
  readonly gold?: readonly string[] | null;
  readonly exactMatch?: 0 | 1 | null;
  /** What a reader has to know beside. */
  readonly notes?: readonly string[];
}

export class AskView {
  readonly #paragraphs: Paragraphs;
  readonly #reader: TagReader;
  /** What the present paragraph holds; undefined when none is open. */
  #open: PartKind | 'reasoning' | undefined;

  constructor(output: LiveOutput, environment?: Readonly<Record<string, string | undefined>>) {
    this.#paragraphs = new Paragraphs(output, environment);
    this.#reader = new TagReader((kind, text) => this.#write(kind, text));
  }

  see(event: RolloutEvent): void {
    switch (event.kind) {
      case 'text':
        this.#reader.read(event.piece);
        return;
      case 'reasoning':
        this.#write('reasoning', event.piece);
        return;
      case 'search':
        this.#endTurn();
        return;
      case 'found':
        for (const [i, { title }] of event.search.passages.entries())
          this.#paragraphs.line(`${i + 1}. ${title === '' ? '(no title)' : title}`);
        if (event.search.passages.length === 0) this.#paragraphs.line('nothing found', 'dim');
        return;
      case 'invalid':
        this.#endTurn();
        this.#paragraphs.line('(no search and no answer: asked again)', 'yellow');
        return;
    }
  }

  /** The last lines. A failure is the caller's to report. */
  finish({ answer, stop, searches, tokens, seconds, gold, exactMatch, notes = [] }: AskEnding): void {
    this.#endTurn();
    if (answer === null) {
      this.#paragraphs.begin('answer', 'yellow');
      this.#paragraphs.add(`none (${reasons[stop]})`);
    }
    if (gold != null && exactMatch != null) {
      this.#paragraphs.begin(exactMatch === 1 ? 'right' : 'wrong', exactMatch === 1 ? 'green' : 'yellow');
      this.#paragraphs.add(`gold answer: ${gold.join(' | ')}`);
    }
    for (const note of notes) {
      this.#paragraphs.begin('note', 'yellow');
      this.#paragraphs.add(note);
    }
    const counted = [
      `${searches} ${searches === 1 ? 'search' : 'searches'}`,
      ...(tokens === null ? [] : [`${tokens.toLocaleString('en')} tokens`]),
      `${seconds.toFixed(1)} s`,
    ];
    this.#paragraphs.begin('', 'dim');
    this.#paragraphs.add(counted.join(', '));
    this.#paragraphs.end();
  }

  /** Ends the line that is being written, when nothing more comes. */
  stop(): void {
    this.#endTurn();
  }

  #write(kind: PartKind | 'reasoning', text: string): void {
    if (this.#open !== kind) {
      // Blanks between the parts are no part.
      if (text.trim() === '') return;
      this.#open = kind;
      const { label, style } = labels[kind === 'reasoning' ? 'think' : kind];
      this.#paragraphs.begin(label, style);
    }
    this.#paragraphs.add(this.#paragraphs.atStart ? text.trimStart() : text);
  }

  #endTurn(): void {
    this.#reader.end();
    this.#paragraphs.end();
    this.#open = undefined;
  }
}

const reasons: Record<StopReason, string> = {
  answered: 'the answer was empty',
  'no-answer': 'the last turn ended without one',
  'response-full': 'the limit of tokens was reached',
  'context-full': 'the context is full',
  'prompt-too-long': 'the question is too long',
  'search-failed': 'the search failed',
  'sample-failed': 'the model failed',
  deadline: 'it took too long',
  cancelled: 'stopped',
};
