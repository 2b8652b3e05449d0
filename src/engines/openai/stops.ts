/** Stop strings: servers drop the one that they met, and not all of them say which it was. */

/**
 * The stop string that a server dropped from a reply's end, or undefined when the model ended by itself.
 *
 * vLLM (`stop_reason`) and SGLang (`matched_stop`) say it: the string, or a token id or null for the model's own end.
 * Others (llama.cpp, Ollama, LM Studio) say nothing. Then a closing tag is taken to have been met when its opening tag
 * stands open, the last one opened first; so a model that ends by itself within such a tag counts as having closed it.
 * A stop string that is no closing tag stays off.
 *
 * @param told what the server said; undefined when it has no such field
 */
export function droppedStop(
  text: string,
  stop: readonly string[],
  told: string | number | null | undefined,
): string | undefined {
  if (told !== undefined) return stop.find((string) => string === told);
  let [last, lastOpened]: [string | undefined, number] = [undefined, -1];
  for (const string of stop) {
    const [, name] = /^<\/([^<>\s]+)>$/.exec(string) ?? [];
    const opened = name === undefined ? -1 : text.lastIndexOf(`<${name}>`);
    if (opened > lastOpened) [last, lastOpened] = [string, opened];
  }
  return last;
}
