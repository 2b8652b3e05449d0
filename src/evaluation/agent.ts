/** A search agent ready to be asked: a policy of any kind, a retriever and a template behind one function. */

import { sha256 } from '../base/files.ts';
import { streamKey } from '../base/random.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { TextModelInfo } from '../policy/text-model.ts';
import type { Segment } from '../protocol/authors.ts';
import type { RetrieverInfo } from '../retrieval/retriever.ts';
import { type Environment, rollOutOne } from '../rollout/rollout.ts';
import { segments } from '../rollout/segments.ts';
import { rollOutText, type TextSegment, type TextSurroundings } from '../rollout/text-rollout.ts';
import { policyTokenCount, type Trajectory } from '../rollout/trajectory.ts';
import { defaultDeadlines, type RolloutEvent, type RolloutLimits } from '../rollout/turns.ts';
import type { World } from '../world/generate.ts';
import { type AskedLimits, modeOf, type NamedAgentInputs, openNamedAgent } from './named-agent.ts';
import type { EnginePolicy } from './named-policy.ts';

export interface AgentOptions extends Partial<NamedAgentInputs> {
  /** Over the limits that the policy was trained with. */
  readonly limits?: AskedLimits;
  /** 0 = greedy. Default 0. */
  readonly temperature?: number;
  /** Default 1. */
  readonly seed?: number;
}

/** One question's work, from prompt to answer. */
export interface Asked
  extends Pick<Trajectory, 'searches' | 'stop' | 'failure' | 'answer' | 'wellFormed' | 'grounded'> {
  readonly question: string;
  /** ids: token by token in the embedded engine; chat, raw: see `TextSurroundings`. */
  readonly mode: 'ids' | 'chat' | 'raw';
  readonly prompt: string;
  /** Everything after the prompt, in order; for served models with times and counts. */
  readonly segments: readonly (Segment | TextSegment)[];
  /** The very token ids, of the embedded engine. */
  readonly tokens?: Pick<Trajectory, 'prompt' | 'ids' | 'mask' | 'logprobs'>;
  /** Null where the model does not count. */
  readonly newTokens: number | null;
  readonly seconds: number;
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
  /** The same question and seed bring the same answer, where the model can keep that promise. Failures are stop reasons. */
  ask(question: string, signal?: AbortSignal, onEvent?: (event: RolloutEvent) => void): Promise<Asked>;
  close(): Promise<void>;
}

/** @throws UserError naming what cannot be opened, and why */
export async function openAgent(options: AgentOptions = {}): Promise<Agent> {
  const { temperature = 0, seed = 1 } = options;
  const inputs = { policy: undefined, retriever: undefined, template: undefined, concurrency: 1, ...options };
  const opened = await openNamedAgent(inputs, options.limits ?? {});
  try {
    const { policy, retriever, world, template, limits } = opened;
    const shared = { retriever, template, limits, deadlines: defaultDeadlines, temperature };
    const ask =
      policy.kind === 'engine'
        ? askOnIds({ ...shared, ...policy }, seed)
        : askOnText({ ...shared, ...policy, mode: modeOf(policy, template), seed });
    const spoken = world === undefined ? (text: string) => text : inWorldSpelling;
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
      async ask(question, signal, onEvent) {
        const started = performance.now();
        const asked = await ask(spoken(question), signal, onEvent);
        return { question, ...asked, seconds: (performance.now() - started) / 1000 };
      },
      close: () => opened.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

function policyOf({ name, weights, policy }: EnginePolicy): TextModelInfo {
  return { engine: policy.info.engine, name, weights, deterministic: policy.capabilities.deterministic };
}

/** Questions as the embedded world spells them: lower case, a space before "'s" and the last mark. */
function inWorldSpelling(question: string): string {
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
  signal: AbortSignal | undefined,
  onEvent: ((event: RolloutEvent) => void) | undefined,
) => Promise<Omit<Asked, 'question' | 'seconds'>>;

/** A question that nobody has gold answers for; known by its own text. */
const asQuestion = (text: string) => ({ id: text, dataset: 'asked', question: text, answers: [] });

function askOnIds(environment: Environment, seed: number): Ask {
  return async (text, signal, onEvent) => {
    const task = { question: asQuestion(text), rollout: 0, key: streamKey(seed, 'ask', text) };
    const trajectory = await rollOutOne(task, environment, signal, onEvent);
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
      newTokens: policyTokenCount(trajectory),
    };
  };
}

function askOnText(environment: TextSurroundings): Ask {
  return async (text, signal, onEvent) => {
    const task = { question: asQuestion(text), rollout: 0 };
    const { mode, prompt, segments, searches, stop, failure, answer, wellFormed, grounded, newTokens } =
      await rollOutText(task, environment, signal, onEvent);
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
      newTokens,
    };
  };
}
