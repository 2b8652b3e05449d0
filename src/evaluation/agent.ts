/** A search agent ready to be asked: a policy of any kind, a retriever and a template behind one function. */

import { UserError } from '../base/errors.ts';
import { sha256 } from '../base/files.ts';
import { streamKey } from '../base/random.ts';
import { exactMatch } from '../benchmarks/exact-match.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { ChatMessage, TextModelInfo } from '../policy/text-model.ts';
import type { Segment } from '../protocol/authors.ts';
import type { Hit, Retriever, RetrieverInfo } from '../retrieval/retriever.ts';
import { batchSearches } from '../rollout/batched-search.ts';
import { type Environment, rollOutOne } from '../rollout/rollout.ts';
import { segments } from '../rollout/segments.ts';
import { rollOutText, type TextSegment, type TextSurroundings, type TextTrajectory } from '../rollout/text-rollout.ts';
import { isFailure, policyTokenCount, type Trajectory } from '../rollout/trajectory.ts';
import { defaultDeadlines, type RolloutEvent, type RolloutLimits } from '../rollout/turns.ts';
import type { World } from '../world/generate.ts';
import { remembering } from './found.ts';
import { openGold } from './gold.ts';
import { type AskedLimits, modeOf, type NamedAgentInputs, openNamedAgent } from './named-agent.ts';
import type { EnginePolicy } from './named-policy.ts';

export interface AgentOptions extends Partial<NamedAgentInputs> {
  /** Over the limits that the policy was trained with. */
  readonly limits?: AskedLimits;
  /** 0 = greedy. Default 0. */
  readonly temperature?: number;
  /** Default 1. */
  readonly seed?: number;
  /** Question files: questions that stand in them are judged. Those of the policy's run and of the embedded world are known anyway. */
  readonly questions?: readonly string[];
}

/** What is to be different for one question. */
export interface AskOptions {
  readonly signal?: AbortSignal | undefined;
  /** Follows the work, as it happens; it changes nothing in it. */
  readonly onEvent?: ((event: RolloutEvent) => void) | undefined;
  /** Default: the agent's, as for all that follows. */
  readonly temperature?: number | undefined;
  readonly seed?: number | undefined;
  readonly limits?: Partial<RolloutLimits> | undefined;
  /** Earlier turns of a conversation, for models that others serve as chats alone: a policy that was trained on questions has never seen one. */
  readonly earlier?: readonly ChatMessage[] | undefined;
}

/** One question's work, from prompt to answer. */
export interface Asked
  extends Pick<Trajectory, 'searches' | 'stop' | 'failure' | 'answer' | 'wellFormed' | 'grounded'>,
    Pick<TextTrajectory, 'reasoningOnly' | 'leftOut'> {
  readonly question: string;
  /** Null where none are known; then nothing is judged. */
  readonly gold: readonly string[] | null;
  readonly exactMatch: 0 | 1 | null;
  /** ids: token by token in the embedded engine; chat, raw: see `TextSurroundings`. */
  readonly mode: 'ids' | 'chat' | 'raw';
  readonly prompt: string;
  /** Everything after the prompt, in order; for served models with times and counts. */
  readonly segments: readonly (Segment | TextSegment)[];
  /** The very token ids, of the embedded engine. */
  readonly tokens?: Pick<Trajectory, 'prompt' | 'ids' | 'mask' | 'logprobs'>;
  /** Of all turns together, each prompt with what came before it; null where the model does not count. */
  readonly promptTokens: number | null;
  readonly newTokens: number | null;
  readonly seconds: number;
  /** What each search found, best first. */
  readonly found: readonly (readonly Hit[])[];
}

export interface Agent {
  /** What answers depend on, for the record. */
  readonly about: {
    readonly policy: TextModelInfo;
    readonly retriever: RetrieverInfo;
    readonly template: { readonly name: string; readonly sha256: string };
    readonly limits: RolloutLimits;
    readonly temperature: number;
    readonly seed: number;
  };
  /** The embedded world that the agent searches in, if it is one. */
  readonly world: World | undefined;
  /** The words of a question that a policy with a vocabulary of whole words does not have; it cannot read them. */
  unknownWords(question: string): string[];
  /** Whether `earlier` turns can be given to this policy. */
  readonly converses: boolean;
  /** What it searches, for a search of one's own. */
  readonly retriever: Pick<Retriever, 'search'>;
  /**
   * The same question and seed bring the same answer, where the model can keep that promise, whatever is asked beside it.
   * Failures are stop reasons.
   * @throws UserError for earlier turns that the policy cannot be given
   */
  ask(question: string, options?: AskOptions): Promise<Asked>;
  close(): Promise<void>;
}

/** @throws UserError naming what cannot be opened, and why */
export async function openAgent(options: AgentOptions = {}): Promise<Agent> {
  const { temperature = 0, seed = 1 } = options;
  const inputs = { policy: undefined, retriever: undefined, template: undefined, concurrency: 1, ...options };
  const opened = await openNamedAgent(inputs, options.limits ?? {});
  try {
    const { policy, retriever, world, template, limits } = opened;
    // Questions under way at a time search together.
    const together = { search: batchSearches((queries, k, signal) => retriever.search(queries, k, signal)) };
    const shared = { retriever: together, template, limits, deadlines: defaultDeadlines, temperature };
    const ask =
      policy.kind === 'engine'
        ? askOnIds({ ...shared, ...policy }, seed)
        : askOnText({ ...shared, ...policy, mode: modeOf(policy, template), seed });
    const spoken = world === undefined ? (text: string) => text : inWorldSpelling;
    const converses = policy.kind === 'served' && modeOf(policy, template) === 'chat';
    const run = policy.kind === 'engine' ? policy.run : null;
    const goldOf = await openGold({
      named: options.questions ?? [],
      ofRun: [run?.inputs.questions ?? [], ...(run?.inputs.evaluate ?? []).map(({ file }) => file)].flat(),
      world,
      spelled: spoken,
    });
    return {
      about: {
        policy: policy.kind === 'engine' ? policyOf(policy) : policy.model.info,
        retriever: retriever.info,
        template: { name: template.name, sha256: sha256(JSON.stringify(template)) },
        limits,
        temperature,
        seed,
      },
      world,
      unknownWords: (text) => (policy.kind === 'engine' ? unknownWords(policy.tokenizer, spoken(text)) : []),
      converses,
      retriever,
      async ask(question, asking = {}) {
        if ((asking.earlier ?? []).length > 0 && !converses) throw new UserError(ONE_QUESTION);
        const started = performance.now();
        const { found, ...asked } = await ask(spoken(question), asking);
        const gold = goldOf(question) ?? null;
        return {
          question,
          ...asked,
          gold,
          exactMatch: gold === null || isFailure(asked.stop) ? null : exactMatch(asked.answer ?? '', gold),
          seconds: (performance.now() - started) / 1000,
          found,
        };
      },
      close: () => opened.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

const ONE_QUESTION =
  'this policy was trained on single questions and cannot be given earlier turns or a system message: ' +
  'send one user message that holds all it needs to know';

function policyOf({ name, weights, policy }: EnginePolicy): TextModelInfo {
  return { engine: policy.info.engine, name, weights, deterministic: true };
}

/** Questions as the embedded world spells them: lower case, a space before "'s" and the last mark. */
export function inWorldSpelling(question: string): string {
  return question
    .toLowerCase()
    .replace(/'s\b|[?.]/g, ' $&')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Word-level tokenizers have one id for whatever they do not know. */
function unknownWords(tokenizer: Tokenizer, text: string): string[] {
  const unknown = tokenizer.encode('<unk>');
  if (unknown.length > 1) return [];
  return text.split(/\s+/).filter((word) => tokenizer.encode(word).includes(unknown[0]!));
}

type Ask = (
  question: string,
  options: AskOptions,
) => Promise<Omit<Asked, 'question' | 'seconds' | 'gold' | 'exactMatch'>>;

/** A question that nobody has gold answers for; known by its own text. */
const asQuestion = (text: string) => ({ id: text, dataset: 'asked', question: text, answers: [] });

function askOnIds(environment: Environment, agentSeed: number): Ask {
  return async (text, { signal, onEvent, temperature, seed = agentSeed, limits }) => {
    const task = {
      question: asQuestion(text),
      rollout: 0,
      key: streamKey(seed, 'ask', text),
      limits: { ...environment.limits, ...limits },
      ...(temperature !== undefined && { temperature }),
    };
    const retriever = remembering(environment.retriever);
    const trajectory = await rollOutOne(task, { ...environment, retriever }, signal, onEvent);
    const { searches, stop, failure, answer, wellFormed, grounded, prompt, ids, mask, logprobs } = trajectory;
    return {
      mode: 'ids',
      prompt: environment.tokenizer.decode(prompt),
      segments: segments(trajectory, environment.tokenizer),
      searches,
      stop,
      ...(failure !== undefined && { failure }),
      answer,
      wellFormed,
      grounded,
      tokens: { prompt, ids, mask, logprobs },
      promptTokens: prompt.length,
      newTokens: policyTokenCount(trajectory),
      found: retriever.found,
    };
  };
}

function askOnText(environment: TextSurroundings): Ask {
  return async (text, { signal, onEvent, temperature, seed, limits, earlier }) => {
    const retriever = remembering(environment.retriever);
    const around: TextSurroundings = {
      ...environment,
      retriever,
      limits: { ...environment.limits, ...limits },
      temperature: temperature ?? environment.temperature,
      seed: seed ?? environment.seed,
    };
    const task = { question: asQuestion(text), rollout: 0, ...(earlier && { earlier }) };
    const trajectory = await rollOutText(task, around, signal, onEvent);
    const { mode, prompt, segments, searches, stop, failure, answer, wellFormed, grounded } = trajectory;
    const { promptTokens, newTokens, reasoningOnly, leftOut } = trajectory;
    return {
      mode,
      prompt,
      segments,
      searches,
      stop,
      ...(failure !== undefined && { failure }),
      answer,
      wellFormed,
      grounded,
      promptTokens,
      newTokens,
      ...(reasoningOnly !== undefined && { reasoningOnly }),
      ...(leftOut !== undefined && { leftOut }),
      found: retriever.found,
    };
  };
}
