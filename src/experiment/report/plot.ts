/** A figure with two axes: its frame as SVG, and the scales that place what is drawn inside. */
import { niceTicks, type Scale, scale, tickText } from '../../runs/report/chart.ts';
import { type Html, html } from '../../runs/report/html.ts';

export interface Place {
  readonly at: number;
  readonly label: string;
}

export interface PlotOptions {
  readonly title: string;
  /** Everything drawn lies within these. */
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly xTitle?: string;
  readonly yTitle?: string;
  /** Labels of single places on the x axis, in place of round numbers. */
  readonly xPlaces?: readonly Place[];
}

const SIZE = { width: 420, height: 240 };
const EDGE = { left: 46, right: 406, top: 26, bottom: 202 };

/** `draw` gets the scales from values to SVG units. */
export function plot({ title, x, y, xTitle, yTitle, xPlaces }: PlotOptions, draw: (x: Scale, y: Scale) => Html): Html {
  const xTicks = xPlaces?.map(({ at }) => at) ?? niceTicks(Math.min(...x), Math.max(...x), 5);
  const yTicks = niceTicks(Math.min(...y), Math.max(...y), 4);
  // Named places keep half a step's distance from the edges, for their labels.
  const room = xPlaces === undefined ? 0 : 0.35;
  const toX = scale([xTicks[0]! - room, xTicks.at(-1)! + room], EDGE.left, EDGE.right);
  const toY = scale([yTicks[0]!, yTicks.at(-1)!], EDGE.bottom, EDGE.top);
  const xLabels = xPlaces ?? xTicks.map((at) => ({ at, label: tickText(at) }));
  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${title}">
${yTicks.map((tick) => html`<line class="grid" x1="${EDGE.left}" x2="${EDGE.right}" y1="${toY(tick)}" y2="${toY(tick)}"/><text x="${EDGE.left - 5}" y="${toY(tick)}" dy=".32em" text-anchor="end">${tickText(tick)}</text>`)}
${xLabels.map(({ at, label }) => html`<text x="${toX(at)}" y="${EDGE.bottom + 17}" text-anchor="middle">${label}</text>`)}
${yTitle && html`<text x="2" y="11">${yTitle}</text>`}
${xTitle && html`<text x="${EDGE.right}" y="${EDGE.bottom + 33}" text-anchor="end">${xTitle}</text>`}
${draw(toX, toY)}
</svg></figure>`;
}
