/**
 * Warm-up: makes a policy from nothing but examples, so that there is something to reinforce.
 *
 *   initial weights (random, with the copying head) → phases of cross-entropy on small batches → a Hugging Face directory
 *   with a manifest of how it was made.
 *
 * It can be stopped at any moment: called again with the same recipe, source and folder it continues from the last saved
 * step, and the weights come out the same to the bit.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { sha256 } from '../base/files.ts';
import { streamKey } from '../base/random.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { readModel, writeModel } from '../checkpoint/model-directory.ts';
import type { CrossEntropyBatch, LossResult, Policy } from '../policy/policy.ts';
import { batchesOf } from './batches.ts';
import type { Example, ExampleSource } from './examples.ts';
import { installCopyingHead } from './induction.ts';
import { initializeWeights } from './initialize.ts';
import { type Manifest, writeManifest } from './manifest.ts';
import { readProgress, savedPolicy, saveProgress, type WarmUpState } from './progress.ts';
import { learningRate, phaseName, type Recipe, restartOf, totalSteps } from './recipe.ts';

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
  | { readonly kind: 'measuring' };

export interface WarmUpSurroundings {
  /** Versions of what the result depends on, for the manifest. */
  readonly versions: Readonly<Record<string, string>>;
  /** Opens an engine on a Hugging Face directory. */
  readonly openPolicy: (folder: string) => Promise<Policy>;
  readonly onEvent?: ((event: WarmUpEvent) => void) | undefined;
  /** Stops after the step in progress, with everything saved; warmUp then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The manifest keeps the mean loss of every so many steps. */
const stepsPerLoss = 50;

/** Runs a warm-up, or what is left of it, and writes the policy and its manifest to `folder`. */
export async function warmUp(
  recipe: Recipe,
  source: ExampleSource,
  folder: string,
  { openPolicy, versions, onEvent, signal }: WarmUpSurroundings,
): Promise<Manifest> {
  const progress = path.join(folder, 'progress');
  const identity = sha256(JSON.stringify([recipe, source.description, source.tokenizer.hash]));
  const saved = await readProgress(progress, identity);
  const initial = path.join(progress, 'initial');
  if (!saved) await writeInitialModel(initial, recipe, source);
  const policy = await openPolicy(initial);
  try {
    if (saved) await policy.restore(savedPolicy(progress, saved), { optimizer: 'kept' });
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
    const end = await train(recipe, source, policy, start, { save, restart, onEvent, signal });

    const { weights } = await readModel(savedPolicy(progress, end));
    await writeModel(folder, { config: configOf(recipe, source), weights, tokenizer: source.tokenizerFiles });
    onEvent?.({ kind: 'measuring' });
    const measured = (await source.measure?.(policy, signal)) ?? null;
    const manifest = await writeManifest(folder, recipe, source.description, end, policy.info, versions, measured);
    await rm(progress, { recursive: true, force: true });
    return manifest;
  } finally {
    await policy.close();
  }
}

async function train(
  recipe: Recipe,
  source: ExampleSource,
  policy: Policy,
  start: WarmUpState,
  {
    save,
    restart,
    onEvent,
    signal,
  }: Pick<WarmUpSurroundings, 'onEvent' | 'signal'> & {
    save: (state: WarmUpState) => Promise<void>;
    /** Goes on from what was saved at this state, with a fresh optimiser. */
    restart: (state: WarmUpState) => Promise<void>;
  },
): Promise<WarmUpState> {
  const steps = totalSteps(recipe);
  const { optimizer } = recipe;
  let state = start;
  const began = performance.now();
  const secondsNow = () => start.seconds + (performance.now() - began) / 1000;

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
      const { losses, update } = await policy.train([crossEntropy(batch)], {
        learningRate: learningRate(recipe, state.step),
        beta1: optimizer.beta1,
        beta2: optimizer.beta2,
        epsilon: optimizer.epsilon,
        weightDecay: optimizer.weightDecay,
        clipNorm: optimizer.clipNorm,
        minGradientNorm: 0,
      });
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
      const saves = step % recipe.checkpointEvery === 0 || step === steps || (isPhaseEnd && restartsNext);
      if (saves || signal?.aborted) await save(state);
      signal?.throwIfAborted();
      if (isPhaseEnd) break;
    }
  }
  return state;
}

/** Weighted mean: loss = −Σ w log p / Σ w. */
function crossEntropy(batch: readonly Example[]): CrossEntropyBatch {
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
