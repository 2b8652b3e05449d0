/** What a run's own inputs tell of its trajectories: the tokenizer, its template, and for runs of earlier versions questions and gold answers. */

import { messageOf } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import { readQuestions } from '../benchmarks/questions.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { locateModel } from '../checkpoint/hub-model.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Template } from '../protocol/template.ts';
import { openTemplate } from '../protocol/templates.ts';
import type { RunConfig } from '../runs/config-record.ts';
import { generateWorld } from '../world/generate.ts';
import { evaluationQuestions, SUITES, trainingQuestions } from '../world/suites.ts';

export interface RunText {
  /** Undefined where it is not at hand any more; `note` says why. */
  readonly tokenizer: Tokenizer | undefined;
  readonly template: Template | undefined;
  readonly note: string | undefined;
}

/** Nothing is fetched: a model of the Hub is taken from the cache. */
export async function openRunText({ inputs, hashes }: RunConfig): Promise<RunText> {
  const template = await openTemplate(inputs.template ?? (inputs.questions === null ? 'world' : 'search-r1')).catch(
    () => undefined,
  );
  try {
    const place = inputs.tokenizer ?? (await locateModel(inputs.model ?? BASE_POLICY, { offline: true })).folder;
    const tokenizer = await loadTokenizer(place);
    if (tokenizer.hash === hashes.tokenizer) return { tokenizer, template, note: undefined };
    return {
      tokenizer: undefined,
      template,
      note: `The tokenizer in ${place} is another one than the run had, so that its tokens cannot be shown one by one.`,
    };
  } catch (error) {
    return {
      tokenizer: undefined,
      template,
      note: `The run's tokenizer is not at hand, so that its tokens cannot be shown one by one (${messageOf(error)}).`,
    };
  }
}

/** By id: of the embedded world, or of the files that the run was given, as far as they are still there. */
export async function questionsOfRun({ inputs, settings }: RunConfig): Promise<Map<string, Question>> {
  const all: Question[] = [];
  if (inputs.questions === null) {
    const world = generateWorld(settings.world.seed, settings.world.size);
    for (const suite of SUITES) all.push(...evaluationQuestions(world, suite, settings.evaluation.questions));
    all.push(...trainingQuestions(world, settings.world.trainingQuestions, settings.world.hops));
  } else
    for (const file of [inputs.questions, ...inputs.evaluate.map((suite) => suite.file)])
      all.push(...(await readQuestions(file).catch(() => [])));
  return new Map(all.map((question) => [question.id, question]));
}
