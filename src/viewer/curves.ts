/** The training curves of a run: each stage a line of its own, since between two rounds other things happen. */
import type { MetricRecord } from '../evolve/journal.ts';
import { heldOutName } from '../evolve/shards.ts';
import { type Stage, stageNamed } from '../evolve/stages.ts';
import { stageLabel } from '../runs/table.ts';
import type { Curve } from './wire.ts';

const figures: readonly { metric: string; title: string; means: string; kinds: readonly Stage['kind'][] }[] = [
  {
    metric: 'exactMatch',
    title: 'Exact match',
    kinds: ['grpo'],
    means:
      'Share of the step’s rollouts whose answer is right. Dots apart: held-out questions, by which the best step is chosen.',
  },
  {
    metric: 'reward',
    title: 'Reward',
    kinds: ['grpo'],
    means: 'What the step was trained on, where that is not exact match alone.',
  },
  {
    metric: 'searches',
    title: 'Searches a rollout',
    kinds: ['grpo'],
    means: 'How often the policy searched before it answered.',
  },
  {
    metric: 'policyTokens',
    title: 'Policy tokens a rollout',
    kinds: ['grpo'],
    means: 'How much the policy wrote itself; passages do not count.',
  },
  {
    metric: 'wellFormed',
    title: 'Well formed',
    kinds: ['grpo'],
    means: 'Share of rollouts in which every turn thinks, then searches or answers.',
  },
  {
    metric: 'zeroVariance',
    title: 'Groups without variance',
    kinds: ['grpo'],
    means: 'Share of questions whose rollouts all had the same reward: they teach nothing in this step.',
  },
  {
    metric: 'entropy',
    title: 'Entropy (nats)',
    kinds: ['grpo', 'distill', 'sft'],
    means: 'How undecided the policy is about its next token. Near 0 it no longer explores.',
  },
  {
    metric: 'kl',
    title: 'KL to the round’s start (nats)',
    kinds: ['grpo'],
    means: 'How far the policy has moved from where the round began.',
  },
  {
    metric: 'kl',
    title: 'KL from the teacher (nats)',
    kinds: ['distill'],
    means: 'How much teacher and student disagree; distillation brings it down.',
  },
  { metric: 'loss', title: 'Loss of distillation', kinds: ['distill', 'sft'], means: 'What the step minimises.' },
  {
    metric: 'gradientNorm',
    title: 'Gradient norm',
    kinds: ['grpo', 'distill', 'sft'],
    means: 'Size of the step’s gradient before it is clipped.',
  },
];

export function curvesOf(records: readonly MetricRecord[]): Curve[] {
  return figures.flatMap(({ metric, title, means, kinds }) => {
    const wanted = Map.groupBy(records, ({ stage }) => stage);
    const stages = [...wanted.keys()].filter((stage) => kinds.includes(stageNamed(stage)?.kind as Stage['kind']));
    let start = 0;
    const lines: Curve['lines'][number][] = [];
    for (const stage of stages) {
      const own = wanted.get(stage)!;
      const pointsOf = (list: readonly MetricRecord[]) =>
        list.flatMap((record) => {
          const value = figureIn(record, metric);
          return value === null ? [] : [{ step: record.step, at: start + record.step, value }];
        });
      const label = stageLabel(stage);
      lines.push({ stage, label, heldOut: false, points: pointsOf(own) });
      const held = metric === 'exactMatch' ? pointsOf(wanted.get(heldOutName(stage)) ?? []) : [];
      if (held.length > 0) lines.push({ stage, label, heldOut: true, points: held });
      start += Math.max(...own.map(({ step }) => step));
    }
    const shown = lines.filter(({ points }) => points.length > 0);
    return shown.length === 0 ? [] : [{ title, means, lines: shown }];
  });
}

/** Up to 0.4 the reward was exact match. A reward that still is makes no second curve. */
function figureIn(record: MetricRecord, metric: string): number | null {
  const { reward, exactMatch = reward } = record;
  if (metric === 'reward' && reward === exactMatch) return null;
  const value = metric === 'exactMatch' ? exactMatch : record[metric];
  return typeof value === 'number' ? value : null;
}
