/** A panel with two axes: its frame as SVG, and the scales that place what is drawn inside. */
import { niceTicks, type Scale, scale, tickText } from '../../runs/report/chart.ts';
import { type Html, html } from '../../runs/report/html.ts';
import type { Panel } from './panel.ts';

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
  readonly size?: Size;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const SIZE: Size = { width: 420, height: 240 };

/** `draw` gets the scales from values to SVG units. */
export function plot(
  { title, x, y, xTitle, yTitle, xPlaces, size = SIZE }: PlotOptions,
  draw: (x: Scale, y: Scale) => Html,
): Panel {
  const { width, height } = size;
  const edge = { left: 46, right: width - 14, top: yTitle ? 26 : 10, bottom: height - (xTitle ? 38 : 24) };
  const xTicks = xPlaces?.map(({ at }) => at) ?? niceTicks(Math.min(...x), Math.max(...x), 5);
  const yTicks = niceTicks(Math.min(...y), Math.max(...y), 4);
  // Named places keep half a step's distance from the edges, for their labels.
  const room = xPlaces === undefined ? 0 : 0.35;
  // Round numbers keep the room of a marker, which else would lie on the labels of the y axis.
  const inset = xPlaces === undefined ? 10 : 0;
  const toX = scale([xTicks[0]! - room, xTicks.at(-1)! + room], edge.left + inset, edge.right - inset);
  const toY = scale([yTicks[0]!, yTicks.at(-1)!], edge.bottom - inset, edge.top);
  const xLabels = xPlaces ?? xTicks.map((at) => ({ at, label: tickText(at) }));
  const content = html`${yTicks.map((tick) => html`<line class="grid" x1="${edge.left}" x2="${edge.right}" y1="${toY(tick)}" y2="${toY(tick)}"/><text x="${edge.left - 5}" y="${toY(tick)}" dy=".32em" text-anchor="end">${tickText(tick)}</text>`)}
${xLabels.map(({ at, label }) => html`<text x="${toX(at)}" y="${edge.bottom + 17}" text-anchor="middle">${label}</text>`)}
${yTitle && html`<text x="2" y="11">${yTitle}</text>`}
${xTitle && html`<text x="${edge.right}" y="${edge.bottom + 33}" text-anchor="end">${xTitle}</text>`}
${draw(toX, toY)}`;
  return { title, width, height, content };
}
