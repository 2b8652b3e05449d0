/**
 * Warm-up: makes a policy from examples, so that there is something to reinforce.
 *
 *   initial weights (random, with the copying head; or a pretrained model's) → phases of cross-entropy on small batches → a Hugging
 *   Face directory with a manifest of how it was made: of the last step, or of the best one on held-out examples.
 *
 * It can be stopped at any moment: called again with the same recipe, source and folder it continues from the last saved
 * step, and the weights come out the same to the bit.
 */
import path from 'node:path';
import { sha256 } from '../base/files.ts';
import { streamKey } from '../base/random.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { hashWeights, writeModel, writeTokenizer } from '../checkpoint/model-directory.ts';
import { type EngineSettings, isLocal, mergedWeights, readSavedModel } from '../engines/open-engine.ts';
import type { CrossEntropyBatch, LossResult, Policy } from '../policy/policy.ts';
import { batchesOf } from './batches.ts';
import type { Example, ExampleSource } from './examples.ts';
import { installCopyingHead } from './induction.ts';
import { initializeWeights } from './initialize.ts';
import { type Manifest, writeManifest } from './manifest.ts';
import { bestStep, discardProgress, readProgress, savedPolicy, saveProgress, type WarmUpState } from './progress.ts';
import {
  type AnyRecipe,
  learningRate,
  type PretrainedRecipe,
  phaseName,
  type Recipe,
  restartOf,
  totalSteps,
} from './recipe.ts';

/** What happened, for a live status. */
export type WarmUpEvent =
  | {
      readonly kind: 'start';
      /** Null where the engine does not say. */
      readonly parameters: number | null;
      readonly steps: number;
      readonly resumedAt: number;
    }
  | {
      readonly kind: 'step';
      readonly phase: string;
      /** Steps done, of `steps`. */
      readonly step: number;
      readonly steps: number;
      /** −mean log p over the fully weighted tokens of this batch, in nats; null where the engine does not report it by token. */
      readonly loss: number | null;
      readonly tokensPerSecond: number;
      readonly secondsLeft: number;
    }
  | { readonly kind: 'saved'; readonly step: number }
  /** Held-out examples have been read, in nats a token; the best so far is the step whose weights would stay. */
  | { readonly kind: 'held-out'; readonly step: number; readonly loss: number; readonly best: number }
  | { readonly kind: 'measuring' }
  /** How far what takes its time between the others is: in micro-batches, or in rollouts; null as long as nobody has said of how many. */
  | { readonly kind: 'working'; readonly on: string; readonly done: number; readonly of: number | null };

export interface WarmUpSurroundings {
  /** Versions of what the result depends on, for the manifest. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of a pretrained recipe for this machine: the model that it goes on from, a Hugging Face directory or a GGUF file. */
  readonly model?: string | undefined;
  /** What the engine computes on, where it was chosen: a warm-up is not continued on another device unawares. */
  readonly device?: string | undefined;
  /** Opens an engine on a model. A server's own model is meant where the recipe trains there, whatever the folder. */
  readonly openPolicy: (folder: string) => Promise<Policy>;
  readonly onEvent?: ((event: WarmUpEvent) => void) | undefined;
  /** Stops after the step in progress, with everything saved; warmUp then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The manifest keeps the mean loss of every so many steps. */
const stepsPerLoss = 50;

/** Runs a warm-up, or what is left of it, and writes the policy and its manifest to `folder`. */
export async function warmUp(
  recipe: Recipe | PretrainedRecipe,
  source: ExampleSource,
  folder: string,
  { model, device, openPolicy, versions, onEvent, signal }: WarmUpSurroundings,
): Promise<Manifest> {
  const server = serverOf(recipe);
  if (('model' in recipe || server !== undefined) !== (model === undefined))
    throw new RangeError('a pretrained recipe for this machine goes with a model, no other does');
  const progress = path.join(folder, 'progress');
  const madeOf =
    model === undefined ? source.description : { ...source.description, weights: await hashWeights(model) };
  const elsewhere = device === 'webgpu' ? [device] : [];
  const identity = sha256(JSON.stringify([withoutAddress(recipe), madeOf, source.tokenizer.hash, ...elsewhere]));
  const saved = await readProgress(progress, identity);
  const initial = model ?? path.join(progress, 'initial');
  if (!saved && 'model' in recipe) await writeInitialModel(initial, recipe, source);
  const policy = await openPolicy(initial);
  try {
    if (saved) await policy.restore(savedPolicy(progress, saved), { optimizer: 'kept' });
    else if ('adapter' in recipe && recipe.adapter !== null)
      await policy.attachAdapter({ ...recipe.adapter, key: streamKey(recipe.seed, 'adapter') });
    const start: WarmUpState = saved ?? {
      identity,
      step: 0,
      tokens: 0,
      seconds: 0,
      position: { chunk: 0, batch: 0 },
      losses: [],
      recent: { sum: 0, count: 0 },
    };
    const { parameters = null } = policy.info;
    onEvent?.({ kind: 'start', parameters, steps: totalSteps(recipe), resumedAt: start.step });
    const save = async (state: WarmUpState) => {
      await saveProgress(progress, state, policy);
      onEvent?.({ kind: 'saved', step: state.step });
    };
    const restart = (state: WarmUpState) => policy.restore(savedPolicy(progress, state), { optimizer: 'fresh' });
    const heldOut = 'heldOut' in recipe ? heldOutLoss(recipe, source, policy, { onEvent, signal }) : undefined;
    const end = await train(recipe, source, policy, start, { save, restart, heldOut, onEvent, signal });

    const kept = bestStep(end) ?? end.step;
    const best = savedPolicy(progress, { step: kept });
    // Nothing is trained here any more: the moments stay on disk. What a server saves holds them.
    if (kept !== end.step) await policy.restore(best, { optimizer: server === undefined ? 'fresh' : 'kept' });
    if (server === undefined) await writePolicy(folder, best, source);
    else {
      await policy.save(folder);
      await writeTokenizer(folder, source.tokenizerFiles);
    }
    onEvent?.({ kind: 'measuring' });
    const measured = (await source.measure?.(policy, { signal, onProgress: working('measuring', onEvent) })) ?? null;
    const manifest = await writeManifest(folder, recipe, madeOf, end, policy.info, versions, measured);
    await discardProgress(progress, policy);
    return manifest;
  } finally {
    await policy.close();
  }
}

/** The policy of a saved step, as a model directory. */
async function writePolicy(folder: string, saved: string, { tokenizerFiles }: ExampleSource): Promise<void> {
  const { adapter, ...base } = await readSavedModel(saved);
  const weights = adapter ? await mergedWeights(base, adapter) : base.weights;
  await writeModel(folder, { config: base.config, weights, tokenizer: tokenizerFiles });
}

/** Where the recipe trains, when that is not this machine. */
function serverOf(recipe: Recipe | PretrainedRecipe): EngineSettings | undefined {
  return 'engine' in recipe && !isLocal(recipe.engine) ? recipe.engine : undefined;
}

/** The recipe less what may change between two processes: where a server is, and how patiently it is asked. */
function withoutAddress(recipe: Recipe | PretrainedRecipe): unknown {
  if (!('engine' in recipe)) return recipe;
  const { engine } = recipe;
  if (isLocal(engine)) return { ...recipe, engine: { kind: engine.kind } };
  const { kind, profile, baseModel, loraRank } = engine;
  return { ...recipe, engine: { kind, profile, baseModel, loraRank } };
}

async function train(
  recipe: AnyRecipe,
  source: ExampleSource,
  policy: Policy,
  start: WarmUpState,
  {
    save,
    restart,
    heldOut,
    onEvent,
    signal,
  }: Pick<WarmUpSurroundings, 'onEvent' | 'signal'> & {
    save: (state: WarmUpState) => Promise<void>;
    /** Goes on from what was saved at this state, with a fresh optimiser. */
    restart: (state: WarmUpState) => Promise<void>;
    heldOut: HeldOut | undefined;
  },
): Promise<WarmUpState> {
  const steps = totalSteps(recipe);
  const { optimizer } = recipe;
  let state = start;
  const began = performance.now();
  const secondsNow = () => start.seconds + (performance.now() - began) / 1000;
  /** Reads the held-out examples, where it is time; true where the weights are the best so far. */
  const isBest = async (): Promise<boolean> => {
    if (heldOut === undefined || !heldOut.isDue(state.step)) return false;
    const loss = await heldOut.loss();
    state = { ...state, heldOut: [...(state.heldOut ?? []), { step: state.step, loss }], seconds: secondsNow() };
    const best = bestStep(state)!;
    onEvent?.({ kind: 'held-out', step: state.step, loss, best });
    return best === state.step;
  };

  let phaseEnd = 0;
  for (const [phaseIndex, phase] of recipe.phases.entries()) {
    phaseEnd += phase.steps;
    if (state.step >= phaseEnd) continue;
    const next = recipe.phases[phaseIndex + 1];
    const restartsNext = next !== undefined && restartOf(next) !== undefined;
    // What the phase before it ended with has been saved. At step 0 the optimiser is fresh anyway.
    if (restartOf(phase) !== undefined && state.step === phaseEnd - phase.steps && state.step > 0) await restart(state);
    for await (const { batch, next: position } of batchesOf(
      source,
      phase,
      phaseIndex,
      recipe.batchTokens,
      recipe.seed,
      state.position,
    )) {
      const adamw = {
        learningRate: learningRate(recipe, state.step),
        beta1: optimizer.beta1,
        beta2: optimizer.beta2,
        epsilon: optimizer.epsilon,
        weightDecay: optimizer.weightDecay,
        clipNorm: optimizer.clipNorm,
        minGradientNorm: 0,
      };
      const onProgress = working(`step ${state.step + 1} of ${steps}`, onEvent);
      const { losses, update } = await policy.train([crossEntropy(batch)], adamw, { onProgress });
      const loss = learnedLoss(batch, losses[0]!);
      const { gradientNorm } = update;
      if (!Number.isFinite(loss ?? 0) || !Number.isFinite(gradientNorm ?? 0) || !Number.isFinite(losses[0]!.loss))
        throw new Error(
          `warm-up step ${state.step} (${phaseName(phase)}): loss ${loss ?? losses[0]!.loss}, gradient norm ${gradientNorm}; the last saved step is intact`,
        );

      const step = state.step + 1;
      const isPhaseEnd = step === phaseEnd;
      state = {
        ...state,
        step,
        tokens: state.tokens + batch.reduce((sum, { ids }) => sum + ids.length, 0),
        seconds: secondsNow(),
        position: isPhaseEnd ? { chunk: 0, batch: 0 } : position,
        recent: loss === null ? state.recent : { sum: state.recent.sum + loss, count: state.recent.count + 1 },
      };
      if (step % stepsPerLoss === 0 || isPhaseEnd) {
        const mean = state.recent.count === 0 ? null : state.recent.sum / state.recent.count;
        const losses = [...state.losses, { phase: phaseIndex, step, loss: mean }];
        state = { ...state, losses, recent: { sum: 0, count: 0 } };
      }
      const sinceStart = state.seconds - start.seconds;
      onEvent?.({
        kind: 'step',
        phase: phaseName(phase),
        step,
        steps,
        loss,
        tokensPerSecond: (state.tokens - start.tokens) / sinceStart,
        secondsLeft: ((steps - step) * sinceStart) / (step - start.step),
      });
      const isTime = step % recipe.checkpointEvery === 0 || step === steps || (isPhaseEnd && restartsNext);
      const saves = (await isBest()) || isTime;
      if (saves || signal?.aborted) await save(state);
      signal?.throwIfAborted();
      if (isPhaseEnd) break;
    }
  }
  return state;
}

/** When held-out examples are read, and what comes of it. */
interface HeldOut {
  readonly isDue: (step: number) => boolean;
  /** Mean −log p of their learned tokens, in nats. */
  readonly loss: () => Promise<number>;
}

function heldOutLoss(
  { phases, heldOut: { every } }: PretrainedRecipe,
  source: ExampleSource,
  policy: Policy,
  { onEvent, signal }: Pick<WarmUpSurroundings, 'onEvent' | 'signal'>,
): HeldOut {
  const last = phases.at(-1)!;
  const examples = source.heldOut?.(last) ?? [];
  const [start, end] = [totalSteps({ phases }) - last.steps, totalSteps({ phases })];
  return {
    isDue: (step) => examples.length > 0 && step >= start && ((step - start) % every === 0 || step === end),
    async loss() {
      const ids = examples.map((example) => example.ids);
      const perToken = await policy.logprobs(ids, 'present', {
        onProgress: working('reading held-out examples', onEvent),
        ...(signal && { signal }),
      });
      let [sum, count] = [0, 0];
      examples.forEach(({ weights }, i) => {
        for (let t = 1; t < weights.length; t++) {
          sum -= weights[t]! * perToken[i]![t]!;
          count += weights[t]!;
        }
      });
      return sum / count;
    },
  };
}

/** Tells of work that begins, and gives what tells how far it is. */
function working(on: string, onEvent: WarmUpSurroundings['onEvent']): (done: number, of: number) => void {
  onEvent?.({ kind: 'working', on, done: 0, of: null });
  return (done, of) => onEvent?.({ kind: 'working', on, done, of });
}

/** Weighted mean: loss = −Σ w log p / Σ w. */
export function crossEntropy(batch: readonly Example[]): CrossEntropyBatch {
  const denominator = batch.reduce((sum, { weights }) => sum + weights.reduce((a, b) => a + b, 0), 0);
  // A batch in which nothing is learned (only strays) has a loss of 0 rather than 0/0.
  return { loss: 'cross-entropy', sequences: batch, denominator: denominator || 1 };
}

/** −mean log p over the tokens of weight 1; null where it was not measured. */
function learnedLoss(batch: readonly Example[], { perToken }: LossResult): number | null {
  if (perToken === undefined) return null;
  let [sum, count] = [0, 0];
  batch.forEach(({ weights }, i) => {
    for (let t = 1; t < weights.length; t++) {
      if (weights[t] !== 1) continue;
      sum -= perToken[i]![t]!;
      count += 1;
    }
  });
  return count === 0 ? 0 : sum / count;
}

/** The model that a recipe makes. */
export function configOf({ model }: Recipe, { tokenizer }: ExampleSource): ModelConfig {
  const { copyingHead: _, ...shape } = model;
  return { family: 'qwen2', vocabulary: tokenizer.vocabulary, ...shape, rmsEpsilon: 1e-6, tiedHead: true };
}

async function writeInitialModel(folder: string, recipe: Recipe, source: ExampleSource): Promise<void> {
  const config = configOf(recipe, source);
  const key = streamKey(recipe.seed, 'initial weights');
  const weights = initializeWeights(config, key);
  if (recipe.model.copyingHead) installCopyingHead(weights, config, key);
  await writeModel(folder, { config, weights, tokenizer: source.tokenizerFiles });
}
