/**
 * SkyRL's JAX backend (LoRA 8, float32) against the embedded engine and itself: scale of its reduction over several calls, requests that
 * come twice, checkpoints. By flag, since its environment takes 2.2 GB and it compiles for a minute: LIVE_SKYRL=1.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../src/base/random.ts';
import { openPolicyDirectory } from '../src/engines/onnx/engine.ts';
import { shifted, stream } from '../src/engines/tinker/datums.ts';
import type { TinkerPolicy } from '../src/engines/tinker/engine.ts';
import { openTinkerPolicy } from '../src/engines/tinker/open-policy.ts';
import type { RemoteWeights } from '../src/engines/tinker/remote-weights.ts';
import type { AdamWStep, LossBatch, PolicyGradientBatch, TokenIds } from '../src/policy/policy.ts';
import { KEY, type Peer, pythonOf, startSkyrl, tinyModel } from './peer.ts';
import { forwardBackward, openRemote, optimStep, type Remote } from './remote.ts';

const V = 288;
const wanted = process.env.LIVE_SKYRL === '1';
if (!wanted)
  console.log('skipped: SkyRL; LIVE_SKYRL=1 runs its tests, in the environment that node live/install.ts skyrl makes');
const python = wanted ? pythonOf('skyrl') : undefined;
const random = new Random(streamKey('live skyrl'));
const sequences: TokenIds[] = Array.from({ length: 4 }, () => Array.from({ length: 16 }, () => random.below(V)));
const start = 5;
const rows = sequences.length * (16 - start);
const step: AdamWStep = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1e9,
  minGradientNorm: 0,
};
const pieces = Array.from({ length: V }, () => '');

describe.skipIf(python === undefined)('SkyRL’s JAX backend', () => {
  let peer: Peer;
  let model: string;
  let policy: TinkerPolicy;
  let remote: Remote;
  let folder: string;
  let checkpoint: string;
  let now: Float32Array[];
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'skyrl-test-'));
    model = tinyModel('qwen3', python!);
    peer = await startSkyrl(python!, { model });
    policy = await openTinkerPolicy({
      url: peer.url,
      key: KEY,
      profile: 'skyrl-jax',
      baseModel: model,
      loraRank: 8,
      seed: 1,
      contextLength: 4096,
      pieces,
      concurrency: 8,
    });
    remote = await openRemote(peer.url, 'skyrl-jax', { baseModel: model, rank: 8, vocabulary: V });
    const weights = await remote.create();
    await weights.trainer.train([learn(sequences)], { ...step, learningRate: 3e-3 });
    checkpoint = (await weights.save('start')).path;
    now = await weights.logprobs(sequences);
    await remote.session.unload(weights.model.id);
  });
  afterAll(async () => {
    await policy?.close();
    await remote?.close();
    await peer?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const learn = (ids: readonly TokenIds[]): LossBatch => ({
    loss: 'cross-entropy',
    sequences: ids.map((one) => ({ ids: one, weights: new Float32Array(one.length).fill(1) })),
    denominator: rows,
  });
  const gap = (a: readonly Float32Array[], b: readonly Float32Array[]) =>
    Math.max(...a.flatMap((one, i) => [...one].map((x, t) => Math.abs(x - b[i]![t]!))));
  async function logprobsAfter(work: (weights: RemoteWeights) => Promise<unknown>): Promise<Float32Array[]> {
    const weights = await remote.create();
    await weights.load(checkpoint, { optimizer: false });
    await work(weights);
    const out = await weights.logprobs(sequences);
    await remote.session.unload(weights.model.id);
    return out;
  }
  const gradientBatch = (some: readonly number[] = [0, 1, 2, 3]): PolicyGradientBatch => ({
    loss: 'policy-gradient',
    clipLow: 0.2,
    clipHigh: 0.2,
    klCoefficient: 0,
    denominator: rows,
    sequences: some.map((i) => ({
      ids: sequences[i]!,
      // Datums of different lengths: the server takes the mean within each.
      mask: Uint8Array.from(sequences[i]!, (_, t) => (t >= start && t < 16 - 2 * i ? 1 : 0)),
      advantages: new Float32Array(16).fill([1.8, -0.45, 0.7, -1.1][i]!),
      oldLogprobs: now[i]!.map((x, t) => x + [-0.4, 0, 0.4, 0.1][t % 4]!),
    })),
  });

  it('scores as the embedded engine does, by forward and by sampler', async () => {
    const embedded = await openPolicyDirectory(model, { pieces, threads: 1 });
    const ours = await embedded.logprobs(sequences, 'present');
    await embedded.close();
    const theirs = await policy.logprobs(sequences, 'present');
    const sampler = await policy.parts.weights.sampler();
    const sampled = await Promise.all(sequences.map((ids) => sampler.score(ids)));
    console.log(`log π ${gap(ours, theirs)}, by the sampler ${gap(theirs, sampled)}`);
    expect(gap(ours, theirs)).toBeLessThan(1e-5);
    expect(gap(theirs, sampled)).toBeLessThan(1e-5);
  });

  it('T6: one call with the slope is the server’s ppo, and two half batches are one', async () => {
    const batch = gradientBatch();
    const own = await logprobsAfter(async (weights) => {
      const size = batch.sequences.map(({ mask }) => mask.reduce((sum, m) => sum + m, 0));
      await forwardBackward(
        weights,
        'ppo',
        batch.sequences.map(({ ids, mask, advantages, oldLogprobs }, i) => ({
          ids,
          inputs: {
            target_tokens: shifted(ids),
            logprobs: stream(oldLogprobs),
            // Its mean within a datum and over datums, undone.
            advantages: stream(advantages.map((a) => (a * size[i]! * 4) / rows)),
            weights: stream(Float32Array.from(mask)),
          },
        })),
        { clip_low_threshold: 0.8, clip_high_threshold: 1.2 },
      );
      await optimStep(weights, step);
    });
    let norm: number | null = null;
    const oneCall = await logprobsAfter(async (weights) => {
      norm = (await weights.trainer.train([batch], step)).update.gradientNorm;
    });
    const halves = await logprobsAfter((weights) =>
      weights.trainer.train([gradientBatch([0, 1]), gradientBatch([2, 3])], step),
    );
    console.log(
      `T6 ${gap(own, oneCall)}, halves ${gap(oneCall, halves)}, moved ${gap(oneCall, now)}, gradient norm ${norm}`,
    );
    expect(gap(own, oneCall)).toBeLessThan(2e-6);
    expect(gap(oneCall, halves)).toBeLessThan(2e-6);
    expect(gap(oneCall, now)).toBeGreaterThan(1e-3);
    expect(norm).toBeGreaterThan(0);
  });

  it('a request that comes twice is carried out once', async () => {
    const { caller } = remote.session;
    const data = sequences.map((ids) => ({
      model_input: { chunks: [{ type: 'encoded_text', tokens: ids.slice(0, -1) }] },
      loss_fn_inputs: {
        target_tokens: { data: ids.slice(1), dtype: 'int64', shape: [15] },
        weights: { data: Array(15).fill(1), dtype: 'float32', shape: [15] },
        logprobs: { data: [...now[sequences.indexOf(ids)]!.subarray(1)], dtype: 'float32', shape: [15] },
        advantages: { data: Array(15).fill(0.01), dtype: 'float32', shape: [15] },
      },
    }));
    const input = JSON.stringify({ data, loss_fn: 'importance_sampling' });
    const nearlyProportional = { ...step, learningRate: 10, epsilon: 1 };
    const times = (n: number) =>
      logprobsAfter(async (weights) => {
        const pending = await weights.model.begin('forward_backward', 'changing', `"forward_backward_input":${input}`);
        await pending.result();
        // load_weights was the model's first request, this its second.
        const again = `{"forward_backward_input":${input},"model_id":"${weights.model.id}","seq_id":2}`;
        for (let i = 1; i < n; i++) await caller.run({ name: 'forward_backward', class: 'changing', body: again });
        await optimStep(weights, nearlyProportional);
      });
    const [once, twice] = [await times(1), await times(2)];
    console.log(`twice ${gap(once, twice)}, moved ${gap(once, now)}`);
    expect(gap(once, twice)).toBe(0);
    expect(gap(once, now)).toBeGreaterThan(1e-3);
  });

  it('goes on from a checkpoint with its optimiser, also where a fresh one is asked for; frozen weights stay', async () => {
    const before = await policy.logprobs(sequences, 'present');
    await policy.freeze();
    await policy.train([learn(sequences)], step);
    expect(gap(await policy.logprobs(sequences, 'frozen'), before)).toBeLessThan(1e-6);
    await policy.save(folder);
    const saved = await policy.logprobs(sequences, 'present');
    await policy.train([learn([sequences[0]!])], step);
    const straight = await policy.logprobs(sequences, 'present');
    await policy.restore(folder, { optimizer: 'kept' });
    expect(gap(await policy.logprobs(sequences, 'present'), saved)).toBeLessThan(1e-6);
    await policy.train([learn([sequences[0]!])], step);
    const kept = await policy.logprobs(sequences, 'present');
    await policy.restore(folder, { optimizer: 'fresh' });
    await policy.train([learn([sequences[0]!])], step);
    const fresh = await policy.logprobs(sequences, 'present');
    console.log(`kept ${gap(kept, straight)}, fresh ${gap(fresh, straight)}`);
    expect(gap(kept, straight)).toBeLessThan(1e-6);
    // 0.3.0 loads the moments whatever is asked: the profile says so.
    expect(policy.capabilities.optimizer.fresh).toBe(false);
    expect(gap(fresh, straight)).toBeLessThan(1e-6);
  });
});
