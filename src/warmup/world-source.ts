/**
 * Examples from embedded worlds that are used for nothing else. A policy that was warmed up on them has seen every kind of
 * question and no fact of the world that it is trained and evaluated on.
 */
import { UserError } from '../base/errors.ts';
import { sha256 } from '../base/files.ts';
import { Random, streamKey } from '../base/random.ts';
import { tokenizerFromJson } from '../checkpoint/tokenizer.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { worldTemplate } from '../protocol/templates.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import { demonstrate, type Habits } from '../world/demonstrations.ts';
import { firstWarmUpWorld, generateWorld, type World } from '../world/generate.ts';
import { imitate } from '../world/imitation.ts';
import { readingExample } from '../world/reading.ts';
import { warmupQuestion } from '../world/suites.ts';
import type { Search } from '../world/turns.ts';
import { worldTokenizerJson } from '../world/vocabulary.ts';
import type { Example, ExampleSource } from './examples.ts';
import { measureInWorld } from './measure.ts';
import type { Phase, Recipe } from './recipe.ts';
import { trajectoryExample } from './trajectory-example.ts';

/** A chunk mixes examples of several worlds, and every chunk has new ones. */
const worldsPerChunk = 4;
const examplesPerWorld = 250;
/** Seeds of one warm-up: at most so many chunks a phase, phases and recipe seeds do not overlap. */
const worldsPerPhase = 10_000;
/** Weight of the text around the words that a reading exercise is about. */
const readingContextWeight = 0.07;

export function worldSource(recipe: Recipe): ExampleSource {
  const tokenizerFiles = { json: worldTokenizerJson() };
  const tokenizer = tokenizerFromJson(tokenizerFiles.json);
  const firstWorld = firstWarmUpWorld + recipe.seed * 10 * worldsPerPhase;
  return {
    tokenizer,
    tokenizerFiles,
    description: { kind: 'world', firstWorld, worldsPerChunk, examplesPerWorld, examplesHash: examplesHash(tokenizer) },
    async chunk(phase, phaseIndex, chunk) {
      const examples: Example[] = [];
      for (let i = 0; i < worldsPerChunk; i++) {
        const worldSeed = firstWorld + phaseIndex * worldsPerPhase + chunk * worldsPerChunk + i;
        examples.push(...examplesOfWorld(worldSeed, phase, tokenizer, recipe.lookup.observationTokens, recipe.habits));
      }
      return examples;
    },
    measure: async (policy, options) => ({ ...(await measureInWorld(policy, tokenizer, options)) }),
  };
}

/** Changes with anything that the examples depend on: world, questions, demonstrations, retrieval, templates, tokenizer. */
function examplesHash(tokenizer: Tokenizer): string {
  const reading: Phase = { kind: 'reading', steps: 1, articles: 2, statements: 2 };
  const demonstrations: Phase = { kind: 'demonstrations', steps: 1, imitation: 0.5 };
  const examples = [reading, demonstrations].flatMap((phase) =>
    examplesOfWorld(firstWarmUpWorld, phase, tokenizer, 120),
  );
  return sha256(JSON.stringify(examples.map(({ ids, weights }) => [ids, [...weights]])));
}

function examplesOfWorld(
  seed: number,
  phase: Phase,
  tokenizer: Tokenizer,
  observationTokens: number,
  habits?: Habits,
): Example[] {
  const world = generateWorld(seed);
  const random = new Random(streamKey('warm-up', seed));
  if (phase.kind === 'reading')
    return repeat(examplesPerWorld, () => {
      const { text, targets } = readingExample(world, random, phase.articles, phase.statements);
      // Each word of the world's language is one token.
      const weights = Float32Array.from(targets, (target) => (target ? 1 : readingContextWeight));
      return { ids: tokenizer.encode(text), weights };
    });
  if (phase.kind !== 'demonstrations')
    throw new UserError(`a phase of kind ${phase.kind} needs questions and passages of your own`, {
      hint: 'Give --questions and --corpus.',
    });
  const index = new Bm25Index(world.passages, { analyzer: 'words' });
  const search: Search = (query, k) => index.searchNow(query, k).map(({ passage }) => passage);
  return repeat(examplesPerWorld, () =>
    demonstration(world, search, phase.imitation, random, tokenizer, observationTokens, habits),
  );
}

function demonstration(
  world: World,
  search: Search,
  imitationShare: number,
  random: Random,
  tokenizer: Tokenizer,
  observationTokens: number,
  habits: Habits | undefined,
): Example {
  const question = warmupQuestion(world, random);
  if (!random.chance(imitationShare)) {
    const turns = demonstrate(world, question, search, random, habits && { habits });
    return trajectoryExample(tokenizer, worldTemplate, question.question, turns, observationTokens);
  }
  const { expert, turns } = imitate(world, question, search, random, habits);
  return trajectoryExample(tokenizer, worldTemplate, question.question, turns, observationTokens, expert);
}

function repeat<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
