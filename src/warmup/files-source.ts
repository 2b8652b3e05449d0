/** Examples from the user's own questions and passages: the questions need goldIds, the passages that hold the evidence. */
import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import { Random, streamKey } from '../base/random.ts';
import { questionsHash, readQuestions } from '../benchmarks/questions.ts';
import { tokenizerFromJson } from '../checkpoint/tokenizer.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { readTokenizerFiles } from '../checkpoint/tokenizer-files.ts';
import { observe } from '../protocol/observation.ts';
import type { Template } from '../protocol/template.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import { loadCorpus } from '../retrieval/corpus.ts';
import type { Passage } from '../retrieval/retriever.ts';
import type { Example, ExampleSource } from './examples.ts';
import { measureQuestions } from './measure-questions.ts';
import { readerExample, readerExercise } from './reader.ts';
import {
  demonstrateOnText,
  imitateOnText,
  isDemonstrable,
  type Library,
  MISSED,
  plainManner,
  UNKNOWN,
  variedManner,
} from './real-demonstrations.ts';
import { readingOnText } from './real-reading.ts';
import type { Phase, PretrainedRecipe, Recipe } from './recipe.ts';
import { type DemonstratedTurn, trajectoryExample } from './trajectory-example.ts';

export interface FileInputs {
  /** Question file; lines without gold_ids are passed over. */
  readonly questions: string;
  readonly corpus: string;
  /** A tokenizer.json, a folder with one, or a GGUF file. */
  readonly tokenizer: string;
  readonly template: Template;
}

/** What examples are made from. */
interface Ground {
  readonly library: Library;
  readonly passages: readonly Passage[];
  readonly template: Template;
  readonly tokenizer: Tokenizer;
  /** Passages of a search, and most tokens of what it shows. */
  readonly shown: number;
  readonly observationTokens: number;
}

const examplesPerChunk = 250;

/** Reads the files, indexes the passages, and keeps the questions that can be demonstrated. UserError when none can. */
export async function filesSource(
  inputs: FileInputs,
  recipe: Recipe | PretrainedRecipe,
  onProgress: (doing: string) => void = () => {},
): Promise<ExampleSource> {
  const { template } = inputs;
  const tokenizerFiles = await readTokenizerFiles(inputs.tokenizer);
  const tokenizer = tokenizerFromJson(tokenizerFiles.json, tokenizerFiles, inputs.tokenizer);
  onProgress('reading the passages');
  const passages = await loadCorpus([inputs.corpus]);
  onProgress(`indexing ${passages.length.toLocaleString('en')} passages`);
  const index = new Bm25Index(passages, { analyzer: 'english' });
  const byId = new Map(passages.map((passage) => [passage.id, passage]));
  const { searches, passages: k, observationTokens } = recipe.lookup;
  const library: Library = {
    passage: (id) => byId.get(id),
    search: (query, count = k) => index.searchNow(query, count),
    shown: (found) => observe(tokenizer, template, found, observationTokens).shown,
    searches,
  };
  const all = await readQuestions(inputs.questions);
  onProgress(`looking for the answers of ${all.length.toLocaleString('en')} questions in their passages`);
  const questions = all.filter((question) => isDemonstrable(question, library));
  if (questions.length === 0)
    throw new UserError(`${inputs.questions}: no question can be demonstrated over ${inputs.corpus}`, {
      hint: 'A warm-up needs questions with gold_ids: passages of the corpus that contain one of the answers word for word.',
    });
  const { taught, heldOut, measured } = keptApart(questions, recipe, inputs.questions);
  const ground: Ground = { library, passages, template, tokenizer, shown: k, observationTokens };
  const contextTokens = 'model' in recipe ? recipe.model.contextLength : recipe.contextTokens;
  return {
    tokenizer,
    tokenizerFiles,
    description: {
      kind: 'files',
      questions: questions.length,
      questionsHash: questionsHash(all),
      corpusHash: index.info.corpusHash,
      template: JSON.stringify(template),
    },
    async chunk(phase, phaseIndex, chunk) {
      const examples: Example[] = [];
      for (let i = 0; examples.length < examplesPerChunk; i++) {
        const random = new Random(streamKey(recipe.seed, 'files', phaseIndex, chunk, i));
        const example = makeExample(phase, taught, ground, random);
        if (example.ids.length <= contextTokens) examples.push(example);
        else if (i > 4 * examplesPerChunk) throw tooLong(contextTokens);
      }
      return examples;
    },
    ...(!('model' in recipe) &&
      ({
        heldOut: (phase: Phase) =>
          heldOut
            .map((question) =>
              makeExample(phase, [question], ground, new Random(streamKey(recipe.seed, 'held-out', question.id))),
            )
            .filter(({ ids }) => ids.length <= contextTokens),
        measure: (policy, { signal, questions: count = measured.length, onProgress } = {}) =>
          measureQuestions(policy, measured.slice(0, count), {
            tokenizer,
            template,
            retriever: index,
            lookup: recipe.lookup,
            contextTokens,
            samples: recipe.measured.samples,
            seed: recipe.seed,
            signal,
            onProgress,
          }),
      } satisfies Partial<ExampleSource>)),
  };
}

/** Which questions are taught, which ones choose the best weights, and which ones are asked in the end. */
function keptApart(questions: readonly Question[], recipe: Recipe | PretrainedRecipe, file: string) {
  if ('model' in recipe) return { taught: questions, heldOut: [], measured: [] };
  const [chosen, asked] = [recipe.heldOut.questions, recipe.measured.questions];
  if (questions.length < 2 * (chosen + asked))
    throw new UserError(
      `${file}: ${questions.length} questions can be demonstrated, and ${chosen + asked} of them are to be kept from training`,
      { hint: 'Give more questions, or keep fewer: --set heldOut.questions=… --set measured.questions=…' },
    );
  const shuffled = new Random(streamKey(recipe.seed, 'kept from training')).shuffle(questions);
  return {
    heldOut: shuffled.slice(0, chosen),
    measured: shuffled.slice(chosen, chosen + asked),
    taught: shuffled.slice(chosen + asked),
  };
}

function tooLong(contextTokens: number): UserError {
  return new UserError(`most demonstrations are longer than the model's context of ${contextTokens} tokens`, {
    hint: 'Make observations shorter or searches fewer, or the context longer.',
  });
}

function makeExample(phase: Phase, questions: readonly Question[], ground: Ground, random: Random): Example {
  const { library, passages, tokenizer } = ground;
  switch (phase.kind) {
    case 'reading':
      return readingOnText(phase, questions, library, passages, tokenizer, random);
    case 'reader':
      return makeReading(phase, questions, ground, random);
    case 'agent':
      if (phase.reader && random.chance(phase.reader))
        return makeReading({ passages: ground.shown, unknown: phase.unknown }, questions, ground, random);
      return makeTrajectory(phase, questions, ground, random);
    case 'demonstrations':
      return makeTrajectory(phase, questions, ground, random);
  }
}

/** A single search's worth of passages, and the answer. */
function makeReading(
  shape: { readonly passages: number; readonly unknown: number },
  questions: readonly Question[],
  { library, tokenizer, observationTokens }: Ground,
  random: Random,
): Example {
  const question = random.choice(questions);
  return readerExample(
    tokenizer,
    question.question,
    readerExercise(shape, question, library, observationTokens, random),
  );
}

/** Draws for a trajectory that ends as it should. */
const ATTEMPTS = 50;

/** How an agent's trajectory ends is drawn first, in shares of its own, which the retriever would otherwise decide. */
function makeTrajectory(
  phase: Extract<Phase, { kind: 'demonstrations' | 'agent' }>,
  questions: readonly Question[],
  { library, tokenizer, template, observationTokens }: Ground,
  random: Random,
): Example {
  const manner = phase.kind === 'agent' ? plainManner : variedManner;
  const wanted = phase.kind === 'agent' ? drawEnd(phase, random) : null;
  for (let attempt = 1; ; attempt++) {
    const question = random.choice(questions);
    const { turns, expert } = random.chance(phase.imitation)
      ? imitateOnText(question, library, random, manner)
      : { turns: demonstrateOnText(question, library, random, manner), expert: undefined };
    if (wanted === null || wanted.includes(endOf(turns)) || attempt === ATTEMPTS)
      return trajectoryExample(tokenizer, template, question.question, turns, observationTokens, expert);
  }
}

/** The answer is shown by the first search, by a later one, or by none. */
type End = 'first' | 'later' | 'unknown';

function endOf(turns: readonly DemonstratedTurn[]): End {
  if (turns.at(-1)!.policy.endsWith(`<answer> ${UNKNOWN} </answer>`)) return 'unknown';
  return turns.some(({ policy }) => policy.includes(MISSED)) ? 'later' : 'first';
}

function drawEnd({ unknown, later }: Extract<Phase, { kind: 'agent' }>, random: Random): readonly End[] {
  if (random.chance(unknown)) return ['unknown'];
  if (later === undefined) return ['first', 'later'];
  return random.chance(later) ? ['later'] : ['first'];
}
