/** Everything that a run works with, opened: policy, tokenizer, template, retriever, questions. */

import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import { Random, streamKey } from '../base/random.ts';
import { trainableQuestions } from '../benchmarks/empty-answers.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Policy } from '../policy/policy.ts';
import type { Template } from '../protocol/template.ts';
import type { Passage, Retriever } from '../retrieval/retriever.ts';
import type { GoldOf } from '../rollout/gold.ts';
import type { Settings } from './settings.ts';

export interface Suite {
  readonly name: string;
  readonly questions: readonly Question[];
}

/** A turn as text, and the passages that the environment answered with; the last one answers. */
export interface DemonstratedTurn {
  readonly policy: string;
  readonly passages: readonly Passage[];
}

export interface Setup {
  readonly policy: Policy;
  readonly tokenizer: Tokenizer;
  readonly template: Template;
  readonly retriever: Retriever;
  /** All questions that may be trained on; held-out slices are cut from them. */
  readonly trainingQuestions: readonly Question[];
  /** Evaluation only. */
  readonly suites: readonly Suite[];
  /** What is known of questions from outside; default: the gold passages that they name. */
  readonly gold?: GoldOf;
  /** How a perfect agent answers a question, of those that it knows. */
  readonly demonstrate?: (question: Question) => readonly DemonstratedTurn[] | undefined;
}

/** The training questions that can be rewarded, cut into disjoint slices by a seeded shuffle. */
export interface QuestionSlices {
  /** Rolled out by GRPO and pool. */
  readonly training: readonly Question[];
  /** Choose the best checkpoint of a GRPO round. */
  readonly heldOut: readonly Question[];
  /** Asked by the gate. */
  readonly gate: readonly Question[];
}

export function sliceQuestions(questions: readonly Question[], settings: Settings): QuestionSlices {
  const shuffled = new Random(streamKey(settings.seed, 'slices')).shuffle(trainableQuestions(questions));
  const heldOut = shuffled.splice(0, settings.guards.heldOutQuestions);
  const gate = shuffled.splice(0, settings.gate.questions);
  const training = settings.trainingQuestions > 0 ? shuffled.slice(0, settings.trainingQuestions) : shuffled;
  if (training.length < settings.grpo.questionsPerStep)
    throw new UserError(
      `${questions.length} training questions are too few: ${heldOut.length} are held out, ${gate.length} go to the gate, ` +
        `and one step needs ${settings.grpo.questionsPerStep} of the ${training.length} that remain`,
      {
        hint: 'Give more questions, raise trainingQuestions, or lower guards.heldOutQuestions, gate.questions or grpo.questionsPerStep.',
      },
    );
  return { training, heldOut, gate };
}

/**
 * The questions of one step (from 0): passes over all questions, each pass in an order of its own, a function of the step alone.
 * A pass that does not end on a step's boundary is completed from the next one, skipping questions that the step already has.
 */
export function questionsOfStep(
  questions: readonly Question[],
  step: number,
  perStep: number,
  seed: number,
  stage: string,
): Question[] {
  const chosen = new Map<string, Question>();
  let position = step * perStep;
  let pass = -1;
  let order: Question[] = [];
  while (chosen.size < Math.min(perStep, questions.length)) {
    const wanted = Math.floor(position / questions.length);
    if (wanted !== pass) {
      pass = wanted;
      order = new Random(streamKey(seed, stage, 'pass', pass)).shuffle(questions);
    }
    const question = order[position % questions.length]!;
    chosen.set(question.id, question);
    position += 1;
  }
  return [...chosen.values()];
}
