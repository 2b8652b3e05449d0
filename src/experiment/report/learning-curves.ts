/** Exact match over the stages, a small chart an arm: mean and range over seeds, the reference arm dashed beside it. */
import { mean } from '../../benchmarks/statistics.ts';
import type { EvaluationMode } from '../../evolve/results.ts';
import type { Scale } from '../../runs/report/chart.ts';
import { type Html, html } from '../../runs/report/html.ts';
import { stageLabel } from '../../runs/table.ts';
import { modeKey } from '../collect.ts';
import type { Summary } from '../schema.ts';
import type { Panel } from './panel.ts';
import { plot, type Size } from './plot.ts';
import { stageOrder } from './stages.ts';

interface Spread {
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly label: string;
}

export interface LearningCurves {
  /** One for each arm that has any. */
  readonly panels: readonly Panel[];
  /** What the colours stand for, in their order, and what else is to be known. */
  readonly legend: { readonly colours: readonly string[]; readonly notes: readonly string[] };
}

/** At most two modes, so that two colours tell them apart. */
export function learningCurves(
  summary: Summary,
  modes: readonly EvaluationMode[],
  reference: string,
  size?: Size,
): LearningCurves {
  const stages = stageOrder(summary);
  const ofArm = new Map(
    summary.arms.map((arm) => [arm, modes.map((mode) => spreads(summary, arm, mode, stages))] as const),
  );
  const all = [...ofArm.values()].flat(2);
  const places = stages.map((stage, at) => ({ at, label: stageLabel(stage) }));
  const y = all.flatMap(({ low, high }) => [low, high]);
  const frame = { x: places.map(({ at }) => at), y, xPlaces: places, ...(size && { size }) };
  const panels = [...ofArm].flatMap(([arm, lines]) =>
    lines.every((line) => line.length === 0)
      ? []
      : plot({ title: arm, ...frame }, (toX, toY) => {
          const beside = arm === reference ? [] : ofArm.get(reference)!;
          return html`${lines.map((line, i) => drawBand(line, `s${i + 1}`, toX, toY))}${beside.map((line, i) => html`<path class="curve beside s${i + 1}" d="${path(line, toX, toY)}"/>`)}${lines.map((line, i) => drawLine(line, `s${i + 1}`, toX, toY))}`;
        }),
  );
  const colours = modes.map(({ decoding, searches }) => `${decoding}, at most ${searches} searches`);
  return { panels, legend: { colours, notes: ['band: lowest to highest seed', `dashed: ${reference}`] } };
}

function spreads({ runs }: Summary, arm: string, mode: EvaluationMode, stages: readonly string[]): Spread[] {
  return stages.flatMap((stage, x) => {
    const values = runs
      .filter((run) => run.arm === arm)
      .flatMap((run) => run.stages.filter((one) => one.stage === stage && modeKey(one.mode) === modeKey(mode)))
      .flatMap((one) => one.mean.exactMatch ?? []);
    if (values.length === 0) return [];
    const center = mean(values);
    const label = `${stageLabel(stage)}: ${center.toFixed(3)}, ${values.length} ${values.length === 1 ? 'seed' : 'seeds'}`;
    return [{ x, mean: center, low: Math.min(...values), high: Math.max(...values), label }];
  });
}

function drawBand(line: readonly Spread[], colour: string, x: Scale, y: Scale): Html {
  const upper = line.map((at) => `${x(at.x)},${y(at.high)}`);
  const lower = line.map((at) => `${x(at.x)},${y(at.low)}`).reverse();
  return html`<polygon class="band ${colour}" points="${[...upper, ...lower].join(' ')}"/>`;
}

function drawLine(line: readonly Spread[], colour: string, x: Scale, y: Scale): Html {
  return html`<path class="curve ${colour}" d="${path(line, x, y)}"/>${line.map((at) => html`<circle class="${colour}" cx="${x(at.x)}" cy="${y(at.mean)}" r="2.6"><title>${at.label}</title></circle>`)}`;
}

function path(line: readonly Spread[], x: Scale, y: Scale): string {
  return line.map((at, i) => `${i === 0 ? 'M' : 'L'}${x(at.x)},${y(at.mean)}`).join('');
}
