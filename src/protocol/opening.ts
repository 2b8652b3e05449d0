/**
 * What a prompt has begun of the policy's first turn. Chat templates of reasoning models end in "<think>\n": the policy goes on
 * from there, and what stands open counts as written by it, wherever a turn's form or action is read.
 */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Segment } from './authors.ts';
import type { Template } from './template.ts';

const tags = /<\/?(?:think|search|information|answer)>/g;
/** Stands for a message in a chat template, and occurs in none. */
const MARK = '\uE000';

/**
 * The text from an opening tag to the prompt's end, or ''.
 *
 * In a chat that is all that the chat template writes behind the message. Without one the prompt is the environment's text to its
 * end, which may speak of tags: only a tag that ends it stands open.
 * @param chat the model's chat template, if the prompt was put into it
 */
export function openingOf(
  template: Pick<Template, 'chat'>,
  chat: Pick<Tokenizer, 'chat'> | undefined,
  prompt: string,
): string {
  const rendered = template.chat ? chat?.chat(MARK) : undefined;
  if (rendered === undefined) return /<(?:think|search|answer)>\s*$/.exec(prompt)?.[0] ?? '';
  const behind = rendered.slice(rendered.lastIndexOf(MARK) + MARK.length);
  const last = [...behind.matchAll(tags)].at(-1);
  return last === undefined || /^<\/|^<information>/.test(last[0]) ? '' : behind.slice(last.index);
}

/** A response as it is judged: its first turn with what the prompt had begun of it. */
export function withOpening(response: readonly Segment[], opening: string): readonly Segment[] {
  const [first, ...rest] = response;
  if (opening === '' || first?.author !== 'policy') return response;
  return [{ ...first, text: opening + first.text }, ...rest];
}

/**
 * A turn of a chat whose template is the server's: where it closes a thought that it has not opened, the server's template has
 * opened it.
 */
export function asBegun(turn: string): string {
  return turn.match(tags)?.[0] === '</think>' ? `<think>${turn}` : turn;
}
