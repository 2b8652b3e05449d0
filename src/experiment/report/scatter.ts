/** Arms as numbered points: searches against exact match, and the predicted law. */
import type { EvaluationMode } from '../../evolve/results.ts';
import type { Scale } from '../../runs/report/chart.ts';
import { type Html, html } from '../../runs/report/html.ts';
import { modeLabel } from '../../runs/table.ts';
import { modeKey } from '../collect.ts';
import type { ArmMean, Law, Measure, Summary } from '../schema.ts';
import { fixed } from '../text.ts';
import { referenceOf } from './modes.ts';
import type { Panel } from './panel.ts';
import { plot } from './plot.ts';

/** Each arm with the intervals of both measures; up and to the left is better. */
export function searchesAgainstExactMatch(summary: Summary, mode: EvaluationMode): Panel | undefined {
  const { arms, means } = summary;
  const of = (arm: string, measure: Measure): ArmMean | undefined =>
    means.find((one) => one.arm === arm && one.measure === measure && modeKey(one.mode) === modeKey(mode));
  const points = arms.flatMap((arm, i) => {
    const [searches, exact] = [of(arm, 'searches'), of(arm, 'exactMatch')];
    return searches === undefined || exact === undefined ? [] : [{ number: i + 1, arm, searches, exact }];
  });
  if (points.length === 0) return undefined;
  // The reference lies on top, where it is seen among others.
  const reference = referenceOf(summary);
  points.sort((a, b) => Number(a.arm === reference) - Number(b.arm === reference));
  return plot(
    {
      title: modeLabel(mode),
      x: points.flatMap(({ searches }) => [searches.low, searches.high]),
      y: points.flatMap(({ exact }) => [exact.low, exact.high]),
      xTitle: 'searches a question',
      yTitle: 'exact match',
    },
    (x, y) =>
      html`${points.map(
        ({ searches, exact }) =>
          html`<line class="cross" x1="${x(searches.low)}" x2="${x(searches.high)}" y1="${y(exact.estimate)}" y2="${y(exact.estimate)}"/><line class="cross" x1="${x(searches.estimate)}" x2="${x(searches.estimate)}" y1="${y(exact.low)}" y2="${y(exact.high)}"/>`,
      )}${points.map(({ number, arm, searches, exact }) =>
        marker(
          number,
          x(searches.estimate),
          y(exact.estimate),
          `${arm}: exact match ${fixed(exact.estimate, 3)}, searches ${fixed(searches.estimate, 2)}`,
          arm === reference,
        ),
      )}`,
  );
}

/** One point a run, with the least-squares line. */
export function lawPlot({ mode, points, fit }: Law, arms: readonly string[]): Panel | undefined {
  if (points.length === 0) return undefined;
  const gaps = points.map(({ gap }) => gap);
  const gains = points.map(({ gain }) => gain);
  const ends =
    fit === null
      ? []
      : [Math.min(...gaps), Math.max(...gaps)].map((gap) => ({ gap, gain: fit.intercept + fit.slope * gap }));
  return plot(
    {
      title: modeLabel(mode),
      x: gaps,
      y: [...gains, ...ends.map(({ gain }) => gain)],
      xTitle: 'exact match that the expert adds at gate 1',
      yTitle: 'gain of exact match from GRPO 1 to the last stage',
    },
    (x, y) =>
      html`${line(ends, x, y)}${points.map(({ seed, arm, gap, gain }) =>
        marker(arms.indexOf(arm) + 1, x(gap), y(gain), `${arm}, ${seed}: gap ${fixed(gap, 3)}, gain ${fixed(gain, 3)}`),
      )}`,
  );
}

function line(ends: readonly { readonly gap: number; readonly gain: number }[], x: Scale, y: Scale): Html {
  const [from, to] = ends;
  if (from === undefined || to === undefined) return html``;
  return html`<line class="border" x1="${x(from.gap)}" x2="${x(to.gap)}" y1="${y(from.gain)}" y2="${y(to.gain)}"/>`;
}

export function lawSentence({ points, fit }: Law): string {
  if (fit === null)
    return `${points.length} ${points.length === 1 ? 'run' : 'runs'}: too few, or too alike, for a line.`;
  const { slope, intercept, correlation, correlationInterval: interval } = fit;
  const sign = intercept < 0 ? '−' : '+';
  const sure =
    interval === null
      ? 'no interval with fewer than five seeds'
      : `95 % interval over seeds ${fixed(interval.low, 2)} to ${fixed(interval.high, 2)}`;
  return `gain = ${fixed(slope, 3)} · gap ${sign} ${Math.abs(intercept).toFixed(3)}; correlation ${fixed(correlation, 2)} (${sure}; ${points.length} runs).`;
}

function marker(number: number, x: number, y: number, label: string, full = false): Html {
  return html`<g class="${full ? 'full marker' : 'marker'}"><title>${label}</title><circle class="s1" cx="${x}" cy="${y}" r="7.5"/><text x="${x}" y="${y}" dy=".34em" text-anchor="middle">${number}</text></g>`;
}
