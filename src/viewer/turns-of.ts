/** A response as turns to read: what the policy wrote, and what each search showed, passage by passage. */
import type { Template } from '../protocol/template.ts';
import { builtInTemplates } from '../protocol/templates.ts';
import type { SearchRecord } from '../rollout/trajectory.ts';
import type { Passage, Turn } from './wire.ts';

export interface AuthoredText {
  readonly author: 'policy' | 'environment';
  readonly text: string;
  readonly tokens: Turn['tokens'];
}

/** Searches are told by the policy's turns; in files of schema 1, which do not say which turn searched, by their order. */
export function turnsOfResponse(
  response: readonly AuthoredText[],
  searches: readonly SearchRecord[],
  template: Template | undefined,
): Turn[] {
  const templates = [...(template ? [template] : []), ...builtInTemplates];
  const left = [...searches];
  let policyTurn = -1;
  return response.map(({ author, text, tokens }, i) => {
    if (author === 'policy') {
      policyTurn += 1;
      return { author, text, tokens, search: null };
    }
    const wrote = response[i - 1]?.text ?? '';
    const isAnswer = left[0]?.turn === undefined ? wrote.includes('</search>') : left[0].turn === policyTurn;
    const search = isAnswer ? left.shift() : undefined;
    if (search === undefined) return { author, text, tokens, search: null };
    return {
      author,
      text,
      tokens,
      search: { query: search.query, passages: splitPassages(text, search.passages, templates) },
    };
  });
}

/** The text of each passage as it was shown, found by the headings that a template gives them; null where that cannot be told. */
export function splitPassages(
  text: string,
  passages: SearchRecord['passages'],
  templates: readonly Pick<Template, 'passage' | 'observation'>[],
): Passage[] {
  for (const { passage, observation } of templates) {
    const [heading] = passage.split('{text}');
    if (!heading!.includes('{title}')) continue;
    const starts: { readonly from: number; readonly body: number }[] = [];
    let from = 0;
    for (const [i, { title }] of passages.entries()) {
      const shown = heading!
        .replace('{rank}', String(i + 1))
        .replace('{title}', title)
        .trim();
      const at = text.indexOf(shown, from);
      if (at < 0) break;
      from = at + shown.length;
      starts.push({ from: at, body: from });
    }
    if (starts.length === 0) continue;
    const close = observation.split('{passages}')[1]!.trim();
    const end = close === '' ? text.length : text.lastIndexOf(close);
    return passages.map((one, i) => {
      const place = starts[i];
      // A limit on tokens may have cut it away.
      return {
        ...one,
        text: place ? text.slice(place.body, starts[i + 1]?.from ?? (end < 0 ? text.length : end)).trim() : '',
      };
    });
  }
  return passages.map((one) => ({ ...one, text: null }));
}
