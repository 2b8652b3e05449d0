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
import { demonstrateOnText, imitateOnText, isDemonstrable, type Library } from './real-demonstrations.ts';
import { readingOnText } from './real-reading.ts';
import type { Phase, Recipe } from './recipe.ts';
import { trajectoryExample } from './trajectory-example.ts';

export interface FileInputs {
  /** Question file; lines without gold_ids are passed over. */
  readonly questions: string;
  readonly corpus: string;
  /** A tokenizer.json, or a folder with one. */
  readonly tokenizer: string;
  readonly template: Template;
}

const examplesPerChunk = 250;

/** Reads the files, indexes the passages, and keeps the questions that can be demonstrated. UserError when none can. */
export async function filesSource(
  inputs: FileInputs,
  recipe: Recipe,
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
    search: (query) => index.searchNow(query, k),
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
        const example = makeExample(
          phase,
          questions,
          library,
          passages,
          template,
          tokenizer,
          observationTokens,
          random,
        );
        if (example.ids.length <= recipe.model.contextLength) examples.push(example);
        else if (i > 4 * examplesPerChunk)
          throw new UserError(
            `most demonstrations are longer than the model's context of ${recipe.model.contextLength} tokens`,
            {
              hint: 'Make observations shorter or searches fewer, or the context longer.',
            },
          );
      }
      return examples;
    },
  };
}

function makeExample(
  phase: Phase,
  questions: readonly Question[],
  library: Library,
  passages: readonly Passage[],
  template: Template,
  tokenizer: Tokenizer,
  observationTokens: number,
  random: Random,
): Example {
  if (phase.kind === 'reading') return readingOnText(phase, questions, library, passages, tokenizer, random);
  const question = random.choice(questions);
  if (!random.chance(phase.imitation)) {
    const turns = demonstrateOnText(question, library, random);
    return trajectoryExample(tokenizer, template, question.question, turns, observationTokens);
  }
  const { expert, turns } = imitateOnText(question, library, random);
  return trajectoryExample(tokenizer, template, question.question, turns, observationTokens, expert);
}
