/** What a reader has to know of a served model's replies beside the scores. */
import type { ScoredAnswer } from './answer.ts';

/** @param reasoningOnly replies that held the model's thinking alone */
export function notesOf(reasoningOnly = 0, leftOut: readonly string[] = []): string[] {
  return [
    ...(reasoningOnly === 0
      ? []
      : [
          `${reasoningOnly} ${reasoningOnly === 1 ? 'reply' : 'replies'} held the model's thinking alone, which is no answer: ` +
            'allow more with --turn-tokens, or switch its thinking or the server’s reasoning parser off.',
        ]),
    ...(leftOut.length === 0 ? [] : [`The server refuses ${leftOut.join(', ')}, and was asked without.`]),
  ];
}

export function notesOfAll(answers: Iterable<ScoredAnswer>): string[] {
  let reasoningOnly = 0;
  const leftOut = new Set<string>();
  for (const answer of answers) {
    reasoningOnly += answer.reasoningOnly ?? 0;
    for (const field of answer.leftOut ?? []) leftOut.add(field);
  }
  return notesOf(reasoningOnly, [...leftOut].sort());
}
