/**
 * DAPO's filter and its dynamic sampling (Yu et al. 2025, arXiv 2503.14476, section 3.2): a group whose rewards are all equal has
 * no advantage, so only mixed ones are trained on; and further questions are rolled out until there are as many as a step has
 * questions.
 *
 * Departure: DAPO samples on without end; here at most `grpo.resample` times, and where none is mixed then, none is left out, so that
 * every step is one. All that was rolled out is counted and kept on record.
 */
import { isMixed } from '../algorithms/grpo.ts';
import type { Question } from '../base/question.ts';
import type { Groups } from './run.ts';
import type { Settings } from './settings.ts';
import { questionsOfStep } from './setup.ts';

/** The groups of a step, each with its question. */
export interface SampledGroups {
  /** Trained on. */
  readonly questions: readonly Question[];
  readonly groups: Groups;
  /** Rolled out: those, and what was left out. */
  readonly all: Groups;
  /** For the step's record; nothing where no filter is set. */
  readonly figures: Readonly<Record<string, number>>;
}

/**
 * @param first the step's own questions
 * @param further the questions of a further round, from 1
 * @param rollOut rolls out a group of each question
 */
export async function sampleGroups(
  { filter, resample }: Pick<Settings['grpo'], 'filter' | 'resample'>,
  first: readonly Question[],
  further: (round: number, count: number) => readonly Question[],
  rollOut: (questions: readonly Question[]) => Promise<Groups>,
): Promise<SampledGroups> {
  const all = await rollOut(first);
  if (filter === 'none') return { questions: first, groups: all, all, figures: {} };
  const questions = [...first];
  const mixed = () => [...all.keys()].filter((i) => isMixed(all[i]!));
  for (let round = 1; round <= resample && mixed().length < first.length; round++) {
    const asked = new Set(questions.map(({ id }) => id));
    const more = further(round, first.length - mixed().length).filter(({ id }) => !asked.has(id));
    questions.push(...more);
    all.push(...(await rollOut(more)));
  }
  const figures = { mixedGroups: mixed().length, resampledQuestions: questions.length - first.length };
  const kept = figures.mixedGroups > 0 ? mixed() : [...all.keys()];
  return {
    questions: kept.map((i) => questions[i]!),
    groups: kept.map((i) => all[i]!),
    all,
    figures,
  };
}

/** Further questions of a step: from an order of their own, since those of the next steps are still to come. */
export function furtherQuestions(
  questions: readonly Question[],
  { seed, grpo }: Pick<Settings, 'seed' | 'grpo'>,
  { stage, step }: { readonly stage: string; readonly step: number },
): (round: number, count: number) => readonly Question[] {
  return (round, count) => {
    const draw = (step - 1) * grpo.resample + round - 1;
    return questionsOfStep(questions, draw, grpo.questionsPerStep, seed, `${stage}, resampled`).slice(0, count);
  };
}
