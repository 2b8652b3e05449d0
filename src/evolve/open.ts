/** Opens what a run works with: the embedded world and its base policy, or the user's own questions, passages and model. */
import { UserError } from '../base/errors.ts';
import { sha256 } from '../base/files.ts';
import type { Question } from '../base/question.ts';
import { streamKey } from '../base/random.ts';
import { emptyAnswersNote, trainableQuestions } from '../benchmarks/empty-answers.ts';
import { questionsHash, readQuestions } from '../benchmarks/questions.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { type HubOptions, locateModel } from '../checkpoint/hub-model.ts';
import { readConfig } from '../checkpoint/model-directory.ts';
import { loadTokenizer, tooManyIds } from '../checkpoint/tokenizer.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type EngineIdentity, isLocal, openEngine, remoteHome } from '../engines/open-engine.ts';
import type { Policy } from '../policy/policy.ts';
import type { Template } from '../protocol/template.ts';
import { openTemplate } from '../protocol/templates.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import { openRetriever } from '../retrieval/open-retriever.ts';
import type { OpenRetriever } from '../retrieval/retriever.ts';
import type { Trust } from '../retrieval/trust.ts';
import { keepAskable } from '../rollout/room.ts';
import { oracle } from '../world/demonstrations.ts';
import { generateWorld, type World } from '../world/generate.ts';
import { worldGold } from '../world/gold.ts';
import { evaluationQuestions, SUITES, trainingQuestions, type WorldQuestion } from '../world/suites.ts';
import type { Search } from '../world/turns.ts';
import { refuseUnable, shortcomings } from './capabilities.ts';
import { refuseUnknown } from './outside.ts';
import { refuseUnfit } from './requirements.ts';
import type { Settings } from './settings.ts';
import type { Setup, Suite } from './setup.ts';

/** What the user named; null = the embedded one. */
export interface Inputs {
  readonly questions: string | null;
  /** Whatever `openRetriever` takes: a corpus file, an index directory, the URL of a server. */
  readonly corpus: string | null;
  readonly tokenizer: string | null;
  /** A Hugging Face directory or a name on the Hub, `hf:owner/name[@revision]`. */
  readonly model: string | null;
  /** A built-in template's name or a file. */
  readonly template: string | null;
  readonly evaluate: readonly { readonly suite: string; readonly file: string }[];
  readonly threads: number | null;
}

/** The embedded world and its base policy. */
export const EMBEDDED_WORLD: Inputs = {
  questions: null,
  corpus: null,
  tokenizer: null,
  model: null,
  template: null,
  evaluate: [],
  threads: null,
};

/** SHA-256 of everything that a score depends on. */
export interface SetupHashes {
  readonly questions: string;
  readonly corpus: string;
  readonly evaluation: string;
  readonly template: string;
  readonly tokenizer: string;
  /** Null where the weights are not at hand: then the engine's identity stands for them. */
  readonly weights: string | null;
}

/** What was opened, and how to close all of it. */
export interface OpenedSetup {
  readonly setup: Setup;
  readonly hashes: SetupHashes;
  /** What a reader of the scores should know of the questions, a sentence each. */
  readonly notes: readonly string[];
  /** The engine of `setup.policy`. */
  readonly engine: EngineIdentity;
  /** Ends the engine, the retriever and their threads. */
  close(): Promise<void>;
}

/** What only this command can say, and no record of it. */
export interface OpenOptions extends HubOptions, Trust {
  /** Told what a person should know while the engine is open. */
  readonly onNote?: (text: string) => void;
}

/** Opens everything that a run works with. A model on the Hub is downloaded unless the cache has it. */
export async function openSetup(
  inputs: Inputs,
  settings: Settings,
  { onNote, ...named }: OpenOptions = {},
): Promise<OpenedSetup> {
  if ((inputs.questions === null) !== (inputs.corpus === null))
    throw new UserError(
      `${inputs.questions === null ? '--questions' : '--corpus'} is missing: questions and something to search go together`,
      {
        hint: 'Give both (--retriever serves as well as --corpus), or neither for the embedded world.',
      },
    );
  const embedded = inputs.questions === null;
  if (!embedded && inputs.model === null && isLocal(settings.engine))
    throw new UserError('--model is missing: the base policy of the embedded world cannot read other text', {
      hint: 'Give a Hugging Face directory or hf:OWNER/NAME (Qwen2, Qwen3, Llama), e.g. one made by `search-e1 warmup --questions … --corpus … --tokenizer … --out DIR`.',
    });

  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const each of opened.splice(0)) await each.close();
  };
  try {
    const data = embedded ? openWorld(settings) : await openFiles(inputs, named);
    opened.push(data.retriever);
    refuseUnknown(data.trainingQuestions, data, settings);
    const template = await openTemplate(inputs.template ?? (embedded ? 'world' : 'search-r1'));
    const { folder, tokenizerAt } = await beginning(inputs, settings, named);
    const tokenizer = await loadTokenizer(tokenizerAt);
    const { policy, identity, weights } = await openEngine(settings.engine, {
      folder,
      pieces: tokenizer.pieces,
      concurrency: settings.rollout.concurrency,
      threads: inputs.threads ?? undefined,
      seed: streamKey(settings.seed, 'engine')[0] >>> 1,
      onNote,
    });
    opened.push(policy);
    refuseUnable(identity.kind, policy, settings);
    for (const note of shortcomings(identity.kind, policy.capabilities, settings)) onNote?.(note);
    if (tokenizer.vocabulary > policy.info.vocabulary)
      throw tooManyIds(tokenizer, tokenizerAt, policy.info.vocabulary, folder ?? identity.kind);
    const hashes: SetupHashes = {
      questions: questionsHash(data.trainingQuestions),
      corpus: data.retriever.info.corpusHash,
      evaluation: questionsHash(data.suites.flatMap((suite) => suite.questions)),
      template: sha256(JSON.stringify(template)),
      tokenizer: tokenizer.hash,
      weights,
    };
    const notes = notesOn(data);
    if (embedded && inputs.model !== null && tokenizer.hash !== (await loadTokenizer(BASE_POLICY)).hash)
      notes.push(
        `${inputs.model} was not made for the embedded world, whose questions and passages are of made-up words: for your own data give --questions and --corpus`,
      );
    const askable = askableOf(data, settings, policy, tokenizer, template);
    return {
      setup: { ...askable.data, policy, tokenizer, template },
      hashes,
      engine: identity,
      notes: [...notes, ...askable.notes],
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function notesOn({ trainingQuestions, suites }: Data): string[] {
  const dropped = trainingQuestions.length - trainableQuestions(trainingQuestions).length;
  return [
    ...(dropped === 0
      ? []
      : [
          `${dropped} of ${trainingQuestions.length} training questions are left out: of their gold answers normalisation leaves nothing, so that anything would be rewarded`,
        ]),
    ...suites.flatMap(({ name, questions }) => emptyAnswersNote(name, questions) ?? []),
  ];
}

/**
 * Without the questions whose prompts leave no room for a turn: they would count as wrong answers.
 * @throws UserError when those are most of the training questions, or of a suite
 */
function askableOf(
  data: Data,
  { rollout }: Settings,
  policy: Policy,
  tokenizer: Tokenizer,
  template: Template,
): { readonly data: Data; readonly notes: readonly string[] } {
  const within = { tokenizer, template, limits: rollout, contextLength: policy.info.contextLength };
  const keep = (questions: readonly Question[], what: string) =>
    keepAskable(questions, within, what, (tokens) => `--set rollout.contextTokens=${tokens}`);
  const training = keep(data.trainingQuestions, 'training questions');
  const suites = data.suites.map(({ name, questions }) => ({ name, ...keep(questions, `questions of ${name}`) }));
  return {
    data: {
      ...data,
      trainingQuestions: training.askable,
      suites: suites.map(({ name, askable }) => ({ name, questions: askable })),
    },
    notes: [training, ...suites].flatMap(({ note }) => note ?? []),
  };
}

/** Where the policy begins, null on a server, and where its tokenizer is. */
async function beginning(
  inputs: Inputs,
  { engine, ...settings }: Settings,
  hub: HubOptions,
): Promise<{ readonly folder: string | null; readonly tokenizerAt: string }> {
  if (isLocal(engine)) {
    const { folder } = await locateModel(inputs.model ?? BASE_POLICY, hub);
    const threads = inputs.threads === null ? {} : { threads: inputs.threads };
    refuseUnfit(await readConfig(folder), { ...settings, engine }, threads);
    return { folder, tokenizerAt: inputs.tokenizer ?? folder };
  }
  // What a warm-up left there is named by its folder.
  if (inputs.model !== null && (await remoteHome(inputs.model)) !== undefined)
    return { folder: inputs.model, tokenizerAt: inputs.tokenizer ?? inputs.model };
  if (inputs.model !== null) throw modelBesideServer(engine.url);
  if (inputs.tokenizer === null) throw tokenizerMissing(engine.baseModel);
  return { folder: null, tokenizerAt: inputs.tokenizer };
}

/** A training server has its model, and does not hand its tokenizer out. */
export function modelBesideServer(url: string): UserError {
  return new UserError(`--model: the server at ${url} has its own, engine.baseModel names it`, {
    hint: 'Leave --model out, and give its tokenizer: --tokenizer DIR.',
  });
}

export function tokenizerMissing(baseModel: string): UserError {
  return new UserError(`--tokenizer is missing: the one of ${baseModel}, which servers do not hand out`, {
    hint: "Give the model's directory, or its tokenizer.json.",
  });
}

type Data = Pick<Setup, 'trainingQuestions' | 'suites' | 'gold' | 'demonstrate'> & {
  readonly retriever: OpenRetriever;
};

function openWorld(settings: Settings): Data {
  const world = generateWorld(settings.world.seed, settings.world.size);
  const index = new Bm25Index(world.passages, { analyzer: 'words' });
  const search: Search = (query, k) => index.searchNow(query, k).map(({ passage }) => passage);
  const gold = worldGold(world);
  return {
    retriever: index,
    demonstrate: (question) => (gold(question) ? oracle(world, question as WorldQuestion, search) : undefined),
    trainingQuestions: worldQuestions(world, settings.world),
    gold,
    // Asking for more questions extends a suite at its end.
    suites: SUITES.map((name) => ({
      name,
      questions: evaluationQuestions(world, name, settings.evaluation.questions),
    })),
  };
}

/** @throws UserError when the world has too few */
function worldQuestions(world: World, { trainingQuestions: count, hops }: Settings['world']): Question[] {
  try {
    return trainingQuestions(world, count, hops);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(`world.trainingQuestions: ${error.message}`, {
      hint: 'Ask for fewer, for other numbers of hops (world.hops), or raise world.size.',
    });
  }
}

async function openFiles(inputs: Inputs, trust: Trust): Promise<Data> {
  const suites: Suite[] = [];
  for (const { suite, file } of inputs.evaluate) suites.push({ name: suite, questions: await readQuestions(file) });
  const names = suites.map((suite) => suite.name);
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) throw new UserError(`--evaluate names the suite ${repeated} twice`);
  const ids = new Set<string>();
  for (const { name, questions } of suites)
    for (const { id } of questions) {
      if (ids.has(id)) throw new UserError(`the question id ${id} of suite ${name} occurs in another suite as well`);
      ids.add(id);
    }
  const questions = await readQuestions(inputs.questions!);
  const shared = questions.find((q) => ids.has(q.id));
  if (shared)
    throw new UserError(`${inputs.questions}: question ${shared.id} is in an evaluation suite too`, {
      hint: 'Train on other questions.',
    });
  return {
    retriever: await openRetriever(inputs.corpus!, trust),
    trainingQuestions: questions,
    suites,
  };
}
