/**
 * A policy by the one word that a user gives for it.
 *
 *     (nothing)                    the embedded base policy
 *     http://HOST:PORT/v1#MODEL    a served model
 *     RUN, RUN#STAGE               a run directory: the training stage that ended last, or the one named
 *     DIR, FILE.gguf               a Hugging Face model directory, or a GGUF file
 *     hf:OWNER/NAME                either from the Hub
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { apiKeyFor } from '../base/api-key.ts';
import { UserError } from '../base/errors.ts';
import { isAddress, parseAddress } from '../base/served-address.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { type LocatedModel, locateModel } from '../checkpoint/hub-model.ts';
import { loadTokenizer, tooManyIds } from '../checkpoint/tokenizer.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type DeviceChoice, EMBEDDED, measuring, openEngine, openServed } from '../engines/open-engine.ts';
import type { Policy } from '../policy/policy.ts';
import type { TextModel } from '../policy/text-model.ts';
import { Checkpoints, splitStage } from '../runs/checkpoints.ts';
import type { RunConfig } from '../runs/config-record.ts';
import { RunFiles } from '../runs/run-files.ts';
import { readManifest } from '../warmup/manifest.ts';

export type NamedPolicy = EnginePolicy | ServedPolicy;

/** On an engine of our own: token ids. */
export interface EnginePolicy {
  readonly kind: 'engine';
  readonly name: string;
  /** SHA-256 of the weights' file; null where they are not at hand. */
  readonly weights: string | null;
  readonly policy: Policy;
  readonly tokenizer: Tokenizer;
  /** The run that it comes from. */
  readonly run: RunConfig | null;
  /** It comes with the package or from a run on the embedded world, and knows that world's language only. */
  readonly ofWorld: boolean;
  close(): Promise<void>;
}

/** Behind a server: text. */
export interface ServedPolicy {
  readonly kind: 'served';
  readonly model: TextModel;
  /** Everything goes to it as one text by /completions, in place of messages. */
  readonly raw: boolean;
  /** Puts messages into the model's own chat template before they are sent as a raw text. */
  readonly chatTemplate: Tokenizer | undefined;
  close(): Promise<void>;
}

export interface NamedPolicyOptions {
  /** Requests, or sequences, under way at a time. */
  readonly concurrency: number;
  readonly threads?: number | undefined;
  /** What the embedded engine computes on; default `auto`. */
  readonly device?: DeviceChoice | undefined;
  /** Take a model of the Hub from the cache only. */
  readonly offline?: boolean | undefined;
  /** Finds a model of the Hub, in place of `locateModel`: for a command that shows the download. */
  readonly locate?: ((place: string) => Promise<LocatedModel>) | undefined;
  /** A tokenizer.json, or the folder that holds one: in place of the model's own; of a served model with `raw`, its chat template. */
  readonly tokenizer?: string | undefined;
  /** Ask a served model by /completions. */
  readonly raw?: boolean | undefined;
  /** Hears what a user should know of the model, in sentences. */
  readonly onNote?: ((text: string) => void) | undefined;
  /** The environment's variable that holds the key of a served model. */
  readonly apiKeyEnv?: string | undefined;
}

/** Opens it; it has to be closed. Throws a UserError that names what cannot be opened, and why. */
export async function openNamedPolicy(spec: string | undefined, options: NamedPolicyOptions): Promise<NamedPolicy> {
  if (spec !== undefined && isAddress(spec)) {
    const address = parseAddress(spec);
    const { raw = false, tokenizer, concurrency, apiKeyEnv, device = 'auto' } = options;
    if (device !== 'auto')
      throw new UserError(`--device ${device}: ${spec} is computed by its server`, { hint: 'Leave --device out.' });
    if (tokenizer !== undefined && !raw)
      throw new UserError('--tokenizer: a served chat model uses its own', { hint: 'It goes with --raw.' });
    const chatTemplate = tokenizer === undefined ? undefined : await loadTokenizer(tokenizer);
    const apiKey = apiKeyFor(address.url, apiKeyEnv);
    const model = await openServed(address, { apiKey, concurrency, ...(raw && { completions: { chatTemplate } }) });
    return { kind: 'served', model, raw, chatTemplate, close: () => model.close() };
  }
  if (options.raw)
    throw new UserError('--raw: only a served model is asked by /completions', {
      hint: 'Leave it out: a model of the embedded engine is given its very tokens.',
    });
  if (spec?.startsWith('hf:')) {
    const locate = options.locate ?? ((name) => locateModel(name, options.offline ? { offline: true } : {}));
    const { folder, place } = await locate(spec);
    return openFolder(folder, place, options, {});
  }
  if (spec === undefined) return openFolder(BASE_POLICY, 'base', options, { ofWorld: true });
  const [folder, stage] = splitStage(spec);
  if (!existsSync(folder))
    throw new UserError(`--policy ${spec}: there is no directory ${folder}`, {
      hint: 'Expected a model directory, FILE.gguf, RUN or RUN#STAGE, hf:OWNER/NAME, or http://HOST:PORT/v1#MODEL.',
    });
  if (existsSync(path.join(folder, 'checkpoints', 'latest.json'))) return openRun(folder, stage, options);
  if (stage !== undefined)
    throw new UserError(`${folder}: not a run directory, so it has no stage ${stage}`, {
      hint: 'Give the directory that `search-e1 evolve` wrote to.',
    });
  return openFolder(folder, path.basename(path.resolve(folder)), options, { ofWorld: await isOfWorld(folder) });
}

/** A warmed-up policy says in its manifest what it was made of. */
async function isOfWorld(folder: string): Promise<boolean> {
  return existsSync(path.join(folder, 'manifest.json')) && (await readManifest(folder)).source.kind === 'world';
}

async function openRun(folder: string, name: string | undefined, options: NamedPolicyOptions): Promise<EnginePolicy> {
  const run = await new RunFiles(folder).config();
  const { stage, folder: checkpoint } = await new Checkpoints(path.join(folder, 'checkpoints')).trained(name);
  // A checkpoint holds weights; the tokenizer stayed where the run took it from.
  const hub = options.offline ? { offline: true } : {};
  const tokenizer = run.inputs.tokenizer ?? (await locateModel(run.inputs.model ?? BASE_POLICY, hub)).folder;
  const title = `${path.basename(path.resolve(folder))}#${stage}`;
  return openFolder(checkpoint, title, options, { tokenizer, run, ofWorld: run.inputs.questions === null });
}

async function openFolder(
  folder: string,
  name: string,
  { concurrency, threads, device, tokenizer: tokenizerGiven, onNote }: NamedPolicyOptions,
  {
    tokenizer: tokenizerFrom = folder,
    run = null,
    ofWorld = false,
  }: {
    tokenizer?: string;
    run?: RunConfig | null;
    ofWorld?: boolean;
  },
): Promise<EnginePolicy> {
  const tokenizer = await loadTokenizer(tokenizerGiven ?? tokenizerFrom);
  for (const note of tokenizer.notes) onNote?.(note);
  // Measured as it is: whatever a run may have sampled with in training.
  const engine = measuring(run === null ? EMBEDDED : run.settings.engine, device);
  const { policy, weights } = await openEngine(engine, {
    folder,
    pieces: tokenizer.pieces,
    concurrency,
    threads,
    onNote,
  });
  if (tokenizer.vocabulary > policy.info.vocabulary) {
    await policy.close();
    throw tooManyIds(tokenizer, tokenizerGiven ?? tokenizerFrom, policy.info.vocabulary, folder);
  }
  return { kind: 'engine', name, weights, policy, tokenizer, run, ofWorld, close: () => policy.close() };
}
