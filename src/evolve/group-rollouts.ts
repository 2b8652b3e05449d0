/** How the groups of a GRPO step are rolled out: as chains, as trees (grpo.tree), or with hints where all failed (grpo.hint). */
import type { Question } from '../base/question.ts';
import { answerTurn, studentPrompt, teacherPrompt } from '../protocol/prompts.ts';
import { hintedGroups } from '../rollout/hinted.ts';
import type { Reward } from '../rollout/reward.ts';
import { chainsOf, growTrees } from '../rollout/tree.ts';
import type { Groups, Run } from './run.ts';
import type { Settings } from './settings.ts';

type Grpo = Settings['grpo'];

export interface GroupRollouts {
  readonly rollOut: (questions: readonly Question[]) => Promise<Groups>;
  /** For the step's record, of all that was rolled out. */
  readonly figures: () => Readonly<Record<string, number>>;
}

/** How many rollouts a question takes. */
export function rolloutsOf({ tree, groupSize }: Pick<Grpo, 'tree' | 'groupSize'>): number {
  return tree === null ? groupSize : tree.trees * chainsOf(tree);
}

export function groupRollouts(
  run: Run,
  step: { readonly stage: string; readonly step: number; readonly noise: number },
  reward: Reward,
): GroupRollouts {
  const { grpo, seed } = run.settings;
  const { tree, hint, groupSize } = grpo;
  const stream = { seed, stage: step.stage, step: step.step };
  const setsFor = (questions: readonly Question[]) =>
    run.inSets({ ...step, total: questions.length * rolloutsOf(grpo) }, reward);

  if (tree !== null) {
    const growth = { ...tree, leaves: groupSize / tree.trees, stream };
    return { rollOut: (questions) => growTrees(questions, growth, setsFor(questions)), figures: () => ({}) };
  }
  if (hint !== null) {
    let [hinted, kept] = [0, 0];
    const shape = { groupSize, hinted: hintedOf(hint, groupSize), limits: run.settings.rollout, stream };
    return {
      async rollOut(questions) {
        const found = await hintedGroups(questions, shape, promptsOf(run), setsFor(questions));
        hinted += found.hinted;
        kept += found.kept;
        return found.groups;
      },
      figures: () => ({ hinted, hintedKept: kept }),
    };
  }
  return {
    rollOut: (questions) => run.rollOut(questions, { perQuestion: groupSize, ...step }, reward),
    figures: () => ({}),
  };
}

/** Rollouts of a group that are made under a hint where the others failed: one at least, and not all. */
function hintedOf({ share }: NonNullable<Grpo['hint']>, groupSize: number): number {
  return Math.min(groupSize - 1, Math.max(1, Math.round(share * groupSize)));
}

/** The ordinary prompt, and the one that shows a turn with the gold answer. */
function promptsOf({ setup: { tokenizer, template } }: Run) {
  return ({ question, answers }: Question) => {
    const { opening, words, closing } = answerTurn(tokenizer, answers[0]!);
    return {
      plain: studentPrompt(tokenizer, template, question),
      hint: teacherPrompt(tokenizer, template, question, [...opening, ...words, ...closing]),
    };
  };
}
