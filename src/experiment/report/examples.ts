/** Pairs to look at: of the questions that the pool answered most often, and of those that it answered least often. */
import path from 'node:path';
import { mean } from '../../benchmarks/statistics.ts';
import type { PairRecord } from '../../evolve/journal.ts';
import { pairShard, poolShard } from '../../evolve/shards.ts';
import { planStages } from '../../evolve/stages.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import type { Decoder } from '../../runs/report/decode.ts';
import { type Html, html } from '../../runs/report/html.ts';
import { pairView } from '../../runs/report/pair-view.ts';
import { trajectoryView } from '../../runs/report/trajectory-view.ts';
import type { RunFiles } from '../../runs/run-files.ts';
import { stageLabel } from '../../runs/table.ts';

export interface PairExample {
  readonly pair: PairRecord;
  /** What the teacher was shown; undefined when it is not in the pool. */
  readonly expert: Trajectory | undefined;
  /** Share of the question's pool rollouts that were right. */
  readonly solved: number;
}

export interface PairExamples {
  /** "seed-001/e1": the run whose pairs they are. */
  readonly run?: string;
  /** Its first distillation round. */
  readonly stage?: string;
  readonly best: readonly PairExample[];
  readonly worst: readonly PairExample[];
}

/** Two of each, from the first distillation round of a run. */
export async function findPairExamples(files: RunFiles): Promise<PairExamples> {
  const plan = planStages((await files.config()).settings);
  const nameOf = (kind: 'pool' | 'distill') => plan.find((stage) => stage.kind === kind)?.name;
  const [pool, distill] = [nameOf('pool'), nameOf('distill')];
  const trajectories = pool === undefined ? [] : await readParts((part) => files.trajectories(poolShard(pool, part)));
  const pairs = distill === undefined ? [] : await readParts((part) => files.pairs(pairShard(distill, part + 1)));
  const run = files.folder.split(path.sep).slice(-2).join('/');
  const groups = Map.groupBy(trajectories, ({ questionId }) => questionId);
  return { run, ...(distill !== undefined && { stage: distill }), ...choosePairs(pairs, groups) };
}

/** All shards of a kind, from 0 up to the first that is not there. */
async function readParts<T>(read: (part: number) => Promise<T[] | undefined>): Promise<T[]> {
  const all: T[] = [];
  for (let part = 0; ; part++) {
    const shard = await read(part);
    if (shard === undefined) return all;
    all.push(...shard);
  }
}

/** A question is in one list at most. */
export function choosePairs(
  pairs: readonly PairRecord[],
  pool: ReadonlyMap<string, readonly Trajectory[]>,
): PairExamples {
  const examples = pairs.flatMap((pair): PairExample[] => {
    const group = pool.get(pair.questionId);
    if (group === undefined) return [];
    const { expert: shown } = pair;
    const isRollout = shown !== null && shown !== 'demonstration';
    const expert = isRollout ? pool.get(shown.questionId)?.find(({ rollout }) => rollout === shown.rollout) : undefined;
    return [{ pair, expert, solved: mean(group.map(({ correct }) => correct)) }];
  });
  const sorted = examples.sort((a, b) => b.solved - a.solved || (a.pair.questionId < b.pair.questionId ? -1 : 1));
  const half = Math.min(2, Math.floor(sorted.length / 2));
  return { best: sorted.slice(0, sorted.length === 1 ? 1 : half), worst: half === 0 ? [] : sorted.slice(-half) };
}

export function pairExamples({ run, stage, best, worst }: PairExamples, tokenizer: Decoder | undefined): Html {
  const all = [...best, ...worst];
  if (all.length === 0 || tokenizer === undefined) return html`<p>No pairs are in the run directories.</p>`;
  const kl = all.flatMap(({ pair }) => (pair.kl ?? []).filter((_, t) => pair.mask[t] === 1)).sort((a, b) => a - b);
  const scale = kl[Math.floor(0.98 * (kl.length - 1))] || 1;
  const view = ({ pair, expert, solved }: PairExample) =>
    html`<div class="example"><p class="facts">Question ${pair.questionId}: ${Math.round(100 * solved)} % of its pool rollouts were right.</p>
${expert && trajectoryView('Expert', expert, tokenizer, 'folded')}${pairView('Student', pair, scale, tokenizer)}</div>`;
  return html`<p class="soft">${run && stage && `From the first distillation round (${stageLabel(stage)}) of ${run}. `}Each pair is one question: the expert that the teacher was shown, folded, and the student's tokens. The stronger the <b class="heat">colour</b>, the more the teacher disagrees with the student there: its strength goes with the square root of the divergence, so that small ones are seen, and is full from ${scale.toFixed(2)} nats.</p>
<h3>Questions that the pool answered most often</h3>${best.map(view)}
${worst.length > 0 && html`<h3>Questions that it answered least often</h3>${worst.map(view)}`}`;
}
