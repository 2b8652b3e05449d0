/** The training curves: one chart a figure, over the steps of all training stages one after another. */
import type { MetricRecord } from '../../evolve/journal.ts';
import type { Results } from '../../evolve/results.ts';
import { heldOutName } from '../../evolve/shards.ts';
import { type Stage, stageNamed } from '../../evolve/stages.ts';
import { estimateText, modeLabel, stageLabel } from '../table.ts';
import { lineChart, type Point, type Series } from './chart.ts';
import { type Html, html } from './html.ts';

/** Figures worth a chart. GRPO and distillation have losses and KLs of different kinds, which do not share an axis. */
const figures: readonly { metric: string; title: string; kind?: Stage['kind']; heldOut?: string }[] = [
  { metric: 'exactMatch', title: 'Exact match of training rollouts', heldOut: 'exactMatch' },
  { metric: 'reward', title: 'Reward of training rollouts' },
  { metric: 'searches', title: 'Searches a rollout' },
  { metric: 'policyTokens', title: 'Policy tokens a rollout' },
  { metric: 'wellFormed', title: 'Share of well-formed rollouts' },
  { metric: 'zeroVariance', title: 'Share of groups without variance' },
  { metric: 'entropy', title: 'Entropy of the policy (nats)' },
  { metric: 'kl', title: 'GRPO: KL to the start of the round (nats)', kind: 'grpo' },
  { metric: 'loss', title: 'GRPO: loss', kind: 'grpo' },
  { metric: 'kl', title: 'Distillation: divergence from the teacher (nats)', kind: 'distill' },
  { metric: 'loss', title: 'Distillation: loss (the same, clipped)', kind: 'distill' },
  { metric: 'loss', title: 'Fine-tuning: loss (nats a token)', kind: 'sft' },
  { metric: 'gradientNorm', title: 'Gradient norm before clipping' },
];

/** Stages whose steps are training steps. */
const training: readonly (Stage['kind'] | undefined)[] = ['grpo', 'distill', 'sft'];

export function trainingCurves(records: readonly MetricRecord[]): Html {
  const metrics = records.map(withExactMatch);
  const charts = figures.map(({ metric, title, kind, heldOut }) => {
    const wanted = metrics.filter(({ stage }) => {
      const found = stageNamed(stage)?.kind;
      return kind === undefined ? training.includes(found) : found === kind;
    });
    const starts = startsOf(wanted);
    const at = ({ stage, step }: MetricRecord) => (starts.get(stage) ?? 0) + step;
    const points = pointsOf(wanted, metric, at);
    const held = heldOut === undefined ? [] : heldOutPoints(metrics, heldOut, starts);
    const series: Series[] = [{ name: 'training', points }];
    if (held.length > 0) series.push({ name: 'held-out questions', points: held });
    const borders = [...starts].map(([stage, start]) => ({
      x: start + (start === 0 ? 0 : 0.5),
      label: stageLabel(stage),
    }));
    return points.length === 0 ? undefined : lineChart({ title, series, borders, xTitle: 'step' });
  });
  return html`<div class="charts">${charts}</div>`;
}

/** Up to 0.4 the reward was exact match. A reward that still is makes no second chart. */
function withExactMatch(record: MetricRecord): MetricRecord {
  const { reward, exactMatch = reward, ...rest } = record;
  if (exactMatch === undefined) return record;
  return {
    ...(rest as MetricRecord),
    exactMatch,
    ...(reward === undefined || reward === exactMatch ? {} : { reward }),
  };
}

/** Where each stage's steps begin on the common axis, in the order of the file. */
function startsOf(records: readonly MetricRecord[]): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const { stage, step } of records) lengths.set(stage, Math.max(step, lengths.get(stage) ?? 0));
  let start = 0;
  return new Map(
    [...lengths].map(([stage, length]) => {
      start += length;
      return [stage, start - length];
    }),
  );
}

function pointsOf(records: readonly MetricRecord[], metric: string, at: (record: MetricRecord) => number): Point[] {
  return records.flatMap((record) => {
    const value = record[metric];
    if (typeof value !== 'number') return [];
    const label = `${stageLabel(record.stage)}, step ${record.step}: ${Number(value.toPrecision(4))}`;
    return [{ x: at(record), y: value, label }];
  });
}

/** Step 0 of a round is its start: the weights before its first step. */
function heldOutPoints(metrics: readonly MetricRecord[], metric: string, starts: ReadonlyMap<string, number>): Point[] {
  const heldOut = new Map([...starts].map(([stage, start]) => [heldOutName(stage), start]));
  const records = metrics.filter(({ stage }) => heldOut.has(stage));
  return pointsOf(records, metric, ({ stage, step }) => heldOut.get(stage)! + step);
}

/** Exact match and searches of the evaluated stages, a line for each mode. */
export function stageCurves(results: Results): Html {
  const stages = [...new Set(results.measurements.map(({ stage }) => stage))];
  const modes = [...new Set(results.measurements.map(({ mode }) => modeLabel(mode)))].slice(0, 4);
  const places = stages.map((stage, x) => ({ x, label: stageLabel(stage) }));
  const chart = (title: string, figure: 'exactMatch' | 'searches' | 'policyTokens') =>
    lineChart({
      title,
      places,
      series: modes.map((name) => ({
        name,
        points: results.measurements
          .filter(({ mode, suites }) => modeLabel(mode) === name && suites.length > 0)
          .flatMap(({ stage, mean }) => {
            const measured = mean[figure];
            if (measured === null) return [];
            const label = `${stageLabel(stage)}, ${name}: ${estimateText(measured, 3)}`;
            return [{ x: stages.indexOf(stage), y: measured.mean, error: measured.standardError ?? 0, label }];
          }),
      })),
    });
  return html`<div class="charts">${chart('Exact match, mean over suites', 'exactMatch')}${chart('Searches a question', 'searches')}${chart('Policy tokens a question', 'policyTokens')}</div>`;
}
