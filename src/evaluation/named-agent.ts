/** A policy by its name, with what it searches, its template and its limits: as the user says, else as it was trained. */
import { UserError } from '../base/errors.ts';
import { presets } from '../evolve/presets.ts';
import type { Template } from '../protocol/template.ts';
import { openTemplate } from '../protocol/templates.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import { openRetriever } from '../retrieval/open-retriever.ts';
import type { OpenRetriever } from '../retrieval/retriever.ts';
import type { Trust } from '../retrieval/trust.ts';
import { defaultLimits, type RolloutLimits } from '../rollout/turns.ts';
import { generateWorld, type World } from '../world/generate.ts';
import { type NamedPolicy, type NamedPolicyOptions, openNamedPolicy, type ServedPolicy } from './named-policy.ts';

export interface NamedAgentInputs extends NamedPolicyOptions, Trust {
  /** See named-policy.ts; undefined = the embedded base policy. */
  readonly policy: string | undefined;
  /** What `openRetriever` takes, or "world"; undefined = what the policy was trained with. */
  readonly retriever: string | undefined;
  /** A built-in template's name or a file; undefined = what the policy was trained with. */
  readonly template: string | undefined;
}

/** Has to be closed. */
export interface NamedAgent {
  readonly policy: NamedPolicy;
  readonly retriever: OpenRetriever;
  /** The embedded world, where that is what is searched. */
  readonly world: World | undefined;
  readonly template: Template;
  readonly limits: RolloutLimits;
  close(): Promise<void>;
}

/** What a user says about limits; undefined = as the policy was trained. */
export type AskedLimits = Readonly<Partial<Record<keyof RolloutLimits, number | undefined>>>;

const WORLD = 'world';

/**
 * @param limits over those that the policy was trained with
 * @throws UserError that names what cannot be opened, and why
 */
export async function openNamedAgent(inputs: NamedAgentInputs, limits: AskedLimits): Promise<NamedAgent> {
  const policy = await openNamedPolicy(inputs.policy, inputs);
  try {
    const { retriever, world } = await openSearched(inputs.retriever, policy, inputs);
    try {
      const run = policy.kind === 'engine' ? policy.run : null;
      // A served model may search the world, but it does not speak the world's language.
      const speaksWorld = policy.kind === 'engine' && world !== undefined;
      const usual = speaksWorld ? 'world' : 'search-r1';
      const template = await openTemplate(inputs.template ?? run?.inputs.template ?? usual);
      const trained = run?.settings.rollout ?? (speaksWorld ? presets.default.rollout : defaultLimits);
      const close = async () => {
        await policy.close();
        await retriever.close();
      };
      return { policy, retriever, world, template, limits: limitsOver(trained, limits), close };
    } catch (error) {
      await retriever.close();
      throw error;
    }
  } catch (error) {
    await policy.close();
    throw error;
  }
}

/** A template that is no chat message is a text to be continued. */
export function modeOf({ raw }: ServedPolicy, template: Template): 'chat' | 'raw' {
  return raw || !template.chat ? 'raw' : 'chat';
}

async function openSearched(
  spec: string | undefined,
  policy: NamedPolicy,
  trust: Trust,
): Promise<{ retriever: OpenRetriever; world?: World }> {
  const run = policy.kind === 'engine' ? policy.run : null;
  const ofWorld = policy.kind === 'engine' && policy.ofWorld;
  const searched = spec ?? run?.inputs.corpus ?? (ofWorld ? WORLD : undefined);
  if (searched === undefined)
    throw new UserError('--retriever is missing: what shall this policy search in?', {
      hint: 'Give a corpus (JSONL), an index or a URL; `--retriever world` for a policy of the embedded world.',
    });
  if (searched !== WORLD) return { retriever: await openRetriever(searched, trust) };
  const { seed, size } = (run?.settings ?? presets.default).world;
  const world = generateWorld(seed, size);
  return { retriever: new Bm25Index(world.passages, { analyzer: 'words' }), world };
}

/** The limits alone, in a fixed order, of settings that may hold more. More searches and longer turns make room for themselves. */
function limitsOver(trained: RolloutLimits, asked: AskedLimits): RolloutLimits {
  const limit = (name: keyof RolloutLimits) => asked[name] ?? trained[name];
  const [searches, turnTokens, observationTokens] = [
    limit('searches'),
    limit('turnTokens'),
    limit('observationTokens'),
  ];
  const moreSearches = Math.max(0, searches - trained.searches);
  const moreWords = moreSearches * turnTokens + Math.max(0, turnTokens - trained.turnTokens) * (trained.searches + 1);
  return {
    searches,
    invalidTurns: limit('invalidTurns'),
    turnTokens,
    responseTokens: asked.responseTokens ?? trained.responseTokens + moreWords,
    observationTokens,
    contextTokens: asked.contextTokens ?? trained.contextTokens + moreWords + moreSearches * observationTokens,
    passages: limit('passages'),
  };
}
