/** Which trajectories and pairs a reader is shown: the same questions at every stage, chosen for what changed between them. */
import type { PairRecord } from '../../evolve/journal.ts';
import type { Results } from '../../evolve/results.ts';
import { evaluationShard, pairShard } from '../../evolve/shards.ts';
import { planStages } from '../../evolve/stages.ts';
import { type Trajectory, valid } from '../../rollout/trajectory.ts';
import type { RunFiles } from '../run-files.ts';

/** One question at several stages. */
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

const kinds: readonly { change: string; limit: number; of: (first: Trajectory, last: Trajectory) => boolean }[] = [
  { change: 'wrong at first, right in the end', limit: 2, of: (first, last) => first.correct < last.correct },
  {
    change: 'right with fewer searches',
    limit: 2,
    of: (first, last) => first.correct === 1 && last.correct === 1 && last.searches.length < first.searches.length,
  },
  { change: 'right at first, wrong in the end', limit: 1, of: (first, last) => first.correct > last.correct },
  { change: 'wrong all along', limit: 1, of: (first, last) => first.correct === 0 && last.correct === 0 },
  { change: 'right all along', limit: 1, of: (first, last) => first.correct === 1 && last.correct === 1 },
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
  const stages = [...byStage.keys()];
  const first = byStage.get(stages[0] ?? '') ?? [];
  const ofQuestion = (stage: string, id: string) =>
    byStage.get(stage)?.find(({ questionId, rollout }) => questionId === id && rollout === 0);
  const candidates = first.filter(({ rollout }) => rollout === 0);
  const chosen: Example[] = [];
  for (const { change, limit, of } of kinds) {
    const suites = new Set<string>();
    for (const before of candidates) {
      const after = ofQuestion(stages.at(-1)!, before.questionId);
      // One of a suite, so that the few examples show more than one kind of question.
      if (after === undefined || suites.size === limit || suites.has(before.dataset) || !of(before, after)) continue;
      if (chosen.some(({ questionId }) => questionId === before.questionId)) continue;
      suites.add(before.dataset);
      const shown = stages.flatMap((stage) => {
        const trajectory = ofQuestion(stage, before.questionId);
        return trajectory === undefined ? [] : [{ stage, trajectory }];
      });
      chosen.push({ change, questionId: before.questionId, suite: before.dataset, byStage: shown });
    }
  }
  return chosen;
}

/** Pairs of each distillation round: two with a wrong student and two with a right one, from the first step's shard. */
export async function findPairs(files: RunFiles): Promise<PairExamples[]> {
  const examples: PairExamples[] = [];
  for (const { kind, name } of planStages((await files.config()).settings)) {
    const pairs = kind === 'distill' ? await files.pairs(pairShard(name, 1)) : undefined;
    if (pairs === undefined) continue;
    const wrong = pairs.filter(({ student }) => !student.correct).slice(0, 2);
    const right = pairs.filter(({ student }) => student.correct).slice(0, 2);
    examples.push({ stage: name, pairs: [...wrong, ...right] });
  }
  return examples;
}
