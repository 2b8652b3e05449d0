/** The tags of the agent's language, and how text from outside is kept from speaking it. */

export type TagName = 'think' | 'search' | 'information' | 'answer';

/** Any opening or closing tag of the language. */
export const anyTag = /<\/?(?:think|search|information|answer)>/;

/** A turn ends where one of these is completed. */
export const turnEnds: readonly string[] = ['</search>', '</answer>'];

/**
 * Makes text from outside (questions, titles, passages) harmless: a space is put behind each "<" that begins something
 * shaped like a tag or a special token ("</answer>", "<|im_end|>"), so that no tokenizer takes it for one and no prompt
 * or block can be closed from within. "Is <b> bold?" becomes "Is < b> bold?"; "a < b" and "x<5 ?" stay as they are.
 *
 * A "<" whose unbroken run reaches the end of the text counts too, since what follows in the template could complete it.
 */
export function defuse(text: string): string {
  return text.replace(/<(?=[^\s<>]*(?:>|$))/g, '< ');
}

/**
 * Control tokens of published models that have no angle brackets, by their shapes: "[INST]", "[/TOOL_CALLS]", "[gMASK]", "[|user|]",
 * ">>QUESTION<<", "]~b]".
 */
const squareTokens =
  /\[(?=\/?[A-Z][A-Z0-9_]+\]|[a-z]+MASK\]|\|[^\s|[\]]*\|\])|>(?=>[A-Z_]+<<)|\](?=~!?[a-z][[\]])|\[(?=[a-z]~\[)/g;

/**
 * Makes text from outside harmless for a model whose tokenizer is not at hand: as `defuse`, and for what else published models take
 * for control tokens. "[CITATION]" becomes "[ CITATION]" too: better so than a turn that ends where a passage says so.
 */
export function defuseByShape(text: string): string {
  return defuse(text.replace(squareTokens, '$& '));
}
