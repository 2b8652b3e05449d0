/**
 * A template: every piece of text that the environment adds around what the policy writes. Replaceable by a file.
 * Placeholders are written {question}, {expert}, {passages}, {rank}, {title}, {text}.
 */
export interface Template {
  readonly name: string;
  /** The ordinary prompt. Must contain {question}. */
  readonly student: string;
  /** The privileged prompt. Must contain {question} and {expert}; the expert trajectory's token ids are put there as they are. */
  readonly teacher: string;
  /** True: the prompt is one user message in the model's own chat template (when it has one). */
  readonly chat: boolean;
  /** Around the passages of one search. Must contain {passages}. */
  readonly observation: string;
  /** One passage: {rank} (from 1), {title}, {text}. */
  readonly passage: string;
  /** Words of a passage's text that are shown at most. Absent: all. */
  readonly passageWords?: number;
  /** A passage that no longer fits is left out (the first one is cut). Absent: it is cut within its text. */
  readonly wholePassages?: true;
  /** Between passages. */
  readonly separator: string;
  /** In place of the passages when nothing was found. */
  readonly nothingFound: string;
  /** Environment text after a turn with neither a search nor an answer. */
  readonly invalidAction: string;
}
