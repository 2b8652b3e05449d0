/** Forest plot: the difference of every arm to the reference with its interval, drawn and as numbers; small dots are single seeds. */
import { niceTicks, scale, tickText } from '../../runs/report/chart.ts';
import { html } from '../../runs/report/html.ts';
import type { Difference } from '../schema.ts';
import { signed } from '../text.ts';
import type { Panel } from './panel.ts';
import { labels } from './stages.ts';

/** Of the page; a picture of many panels has narrower ones. */
const WIDTH = 520;
const TOP = 8;
const ROW = 22;
/** For the arms' names at the left, and for the numbers at the right. */
const SIDES = { left: 104, right: 166 };
/** SVG units a character at most, of the usual fonts. */
const CHARACTER = 6.2;

/** Of one measure in one mode; undefined without differences. */
export function forestPlot(title: string, differences: readonly Difference[], width = WIDTH): Panel | undefined {
  const [first] = differences;
  if (first === undefined) return undefined;
  const { measure, reference } = first;
  const values = differences.flatMap(({ low, high, bySeed }) => [low, high, ...bySeed.map(({ value }) => value)]);
  const ticks = niceTicks(Math.min(0, ...values), Math.max(0, ...values), 4);
  const x = scale([ticks[0]!, ticks.at(-1)!], SIDES.left, width - SIDES.right);
  const bottom = TOP + ROW * differences.length;
  const text = (value: number) => signed(value, labels[measure].decimals);
  const rows = differences.map(({ arm, estimate, low, high, bySeed }, i) => {
    const y = TOP + ROW * (i + 0.5);
    const colour = low > 0 || high < 0 ? 's1' : 'unsure';
    return html`<g><title>${arm}: ${bySeed.map(({ seed, value }) => `${seed} ${text(value)}`).join(', ')}</title><text x="${SIDES.left - 8}" y="${y}" dy=".32em" text-anchor="end">${arm}</text>
${bySeed.map(({ value }) => html`<circle class="seed" cx="${x(value)}" cy="${y + 6.5}" r="1.8"/>`)}
<line class="interval ${colour}" x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}"/><rect class="${colour}" x="${x(estimate) - 3}" y="${y - 3}" width="6" height="6"/>
<text class="number" x="${width - 2}" y="${y}" dy=".32em" text-anchor="end">${text(estimate)} [${text(low)}, ${text(high)}]</text></g>`;
  });
  const [below, above] = measure === 'searches' ? ['fewer', 'more'] : ['worse', 'better'];
  const toLeft = `${below} than ${reference} ←`;
  // Where zero is far at the left, the words begin at the edge.
  const middle = Math.max(x(0), CHARACTER * toLeft.length + 5);
  const content = html`${ticks.map((tick) => html`<line class="${tick === 0 ? 'border' : 'grid'}" x1="${x(tick)}" x2="${x(tick)}" y1="${TOP}" y2="${bottom}"/><text x="${x(tick)}" y="${bottom + 14}" text-anchor="middle">${tickText(tick)}</text>`)}
<text x="${middle - 5}" y="${bottom + 30}" text-anchor="end">${toLeft}</text><text x="${middle + 5}" y="${bottom + 30}">→ ${above}</text>
${rows}`;
  return { title, width, height: bottom + 36, content };
}
