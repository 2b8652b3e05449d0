import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256, writeFileAtomic } from '../base/files.ts';
import { Random, streamKey } from '../base/random.ts';
import { readModel } from '../checkpoint/model-directory.ts';
import { loadTokenizer, tokenizerFromJson } from '../checkpoint/tokenizer.ts';
import { openPolicyDirectory } from '../engines/onnx/engine.ts';
import { EMBEDDED } from '../engines/open-engine.ts';
import type { Policy } from '../policy/policy.ts';
import { worldTokenizerJson } from '../world/vocabulary.ts';
import { makeBatches } from './batches.ts';
import type { ExampleSource } from './examples.ts';
import { readManifest } from './manifest.ts';
import { learningRate, type PretrainedRecipe, type Recipe, worldRecipe } from './recipe.ts';
import { type WarmUpEvent, warmUp } from './warm-up.ts';

const tiny: Recipe = {
  ...worldRecipe,
  model: { ...worldRecipe.model, hidden: 64, layers: 2, heads: 2, keyValueHeads: 1, headSize: 32, intermediate: 64 },
  batchTokens: 400,
  optimizer: { ...worldRecipe.optimizer, warmupSteps: 5 },
  phases: [
    { kind: 'reading', steps: 5, articles: 1, statements: 2 },
    { kind: 'demonstrations', steps: 4, imitation: 0.5 },
  ],
  checkpointEvery: 3,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'warm-up-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Words in any order, then the same again: made at once, and what there is to learn is to copy. */
function copies({ seed }: Recipe): ExampleSource {
  const json = worldTokenizerJson();
  const tokenizer = tokenizerFromJson(json);
  return {
    tokenizer,
    tokenizerFiles: { json },
    description: { kind: 'copies', seed },
    async chunk(_, phaseIndex, chunk) {
      const random = new Random(streamKey(seed, 'copies', phaseIndex, chunk));
      return Array.from({ length: 100 }, () => {
        const words = Array.from({ length: 8 + random.below(24) }, () => random.below(tokenizer.vocabulary));
        const weights = Float32Array.from({ length: 2 * words.length }, (_, i) => (i < words.length ? 0.1 : 1));
        return { ids: [...words, ...words], weights };
      });
    },
  };
}

async function openPolicy(place: string): Promise<Policy> {
  const { pieces } = await loadTokenizer(place);
  return openPolicyDirectory(place, { pieces, threads: 1 });
}

type Members = { readonly [M in keyof Policy]?: (policy: Policy) => Policy[M] };

/** The same policy, but for some of its members. */
function watching(policy: Policy, members: Members): Policy {
  return new Proxy(policy, {
    get(target, name) {
      const own = members[name as keyof Policy];
      if (own) return own(target);
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

function run(recipe: Recipe, name: string, options: { abortAt?: number; open?: typeof openPolicy } = {}) {
  const abort = new AbortController();
  const events: WarmUpEvent[] = [];
  const result = warmUp(recipe, copies(recipe), path.join(folder, name), {
    openPolicy: options.open ?? openPolicy,
    versions: { test: '1' },
    signal: abort.signal,
    onEvent: (event) => {
      events.push(event);
      if (event.kind === 'step' && event.step === options.abortAt) abort.abort(new Error('stopped by the test'));
    },
  });
  return { result, events };
}

const weightsHash = async (name: string) => sha256(await readFile(path.join(folder, name, 'model.safetensors')));

describe('a warm-up', () => {
  it('writes a model directory with a manifest that describes it', async () => {
    const manifest = await run(tiny, 'whole').result;
    expect(manifest).toMatchObject({ steps: 9, recipe: tiny, threads: 1, measured: null, versions: { test: '1' } });
    expect(manifest.losses.map(({ step }) => step)).toEqual([5, 9]);
    expect(await readManifest(path.join(folder, 'whole'))).toEqual(manifest);
    const { config } = await readModel(path.join(folder, 'whole'));
    expect(config).toMatchObject({ hidden: 64, layers: 2, tiedHead: true });
    await expect(readFile(path.join(folder, 'whole', 'progress', 'state.json'))).rejects.toThrow('ENOENT');
  });

  it('comes to the same bits when it is stopped and continued, in a phase and at its end', async () => {
    await expect(run(tiny, 'stopped', { abortAt: 4 }).result).rejects.toThrow('stopped by the test');
    await expect(run(tiny, 'stopped', { abortAt: 5 }).result).rejects.toThrow('stopped by the test');
    const { result, events } = run(tiny, 'stopped');
    const manifest = await result;
    expect(events[0]).toMatchObject({ kind: 'start', resumedAt: 5 });
    expect(await weightsHash('stopped')).toBe(await weightsHash('whole'));
    const whole = await readManifest(path.join(folder, 'whole'));
    expect(manifest.losses).toEqual(whole.losses);
    expect(manifest.tokens).toBe(whole.tokens);
  });

  it('begins a phase that restarts with a fresh optimiser, whether it was stopped there or not', async () => {
    const recipe: Recipe = {
      ...tiny,
      phases: [tiny.phases[0]!, { ...tiny.phases[1]!, restart: 1e-3 } as Recipe['phases'][1]],
    };
    const asked: string[] = [];
    const open = async (place: string) =>
      watching(await openPolicy(place), {
        restore: (policy) => (from, options) => {
          asked.push(`${path.basename(from)} ${options.optimizer}`);
          return policy.restore(from, options);
        },
      });
    await run(recipe, 'restarted', { open }).result;
    expect(asked).toEqual(['step-000005 fresh']);
    await expect(run(recipe, 'stopped there', { abortAt: 5, open }).result).rejects.toThrow('stopped by the test');
    await run(recipe, 'stopped there', { open }).result;
    expect(asked.slice(1)).toEqual(['step-000005 kept', 'step-000005 fresh']);
    expect(await weightsHash('stopped there')).toBe(await weightsHash('restarted'));
    expect(await weightsHash('restarted')).not.toBe(await weightsHash('whole'));
  });

  it('comes to the same weights on an engine that reports nothing it need not, and records null', async () => {
    const open = async (place: string) => {
      const policy = await openPolicy(place);
      const { engine, vocabulary, contextLength } = policy.info;
      return watching(policy, {
        info: () => ({ engine, vocabulary, contextLength }),
        train: () => async (batches, step, options) => {
          const { losses } = await policy.train(batches, step, options);
          const bare = losses.map(({ loss, tokens }) => ({ loss, tokens, metrics: {} }));
          return { losses: bare, update: { gradientNorm: null, skipped: false } };
        },
      });
    };
    await expect(run(tiny, 'bare', { open, abortAt: 4 }).result).rejects.toThrow('stopped by the test');
    const { result, events } = run(tiny, 'bare', { open });
    expect((await result).losses.map(({ loss }) => loss)).toEqual([null, null]);
    expect(events[0]).toMatchObject({ kind: 'start', parameters: null });
    expect(events.find(({ kind }) => kind === 'step')).toMatchObject({ loss: null });
    expect(await readManifest(path.join(folder, 'bare'))).toMatchObject({ parameters: null, threads: null });
    expect(await weightsHash('bare')).toBe(await weightsHash('whole'));
  });

  it('leaves no manifest when measuring is broken off; continued, it measures anew', async () => {
    const place = path.join(folder, 'unmeasured');
    const measuring = (measure: NonNullable<ExampleSource['measure']>) => ({ ...copies(tiny), measure });
    const around = { openPolicy, versions: { test: '1' } };
    const broken = measuring(() => Promise.reject(new Error('stopped by SIGINT')));
    await expect(warmUp(tiny, broken, place, around)).rejects.toThrow('stopped by SIGINT');
    await expect(readFile(path.join(place, 'manifest.json'))).rejects.toThrow('ENOENT');
    await readFile(path.join(place, 'progress', 'state.json'));

    const events: WarmUpEvent[] = [];
    const onEvent = (event: WarmUpEvent) => events.push(event);
    const manifest = await warmUp(
      tiny,
      measuring(async () => ({ good: 1 })),
      place,
      { ...around, onEvent },
    );
    expect(manifest).toMatchObject({ steps: 9, measured: { good: 1 } });
    // Nothing was trained again.
    expect(events.map(({ kind }) => kind)).toEqual(['start', 'measuring', 'working']);
    expect(await weightsHash('unmeasured')).toBe(await weightsHash('whole'));
  });

  it('refuses progress of which a byte has changed, and goes on once it is brought back', async () => {
    await expect(run(tiny, 'damaged', { abortAt: 4 }).result).rejects.toThrow('stopped by the test');
    const progress = path.join(folder, 'damaged', 'progress');
    for (const name of ['state.json', 'step-000004/model.safetensors', 'step-000004/engine.json']) {
      const file = path.join(progress, name);
      const before = await readFile(file);
      const changed = Buffer.from(before);
      changed[Math.floor(changed.length / 2)]! ^= 1;
      await writeFileAtomic(file, changed);
      await expect(run(tiny, 'damaged').result, name).rejects.toThrow(`${file}: is not the file that was written`);
      await writeFileAtomic(file, before);
    }
    await run(tiny, 'damaged').result;
    expect(await weightsHash('damaged')).toBe(await weightsHash('whole'));
  });

  it('refuses the progress of other settings', async () => {
    await expect(run(tiny, 'other', { abortAt: 1 }).result).rejects.toThrow('stopped by the test');
    await expect(run({ ...tiny, seed: 2 }, 'other').result).rejects.toThrow(/other settings or other data/);
  });

  it('stops at a loss that is not a number and keeps the last saved step', async () => {
    const open = async (place: string) => {
      const policy = await openPolicy(place);
      let calls = 0;
      return watching(policy, {
        train: () => async (batches, step) => {
          const { losses, update } = await policy.train(batches, step);
          const broken = losses.map((one) => ({
            ...one,
            perToken: one.perToken!.map((row) => row.map(() => Number.NaN)),
          }));
          return { losses: ++calls < 5 ? losses : broken, update };
        },
      });
    };
    await expect(run(tiny, 'broken', { open }).result).rejects.toThrow(/step 4 \(reading 1 article\): loss NaN/);
    await expect(readFile(path.join(folder, 'broken', 'config.json'))).rejects.toThrow('ENOENT');
    await run(tiny, 'broken').result;
    expect(await weightsHash('broken')).toBe(await weightsHash('whole'));
  });

  it('learns to copy within a hundred small steps, thanks to the copying head', async () => {
    const recipe: Recipe = {
      ...tiny,
      batchTokens: 600,
      phases: [{ kind: 'reading', steps: 100, articles: 1, statements: 4 }],
      checkpointEvery: 1000,
    };
    const withHead = await run(recipe, 'with-head').result;
    const plain = await run({ ...recipe, model: { ...recipe.model, copyingHead: false } }, 'plain').result;
    expect(withHead.losses.at(-1)!.loss).toBeLessThan(plain.losses.at(-1)!.loss! - 1);
  });
});

describe('a warm-up of a pretrained model', () => {
  const { model: _, ...common } = tiny;
  const recipe: PretrainedRecipe = {
    ...common,
    engine: EMBEDDED,
    phases: [
      { kind: 'demonstrations', steps: 2, imitation: 0 },
      { kind: 'demonstrations', steps: 4, imitation: 0.5 },
    ],
    contextTokens: 512,
    adapter: { rank: 4, alpha: 8 },
    heldOut: { questions: 3, every: 2 },
    measured: { questions: 0, samples: 1 },
  };
  /** Held-out examples are the first ones of another chunk. */
  const examples = async (): Promise<ExampleSource> => {
    const source = copies(tiny);
    const some = (await source.chunk(recipe.phases[1]!, 9, 0)).slice(0, 3);
    return { ...source, heldOut: () => some };
  };
  const goOn = async (name: string, changes: Partial<Parameters<typeof warmUp>[3]> = {}, other = recipe) =>
    warmUp(other, await examples(), path.join(folder, name), {
      model: path.join(folder, 'whole'),
      openPolicy,
      versions: { test: '1' },
      ...changes,
    });

  it('trains an adapter and merges it: the same bits as the engine asked by hand', async () => {
    const manifest = await goOn('adapted');
    expect(manifest.source.weights).toBe(await weightsHash('whole'));
    expect(manifest.heldOut!.map(({ step }) => step)).toEqual([2, 4, 6]);
    const least = manifest.heldOut!.findLast(
      ({ loss }) => loss === Math.min(...manifest.heldOut!.map((one) => one.loss)),
    )!;

    const policy = await openPolicy(path.join(folder, 'whole'));
    await policy.attachAdapter({ rank: 4, alpha: 8, key: streamKey(recipe.seed, 'adapter') });
    let step = 0;
    for (const [index, phase] of recipe.phases.entries()) {
      const random = new Random(streamKey(recipe.seed, 'batches', index, 0));
      const batches = makeBatches(await copies(tiny).chunk(phase, index, 0), recipe.batchTokens, random);
      for (const batch of batches.slice(0, Math.max(0, Math.min(phase.steps, least.step - step)))) {
        const denominator = batch.reduce((sum, { weights }) => sum + weights.reduce((a, b) => a + b, 0), 0);
        const { warmupSteps: _, finalShare: __, ...adamW } = recipe.optimizer;
        await policy.train([{ loss: 'cross-entropy', sequences: batch, denominator }], {
          ...adamW,
          learningRate: learningRate(recipe, step),
          minGradientNorm: 0,
        });
        step += 1;
      }
    }
    await policy.mergeAdapter();
    await policy.save(path.join(folder, 'by hand'));
    await policy.close();
    expect(await weightsHash('adapted')).toBe(await weightsHash('by hand'));
  });

  it('leaves the weights of least held-out loss, and comes to the same bits however often it is stopped', async () => {
    // The true losses, but for the one at step 4, which is made the least.
    const saved = new Map<string, string>();
    const open = async (place: string) => {
      const policy = await openPolicy(place);
      return watching(policy, {
        logprobs: () => async (sequences) => {
          const isBest = bestAt.next().value;
          return sequences.map((ids) => new Float32Array(ids.length).fill(isBest ? -1 : -2));
        },
        save: (real) => async (to) => {
          await real.save(to);
          saved.set(path.basename(to), sha256(await readFile(path.join(to, 'model.safetensors'))));
        },
      });
    };
    const all = { ...recipe, adapter: null };
    let bestAt = [false, true, false].values();
    const manifest = await goOn('best', { openPolicy: open }, all);
    expect(manifest.heldOut).toEqual([2, 4, 6].map((step) => ({ step, loss: step === 4 ? 1 : 2 })));
    expect(await weightsHash('best')).toBe(saved.get('step-000004'));
    expect(saved.get('step-000006')).not.toBe(saved.get('step-000004'));

    bestAt = [false, true, false].values();
    for (const at of [1, 5]) {
      const abort = new AbortController();
      const onEvent = (event: WarmUpEvent) => {
        if (event.kind === 'step' && event.step === at) abort.abort(new Error('stopped by the test'));
      };
      await expect(goOn('stopped best', { openPolicy: open, signal: abort.signal, onEvent }, all)).rejects.toThrow(
        'stopped',
      );
    }
    const resumed = await goOn('stopped best', { openPolicy: open }, all);
    expect(resumed.heldOut).toEqual(manifest.heldOut);
    expect(await weightsHash('stopped best')).toBe(await weightsHash('best'));
  });

  it('measures the weights that stay, not the last ones', async () => {
    let bestAt = [true, false, false].values();
    const restored: string[] = [];
    const open = async (place: string) =>
      watching(await openPolicy(place), {
        logprobs: () => async (sequences) => {
          const loss = bestAt.next().value ? -1 : -2;
          return sequences.map((ids) => new Float32Array(ids.length).fill(loss));
        },
        restore: (policy) => (from, options) => {
          restored.push(path.basename(from));
          return policy.restore(from, options);
        },
      });
    bestAt = [true, false, false].values();
    const source = await examples();
    const measured: string[][] = [];
    const measure = async () => {
      measured.push([...restored]);
      return {};
    };
    await warmUp({ ...recipe, adapter: null }, { ...source, measure }, path.join(folder, 'measured'), {
      model: path.join(folder, 'whole'),
      openPolicy: open,
      versions: {},
    });
    expect(measured).toEqual([['step-000002']]);
  });
});

describe('a manifest', () => {
  it('is not believed when a file is another one', async () => {
    const copy = path.join(folder, 'whole');
    await writeFileAtomic(path.join(copy, 'tokenizer.json'), '{}');
    await expect(readManifest(copy)).rejects.toThrow(/tokenizer.json: not the file that manifest.json describes/);
  });
});
