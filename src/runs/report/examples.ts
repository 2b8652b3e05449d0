/**
 * Which trajectories and pairs a page without a server shows: so few that one reads them all, before and after, chosen for what
 * changed. The others are in the viewer.
 */
import type { PairRecord } from '../../evolve/journal.ts';
import type { Results } from '../../evolve/results.ts';
import { evaluationShard, pairShard } from '../../evolve/shards.ts';
import { planStages } from '../../evolve/stages.ts';
import { type Trajectory, valid } from '../../rollout/trajectory.ts';
import type { RunFiles } from '../run-files.ts';

/** One question at the first and the last stage, where there is more than one. */
export interface Example {
  /** What changed, in a few words. */
  readonly change: string;
  readonly questionId: string;
  readonly suite: string;
  readonly byStage: readonly { readonly stage: string; readonly trajectory: Trajectory }[];
}

export interface PairExamples {
  readonly stage: string;
  readonly pairs: readonly PairRecord[];
}

const kinds: readonly { change: string; of: (first: Trajectory, last: Trajectory) => boolean }[] = [
  { change: 'wrong at first, right in the end', of: (first, last) => first.correct < last.correct },
  {
    change: 'right with fewer searches',
    of: (first, last) => first.correct === 1 && last.correct === 1 && last.searches.length < first.searches.length,
  },
  { change: 'right at first, wrong in the end', of: (first, last) => first.correct > last.correct },
];

/** Examples from the shards of the main evaluation (greedy when there is one, at the first budget). */
export async function findExamples(files: RunFiles, results: Results): Promise<Example[]> {
  const main = results.measurements.find(({ mode }) => mode.decoding === 'greedy') ?? results.measurements[0];
  if (main === undefined) return [];
  const stages = [...new Set(results.measurements.map(({ stage }) => stage))];
  const byStage = new Map<string, Trajectory[]>();
  for (const stage of stages) {
    const shard = await files.trajectories(evaluationShard(stage, main.mode));
    if (shard !== undefined) byStage.set(stage, valid(shard));
  }
  return chooseExamples(byStage);
}

/** `byStage`: the trajectories of each stage in order, a question at most once for each rollout. */
export function chooseExamples(byStage: ReadonlyMap<string, readonly Trajectory[]>): Example[] {
  const all = [...byStage.keys()];
  const stages = [...new Set(all.slice(0, 1).concat(all.slice(-1)))];
  const [first = [], last = []] = stages.map((stage) => byStage.get(stage)!.filter(({ rollout }) => rollout === 0));
  const after = ({ questionId }: Trajectory) => last.find((one) => one.questionId === questionId);
  const exampleOf = (change: string, before: Trajectory): Example => {
    const shown = [before, after(before)].flatMap((trajectory, i) =>
      trajectory === undefined ? [] : [{ stage: stages[i]!, trajectory }],
    );
    return { change, questionId: before.questionId, suite: before.dataset, byStage: shown };
  };
  const changed = kinds.flatMap(({ change, of }) => {
    const before = first.find((one) => after(one) !== undefined && of(one, after(one)!));
    return before === undefined ? [] : [exampleOf(change, before)];
  });
  return changed.length > 0 ? changed : first.slice(0, 1).map((one) => exampleOf('nothing changed', one));
}

/** A pair of each distillation round, with a wrong student where there is one, from the first step's shard. */
export async function findPairs(files: RunFiles): Promise<PairExamples[]> {
  const examples: PairExamples[] = [];
  for (const { kind, name } of planStages((await files.config()).settings)) {
    const pairs = kind === 'distill' ? await files.pairs(pairShard(name, 1)) : undefined;
    if (pairs === undefined) continue;
    const chosen = pairs.find(({ student }) => !student.correct) ?? pairs[0];
    examples.push({ stage: name, pairs: chosen ? [chosen] : [] });
  }
  return examples;
}
