/**
 * figure.svg of an experiment: its forest plots and learning curves as one picture that stands alone, for pages that take no HTML.
 * It has a background of its own, light or dark by the reader's preference, and so can be read on any page.
 */

import { type Html, html } from '../../runs/report/html.ts';
import { chartStyle, palette } from '../../runs/report/style.ts';
import { modeLabel } from '../../runs/table.ts';
import { modeKey } from '../collect.ts';
import type { Summary } from '../schema.ts';
import { counted } from '../text.ts';
import { forestPlot } from './forest.ts';
import { learningCurves } from './learning-curves.ts';
import { outerModes, referenceOf } from './modes.ts';
import type { Panel } from './panel.ts';
import { plotStyle } from './style.ts';

const WIDTH = 940;
const EDGE = 16;
/** Above a panel, for its title. */
const TITLE = 20;
const GAP = 14;
const CURVE_HEIGHT = 170;
/** The labels of more stages need the room of a wider panel. */
const STAGES_OF_NARROW_CURVES = 5;

const pictureStyle = `
.paper { fill: var(--paper); stroke: var(--line); } svg .headline { font-size: 17px; font-weight: 600; fill: var(--ink); } svg .heading { font-size: 14px; font-weight: 600; fill: var(--ink); } svg .title { font-size: 12px; font-weight: 600; fill: var(--ink); }
`;

/** Panels that are already placed, and how high they are together. */
interface Block {
  readonly content: Html;
  readonly height: number;
}

/** A whole SVG document. */
export function renderPicture(summary: Summary): string {
  const { name, arms, seeds, missing } = summary;
  const reference = referenceOf(summary);
  const modes = outerModes(summary);
  const forests = grid(
    (['exactMatch', 'searches'] as const).flatMap((measure) =>
      modes.flatMap((mode) => {
        const shown = summary.differences.filter(
          (one) => one.measure === measure && modeKey(one.mode) === modeKey(mode),
        );
        const title = `${measure === 'exactMatch' ? 'Exact match' : 'Searches'}: ${modeLabel(mode)}`;
        return forestPlot(title, shown, columnStep(2) - GAP) ?? [];
      }),
    ),
    2,
  );
  const stages = new Set(summary.runs.flatMap((run) => run.stages.map(({ stage }) => stage)));
  const columns = stages.size > STAGES_OF_NARROW_CURVES ? 2 : 3;
  const curve = { width: columnStep(columns) - GAP, height: CURVE_HEIGHT };
  const { panels, legend } = learningCurves(summary, modes, reference, curve);
  const unfinished = missing.length === 0 ? '' : `, ${missing.length} not finished`;
  const blocks: Block[] = [
    line('headline', `search-e1: experiment ${name}`, 30),
    line('', `${counted(arms.length, 'arm')}, ${counted(seeds.length, 'seed')}${unfinished}`, 24),
    ...(forests.height === 0
      ? []
      : [
          line('heading', `After the last stage: every arm minus ${reference}`, 22),
          line('', 'Mean and 95 % interval; small dots are single seeds; grey intervals contain zero.', 16),
        ]),
    forests,
    line('heading', 'Exact match over the stages', 26),
    keys(legend),
    grid(panels, columns),
  ];
  let y = 4;
  const placed = blocks.map(({ content, height }) => {
    const at = html`<g transform="translate(${EDGE} ${y})">${content}</g>\n`;
    y += height;
    return at;
  });
  return `${
    html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 6}" width="${WIDTH}" height="${y + 6}" role="img" aria-label="Experiment ${name}">
<style>${palette}${chartStyle}${plotStyle}${pictureStyle}</style>
<rect class="paper" x=".5" y=".5" width="${WIDTH - 1}" height="${y + 5}" rx="8"/>
${placed}</svg>`.text
  }\n`;
}

function line(style: string, text: string, height: number): Block {
  return { content: html`<text class="${style}" y="${height - 6}">${text}</text>`, height };
}

/** Rows of panels with their titles above them, the columns equally wide. */
function grid(panels: readonly Panel[], columns: number): Block {
  const step = columnStep(columns);
  let y = 0;
  const rows: Html[] = [];
  for (let first = 0; first < panels.length; first += columns) {
    const row = panels.slice(first, first + columns);
    rows.push(
      html`${row.map(
        ({ title, width, height, content }, i) => html`<text class="title" x="${i * step}" y="${y + 14}">${title}</text>
<svg x="${i * step}" y="${y + TITLE}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${content}</svg>`,
      )}`,
    );
    y += TITLE + Math.max(...row.map(({ height }) => height)) + 6;
  }
  return { content: html`${rows}`, height: y };
}

/** From the left edge of a column to that of the next. */
function columnStep(columns: number): number {
  return (WIDTH - 2 * EDGE + GAP) / columns;
}

/** Colours first, then what is told apart without one. */
function keys({ colours, notes }: { readonly colours: readonly string[]; readonly notes: readonly string[] }): Block {
  let x = 0;
  const entries = [...colours, ...notes].map((label, i) => {
    const mark = i < colours.length;
    const entry = html`${mark && html`<rect class="key" x="${x}" y="4" width="14" height="5" style="fill:var(--s${i + 1})"/>`}<text x="${x + (mark ? 19 : 0)}" y="10">${label}</text>`;
    // System fonts differ: a generous width keeps the entries apart.
    x += (mark ? 19 : 0) + 6.2 * label.length + 18;
    return entry;
  });
  return { content: html`${entries}`, height: 20 };
}
