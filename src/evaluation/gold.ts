/** Gold answers of a question that somebody asks, where they are known: from question files, or from the embedded world. */
import { readQuestions } from '../benchmarks/questions.ts';
import type { World } from '../world/generate.ts';
import { evaluationQuestions, SUITES, trainingQuestions } from '../world/suites.ts';

/** Questions of each of the world's suites that are looked through: as many as a run evaluates at most. */
const WORLD_QUESTIONS = 400;
/** As many as the default run trains on. */
const WORLD_TRAINING = 1500;

export interface GoldSources {
  /** Files that have to be readable: the user named them. */
  readonly named: readonly string[];
  /** Files that may be gone: those of the run that the policy comes from. */
  readonly ofRun: readonly string[];
  readonly world: World | undefined;
  /** Questions that differ in the spelling alone are the same. */
  readonly spelled: (question: string) => string;
}

export type GoldOf = (question: string) => readonly string[] | undefined;

/** @throws UserError when a named file cannot be read */
export async function openGold({ named, ofRun, world, spelled }: GoldSources): Promise<GoldOf> {
  const known = new Map<string, readonly string[]>();
  for (const file of [...ofRun, ...named]) {
    const questions = await readQuestions(file).catch((error: unknown) => {
      if (named.includes(file)) throw error;
      return [];
    });
    for (const { question, answers } of questions) known.set(spelled(question.trim()), answers);
  }
  let ofWorld: ReadonlyMap<string, readonly string[]> | undefined;
  return (question) => {
    const key = spelled(question.trim());
    // The world's questions are drawn when one is asked for the first time.
    if (!known.has(key) && world !== undefined) ofWorld ??= worldAnswers(world);
    return known.get(key) ?? ofWorld?.get(key);
  };
}

function worldAnswers(world: World): Map<string, readonly string[]> {
  const evaluated = SUITES.flatMap((suite) => evaluationQuestions(world, suite, WORLD_QUESTIONS));
  return new Map([...evaluated, ...trained(world)].map(({ question, answers }) => [question, answers]));
}

/** A smaller world has fewer questions to train on than the default run takes. */
function trained(world: World) {
  try {
    return trainingQuestions(world, WORLD_TRAINING);
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}
