/** Forest plot: the difference of every arm to the reference with its interval; small dots are single seeds. */
import { niceTicks, scale, tickText } from '../../runs/report/chart.ts';
import { html } from '../../runs/report/html.ts';
import { signed } from '../collect.ts';
import type { Difference } from '../schema.ts';
import type { Panel } from './panel.ts';

const WIDTH = 420;
const EDGE = { left: 112, right: 406, top: 8 };
const ROW = 22;

/** Undefined without differences. */
export function forestPlot(title: string, differences: readonly Difference[], decimals: number): Panel | undefined {
  if (differences.length === 0) return undefined;
  const values = differences.flatMap(({ low, high, bySeed }) => [low, high, ...bySeed.map(({ value }) => value)]);
  const ticks = niceTicks(Math.min(0, ...values), Math.max(0, ...values), 4);
  const x = scale([ticks[0]!, ticks.at(-1)!], EDGE.left, EDGE.right);
  const bottom = EDGE.top + ROW * differences.length;
  const rows = differences.map(({ arm, estimate, low, high, bySeed }, i) => {
    const y = EDGE.top + ROW * (i + 0.5);
    const text = (value: number) => signed(value, decimals);
    const label = `${arm}: ${text(estimate)}, 95 % interval ${text(low)} to ${text(high)}, ${bySeed.length} ${bySeed.length === 1 ? 'seed' : 'seeds'}`;
    const colour = low > 0 || high < 0 ? 's1' : 'unsure';
    return html`<g><title>${label}</title><text x="${EDGE.left - 8}" y="${y}" dy=".32em" text-anchor="end">${arm}</text>
${bySeed.map(({ value }) => html`<circle class="seed" cx="${x(value)}" cy="${y + 6.5}" r="1.8"/>`)}
<line class="interval ${colour}" x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}"/><rect class="${colour}" x="${x(estimate) - 3}" y="${y - 3}" width="6" height="6"/></g>`;
  });
  const content = html`${ticks.map((tick) => html`<line class="${tick === 0 ? 'border' : 'grid'}" x1="${x(tick)}" x2="${x(tick)}" y1="${EDGE.top}" y2="${bottom}"/><text x="${x(tick)}" y="${bottom + 14}" text-anchor="middle">${tickText(tick)}</text>`)}
${rows}`;
  return { title, width: WIDTH, height: bottom + 20, content };
}
