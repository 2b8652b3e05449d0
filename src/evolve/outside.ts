/**
 * What a run learns from beyond questions, their answers as reward, and its own rollouts: supervision from outside, which
 * Search-E1 does without. It is on record in every run; where it is not to be had, the run is refused before it begins.
 */
import { asksFor } from '../algorithms/reward.ts';
import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import { trainableQuestions } from '../benchmarks/empty-answers.ts';
import { goldOfFile } from '../rollout/gold.ts';
import type { Settings } from './settings.ts';
import type { Setup } from './setup.ts';

/** gold answer: shown or scored, not only compared with. */
export const EXTERNALS = ['gold answer', 'gold passages', 'keys', 'demonstrations', 'model'] as const;
export type External = (typeof EXTERNALS)[number];

/** All that a run with these settings takes from outside, with the setting that asks for it, in the order of the settings. */
export function externalsOf(settings: Settings): ReadonlyMap<External, string> {
  const found = new Map<External, string>();
  const needs = (external: External, setting: string) => {
    if (!found.has(external)) found.set(external, setting);
  };
  const { method, cycles, grpo, distill, sft } = settings;
  if (cycles === 0) return found;
  if (method === 'grpo' || method === 'search-e1') {
    for (const [round, parts] of grpo.reward.slice(0, cycles).entries())
      for (const part of parts) {
        const asked = asksFor(part);
        if (asked !== undefined) needs(asked, `grpo.reward.${round} (part ${part.part})`);
      }
    if (grpo.advantage.form === 'turn')
      needs(
        grpo.advantage.of === 'answer-likelihood' ? 'gold answer' : 'gold passages',
        `grpo.advantage.of=${grpo.advantage.of}`,
      );
    if (grpo.hint !== null) needs('gold answer', `grpo.hint.sees=${grpo.hint.sees}`);
    if (grpo.credit?.sees === 'gold-answer') needs('gold answer', 'grpo.credit.sees=gold-answer');
  }
  if (method === 'search-e1') {
    if (distill.teacherSees === 'demonstration') needs('demonstrations', 'distill.teacherSees=demonstration');
    if (distill.tokens === 'from-first-wrong-turn') needs('gold passages', 'distill.tokens=from-first-wrong-turn');
  }
  if (method === 'sft' && sft.on === 'demonstrations') needs('demonstrations', 'sft.on=demonstrations');
  return found;
}

/** @throws UserError when training questions lack what the settings ask for */
export function refuseUnknown(
  questions: readonly Question[],
  { gold = goldOfFile, demonstrate }: Pick<Setup, 'gold' | 'demonstrate'>,
  settings: Settings,
): void {
  for (const [external, setting] of externalsOf(settings)) {
    if (external === 'demonstrations' && demonstrate === undefined)
      throw new UserError(`${setting} needs demonstrations, which only the embedded world can give`, {
        hint: 'Leave it out, or run without --questions.',
      });
    if (external !== 'gold passages' && external !== 'keys') continue;
    const known = (question: Question) => {
      const found = gold(question);
      return found !== undefined && (external !== 'keys' || found.steps.every(({ key }) => key !== null));
    };
    const lacking = trainableQuestions(questions).filter((question) => !known(question));
    if (lacking.length === 0) continue;
    throw new UserError(
      `${setting} needs the ${external === 'keys' ? 'queries that find the evidence (keys)' : 'gold passages'} of every training question; ` +
        `${lacking.length} of ${questions.length} have none, the first one is ${lacking[0]!.id}`,
      {
        hint:
          external === 'keys'
            ? 'The embedded world knows them; files of questions do not say them. Choose another part of the reward.'
            : 'Leave such questions out, or name the passages in their lines: "gold_ids": ["…"].',
      },
    );
  }
}
