/** Line charts as inline SVG: numbers in, a figure out. */
import { type Html, html } from './html.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Half the length of an error bar. */
  readonly error?: number;
  /** Shown when the pointer rests on the point. */
  readonly label: string;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface ChartOptions {
  readonly title: string;
  /** At most four; the legend appears when there are several. */
  readonly series: readonly Series[];
  /** Dashed vertical lines, e.g. where a stage begins. */
  readonly borders?: readonly { readonly x: number; readonly label: string }[];
  /** Labels of single places on the x axis, in place of whole numbers. */
  readonly places?: readonly { readonly x: number; readonly label: string }[];
  readonly xTitle?: string;
}

const SIZE = { width: 420, height: 200 };
const MARGIN = { left: 46, right: 22, top: 16, bottom: 30 };

/** Undefined when there are fewer than two points to join. */
export function lineChart({ title, series, borders = [], places, xTitle }: ChartOptions): Html | undefined {
  const all = series.flatMap(({ points }) => points);
  if (all.length < 2) return undefined;
  const xs = all.map(({ x }) => x);
  const xRange = [Math.min(...xs), Math.max(...xs)] as const;
  const yTicks = niceTicks(
    Math.min(...all.map(({ y, error = 0 }) => y - error)),
    Math.max(...all.map(({ y, error = 0 }) => y + error)),
    4,
  );
  const yRange = [yTicks[0]!, yTicks.at(-1)!] as const;
  const x = scale(xRange, MARGIN.left, SIZE.width - MARGIN.right);
  const y = scale(yRange, SIZE.height - MARGIN.bottom, MARGIN.top);
  const [left, right, top, bottom] = [MARGIN.left, SIZE.width - MARGIN.right, MARGIN.top, SIZE.height - MARGIN.bottom];
  const xLabels =
    places ??
    niceTicks(...xRange, 5, 1)
      .filter((t) => t >= xRange[0] && t <= xRange[1])
      .map((t) => ({ x: t, label: tickText(t) }));

  // A stage that begins before the first point is named at the left edge; one behind the last point is not drawn.
  const borderLines = borders
    .filter((border) => border.x <= xRange[1])
    .map((border) => ({ at: x(Math.max(border.x, xRange[0])), label: border.label }));

  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${title}">
${yTicks.map((tick) => html`<line class="grid" x1="${left}" x2="${right}" y1="${y(tick)}" y2="${y(tick)}"/><text x="${left - 5}" y="${y(tick)}" dy=".32em" text-anchor="end">${tickText(tick)}</text>`)}
${xLabels.map(({ x: at, label }) => html`<text x="${x(at)}" y="${bottom + 14}" text-anchor="middle">${label}</text>`)}
${xTitle && html`<text x="${right}" y="${SIZE.height - 3}" text-anchor="end">${xTitle}</text>`}
${borderLines.map(({ at, label }) => html`<line class="border" x1="${at}" x2="${at}" y1="${top}" y2="${bottom}"/><text x="${at + 3}" y="${top - 4}">${label}</text>`)}
${series.map((one, i) => drawSeries(one, `s${i + 1}`, x, y))}
</svg>${series.length > 1 && legend(series)}</figure>`;
}

export type Scale = (value: number) => number;

function drawSeries({ points }: Series, colour: string, x: Scale, y: Scale): Html {
  const path = points.map((point, i) => `${i === 0 ? 'M' : 'L'}${x(point.x)},${y(point.y)}`).join('');
  const bars = points.map(({ x: at, y: value, error }) =>
    error
      ? html`<line class="${colour}" x1="${x(at)}" x2="${x(at)}" y1="${y(value - error)}" y2="${y(value + error)}"/>`
      : null,
  );
  const radius = points.length > 60 ? 1.5 : 2.6;
  const dots = points.map(
    (point) =>
      html`<circle class="${colour}" cx="${x(point.x)}" cy="${y(point.y)}" r="${radius}"><title>${point.label}</title></circle>`,
  );
  return html`<path class="curve ${colour}" d="${path}"/>${bars}${dots}`;
}

function legend(series: readonly Series[]): Html {
  return html`<div class="legend">${series.map(({ name }, i) => html`<span><i style="background:var(--s${i + 1})"></i>${name}</span>`)}</div>`;
}

export function scale([from, to]: readonly [number, number], start: number, end: number): Scale {
  const span = to - from || 1;
  return (value) => Math.round((start + ((value - from) / span) * (end - start)) * 10) / 10;
}

/**
 * Round numbers that enclose [from, to], about `count` steps of 1, 2 or 5 times a power of ten, none below `least`.
 * Values that differ by less than a hundredth of their size are not spread over the whole axis.
 */
export function niceTicks(from: number, to: number, count: number, least = 0): number[] {
  const span = Math.max(to - from, 0.01 * Math.max(Math.abs(from), Math.abs(to))) || 1;
  const rough = Math.max(least, span / count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const [first, last] = [Math.floor(from / step + 1e-9), Math.ceil(to / step - 1e-9)];
  const steps = Math.max(1, last - first);
  // The product of two short numbers may be long (3 · 0.1): 12 digits are more than any axis shows.
  return Array.from({ length: steps + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** "−0.05", "2e−7". */
export function tickText(value: number): string {
  const short = value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5);
  return (short ? String(value) : value.toExponential().replace('e+', 'e')).replaceAll('-', '−');
}
