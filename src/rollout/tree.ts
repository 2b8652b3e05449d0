/**
 * Rollouts that share beginnings: trees in place of chains (Tree-GRPO, arXiv 2509.21240; AMAP-ML/Tree-GRPO 90b1709).
 *
 *   1  M first chains of a question, each the trunk of a tree
 *   2  L times, in each tree: N places drawn alike, with replacement, among its root and wherever a later turn of one of its
 *      chains began; from each a further chain goes on, to its end
 *   3  k of a tree's 1 + N·L chains are kept, drawn alike: its leaves
 *
 * A chain has a stream of its own, so that it repeats nothing of the one that it goes on from. Failures of the environment are no
 * trunks: where the first chain failed there is the root alone.
 */
import type { Question } from '../base/question.ts';
import { Random, type StreamKey, streamKey } from '../base/random.ts';
import type { Prefix, RolloutTask } from './rollout.ts';
import { isFailure, type Trajectory } from './trajectory.ts';

export interface TreeShape {
  /** M, of a question. */
  readonly trees: number;
  /** N, further chains of a tree in one round. */
  readonly expansions: number;
  /** L. */
  readonly rounds: number;
}

/** 1 + N·L, of one tree. */
export function chainsOf({ expansions, rounds }: Omit<TreeShape, 'trees'>): number {
  return 1 + expansions * rounds;
}

/** @param stream its draws are keyed by seed, stage, step, question and chain */
export interface TreeGrowth extends TreeShape {
  /** k, at most 1 + N·L. */
  readonly leaves: number;
  readonly stream: { readonly seed: number; readonly stage: string; readonly step: number };
}

/** One tree as it grows. */
interface Tree {
  readonly question: Question;
  readonly number: number;
  /** Where a chain may go on from; undefined: the root. */
  readonly places: (Prefix | undefined)[];
  readonly chains: Trajectory[];
}

/**
 * The leaves of each question's trees, tree after tree: k·M a question.
 * @param rollOut rolls out tasks to their ends, in their order; whatever fails outside is its affair
 */
export async function growTrees(
  questions: readonly Question[],
  growth: TreeGrowth,
  rollOut: (tasks: readonly RolloutTask[]) => Promise<readonly Trajectory[]>,
): Promise<Trajectory[][]> {
  const { trees, expansions, rounds, leaves, stream } = growth;
  const keyOf = (question: Question, ...parts: (string | number)[]): StreamKey =>
    streamKey(stream.seed, stream.stage, stream.step, question.id, ...parts);
  const drawsOf = ({ question, number }: Tree, round: number) => new Random(keyOf(question, 'tree', number, round));

  const forest = questions.map((question) =>
    Array.from({ length: trees }, (_, number): Tree => ({ question, number, places: [undefined], chains: [] })),
  );
  const all = forest.flat();
  for (let round = 0; round <= rounds; round++) {
    const grown = all.flatMap((tree) => {
      const { question, number, places, chains } = tree;
      const random = drawsOf(tree, round);
      return Array.from({ length: round === 0 ? 1 : expansions }, (_, i) => {
        const rollout = number * chainsOf(growth) + chains.length + i;
        const from = round === 0 ? undefined : random.choice(places);
        const found: { prefixes: readonly Prefix[] } = { prefixes: [] };
        const task: RolloutTask = {
          question,
          rollout,
          key: keyOf(question, rollout),
          tree: number,
          ...(from && { from }),
          // The last time counts, where a chain that failed was asked again.
          onPrefixes: (prefixes) => {
            found.prefixes = prefixes;
          },
        };
        return { tree, task, found };
      });
    });
    const trajectories = await rollOut(grown.map(({ task }) => task));
    for (const [i, { tree, found }] of grown.entries()) {
      tree.chains.push(trajectories[i]!);
      if (!isFailure(trajectories[i]!.stop)) tree.places.push(...found.prefixes);
    }
  }
  return forest.map((ofQuestion) =>
    ofQuestion.flatMap((tree) => {
      const kept = new Set(drawsOf(tree, rounds + 1).sample(tree.chains, leaves));
      return tree.chains.filter((chain) => kept.has(chain));
    }),
  );
}
