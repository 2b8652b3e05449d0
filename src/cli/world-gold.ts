/** Gold answers of what is asked in the embedded world, where it is one of the questions that the world is trained and evaluated on. */
import { inWorldSpelling } from '../evaluation/agent.ts';
import { presets } from '../evolve/settings.ts';
import type { World } from '../world/generate.ts';
import { evaluationQuestions, SUITES, trainingQuestions } from '../world/suites.ts';

/** As many of each suite as an evaluation asks. */
const QUESTIONS = 100;
const known = new WeakMap<World, ReadonlyMap<string, readonly string[]>>();

/** Undefined where nobody has said what is right. */
export function worldGold(world: World, question: string): readonly string[] | undefined {
  let answers = known.get(world);
  if (answers === undefined) {
    const { trainingQuestions: count, hops } = presets.default.world;
    const questions = [
      ...trainingQuestions(world, count, hops),
      ...SUITES.flatMap((suite) => evaluationQuestions(world, suite, QUESTIONS)),
    ];
    answers = new Map(questions.map((one) => [one.question, one.answers]));
    known.set(world, answers);
  }
  return answers.get(inWorldSpelling(question));
}
