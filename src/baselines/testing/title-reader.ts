/**
 * A script for the scripted server that plays every baseline's part without knowing English: it searches the question once
 * and answers with the title of the first passage that it is shown. It moves the whole machinery; its scores mean nothing.
 */
import type { Asked } from '../../engines/openai/testing/scripted-server.ts';

/** What stands behind the last "Question:". */
function questionIn(prompt: string): string {
  return [...prompt.matchAll(/Question: ([^\n]+)/g)].at(-1)?.[1]?.trim() ?? 'nothing';
}

function firstTitle(prompt: string): string | undefined {
  return /Doc 1\(Title: (.*?)\) /.exec(prompt)?.[1];
}

export function titleReader({ messages, prompt }: Asked): string {
  const title = firstTitle(prompt);
  const last = messages.at(-1)?.content ?? prompt;
  // Search-o1's reader of documents, and the reasoner that gets its words.
  if (prompt.startsWith('Somebody reasons')) return title === undefined ? 'Nothing.' : `It is about ${title} here.`;
  const [, told] = /It is about (.*) here\./.exec(last) ?? [];
  if (told !== undefined) return `So it is. <answer> ${told} </answer>`;
  if (prompt.includes('Write the next sentence of the reasoning'))
    return prompt.includes('(none yet)') ? `The first document is ${title}.` : `So the answer is: ${title}`;
  if (prompt.includes('Finish[the answer alone]'))
    return prompt.includes('\nObservation 1:')
      ? ` I have read it.\nAction: Finish[${title ?? 'unknown'}]`
      : ` I have to look it up.\nAction: Search[${questionIn(prompt).replaceAll(/[[\]]/g, '')}]`;
  if (prompt.includes('<search>'))
    // The first message only tells of such blocks; a raw text has no messages, but shows what was found.
    return title !== undefined || (messages.length > 1 && last.includes('<information>'))
      ? `<think> read </think> <answer> ${title ?? 'unknown'} </answer>`
      : `<think> look </think> <search> ${questionIn(prompt)} </search>`;
  if (prompt.includes('Think step by step')) return 'I do not know. So the answer is: unknown';
  return title ?? 'unknown';
}
