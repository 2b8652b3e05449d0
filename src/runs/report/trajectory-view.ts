/** One trajectory to read: who wrote what, searches and answer marked, and what became of it. */
import { stretches } from '../../protocol/authors.ts';
import { policyTokenCount, type Trajectory } from '../../rollout/trajectory.ts';
import { type Decoder, decodeAfter } from './decode.ts';
import { type Html, html } from './html.ts';

export function trajectoryView(
  title: string,
  trajectory: Trajectory,
  tokenizer: Decoder,
  shown: 'open' | 'folded' = 'open',
): Html {
  const { searches, correct, reward, stop, failure, answer, wellFormed, grounded } = trajectory;
  const verdict = correct === 1 ? html`<span class="good">right</span>` : html`<span class="bad">wrong</span>`;
  const facts = [
    answer === null ? 'no answer' : `answer “${answer.trim()}”`,
    `${searches.length} ${searches.length === 1 ? 'search' : 'searches'}`,
    `${policyTokenCount(trajectory)} policy tokens`,
    `ended: ${stop}${failure === undefined ? '' : ` (${failure})`}`,
    wellFormed ? 'well formed' : 'not well formed',
    // Of a training round whose reward is more than exact match.
    ...(reward === correct ? [] : [`reward ${Number(reward.toFixed(3))}`]),
    ...(grounded === null ? [] : [grounded ? 'its answer stands in a passage' : 'its answer stands in no passage']),
  ];
  return html`<details${shown === 'open' ? html` open` : null}><summary><b>${title}</b> ${verdict} <span class="facts">${facts.join(' · ')}</span></summary>
<div class="transcript"><span class="environment">${tokenizer.decode(trajectory.prompt)}</span>${stretches(
    trajectory.mask,
  ).map(({ author, start, end }) => {
    const before = start === 0 ? trajectory.prompt.at(-1) : trajectory.ids[start - 1];
    const text = decodeAfter(tokenizer, before, trajectory.ids.slice(start, end));
    return html`<span class="${author}" title="${author}, ${end - start} tokens">${author === 'policy' ? marked(text) : text}</span>`;
  })}</div>
${searches.length > 0 && searchList(trajectory)}</details>`;
}

const ACTIONS = /(<(search|answer|think)>[\s\S]*?<\/\2>)/;

/** What the policy wrote, with its thoughts, searches and answers marked. */
function marked(text: string): Html[] {
  const out: Html[] = [];
  let rest = text;
  for (let match = ACTIONS.exec(rest); match !== null; match = ACTIONS.exec(rest)) {
    out.push(html`${rest.slice(0, match.index)}<mark class="${match[2]}">${match[1]}</mark>`);
    rest = rest.slice(match.index + match[0].length);
  }
  return [...out, html`${rest}`];
}

function searchList({ searches }: Trajectory): Html {
  return html`<ol class="searches">${searches.map(
    ({ query, passages }) =>
      html`<li>“${query.trim()}” <span class="soft">→ ${passages.length === 0 ? 'nothing found' : passages.map(({ title, score }) => `${title} (${score.toFixed(1)})`).join(' · ')}</span></li>`,
  )}</ol>`;
}
