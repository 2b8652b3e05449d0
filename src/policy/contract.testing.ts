/**
 * The contract of policies as tests, run over every engine (and over a bare one that gives nothing optional,
 * testing/bigram-policy.ts). What an engine says it cannot do is not asked of it.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type AdamWStep,
  DRY_STEP,
  type LossBatch,
  NonFiniteError,
  type Policy,
  type PolicyGradientBatch,
  type SampleRequest,
  type TokenIds,
} from './policy.ts';
import { policyGradientOf } from './policy-gradient.ts';

export interface ContractSubject {
  /** A policy with the same weights every time, no frozen ones yet. Its vocabulary is at least 8, its context at least 24. */
  open(): Promise<Policy>;
  /** The text of each token. */
  readonly pieces: readonly string[];
  /** How far log-probabilities may lie apart that are the same but for rounding. */
  readonly tolerance: number;
}

const adamW: AdamWStep = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1e9,
  minGradientNorm: 0,
};

const sequences: readonly TokenIds[] = [
  [1, 2, 3, 1, 4],
  [5, 2, 3, 6, 7, 2],
];
const [first] = sequences as [TokenIds];

/** Cross-entropy on every token that has a context. */
function learn(ids: readonly TokenIds[], weight = 1): LossBatch {
  const weighted = ids.map((one) => ({ ids: one, weights: new Float32Array(one.length).fill(weight) }));
  return { loss: 'cross-entropy', sequences: weighted, denominator: 8 };
}

/** Praise (1) or blame (−1) of all tokens but the first, as if they had been sampled. */
function judged(
  ids: readonly TokenIds[],
  oldLogprobs: readonly Float32Array[],
  advantage: number,
): PolicyGradientBatch {
  return {
    loss: 'policy-gradient',
    sequences: ids.map((one, i) => ({
      ids: one,
      mask: new Uint8Array(one.length).fill(1, 1),
      advantages: new Float32Array(one.length).fill(advantage),
      oldLogprobs: oldLogprobs[i]!,
    })),
    clipLow: 0.2,
    clipHigh: 0.2,
    klCoefficient: 0,
    denominator: 8,
  };
}

const asked = (change: Partial<SampleRequest> = {}): SampleRequest => ({
  prompt: [1, 2, 3],
  maxTokens: 10,
  temperature: 1,
  stop: [],
  stopTokens: [],
  key: [7, 7],
  ...change,
});

const sum = (streams: readonly Float32Array[]) => streams.reduce((all, one) => one.reduce((a, b) => a + b, all), 0);

export function policyContract(name: string, { open, pieces, tolerance }: ContractSubject): void {
  describe(`the contract of policies, kept by ${name}`, () => {
    let folder: string;
    let places = 0;
    let policy: Policy;
    const opened: Policy[] = [];
    const another = async () => {
      const one = await open();
      opened.push(one);
      return one;
    };
    /** An empty folder, to save into. */
    const place = async () => {
      places += 1;
      const made = path.join(folder, String(places));
      await mkdir(made);
      return made;
    };
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'contract-'));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));
    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close();
    });

    const of = (one: Policy, which: 'present' | 'frozen' = 'present') => one.logprobs(sequences, which);
    const near = (a: readonly Float32Array[], b: readonly Float32Array[]) => {
      expect(a.map((one) => one.length)).toEqual(b.map((one) => one.length));
      for (const [i, stream] of a.entries())
        for (const [t, value] of stream.entries())
          expect(Math.abs(value - b[i]![t]!), `sequence ${i}, token ${t}`).toBeLessThan(tolerance);
    };
    const apart = (a: readonly Float32Array[], b: readonly Float32Array[]) =>
      Math.max(...a.flatMap((stream, i) => [...stream].map((value, t) => Math.abs(value - b[i]![t]!))));

    describe('sampling', () => {
      it('gives ids with their log-probabilities, as many as were asked for at most', async () => {
        policy = await another();
        const { vocabulary } = policy.info;
        expect(vocabulary).toBe(pieces.length);
        const samples = await Promise.all(
          Array.from({ length: 6 }, (_, i) => policy.sample(asked({ key: [i, 1], maxTokens: 1 + i }))),
        );
        for (const [i, { ids, logprobs, stop }] of samples.entries()) {
          expect(stop).toBe('length');
          expect(ids).toHaveLength(1 + i);
          expect(logprobs).toHaveLength(1 + i);
          for (const id of ids) expect(Number.isInteger(id) && id >= 0 && id < vocabulary).toBe(true);
          for (const logprob of logprobs) expect(logprob).toBeLessThanOrEqual(0);
        }
        if (policy.capabilities.sampler === 'approximate') return;
        const streams = await policy.logprobs(
          samples.map(({ ids }) => [1, 2, 3, ...ids]),
          'present',
        );
        for (const [i, { logprobs }] of samples.entries()) near([Float32Array.from(logprobs)], [streams[i]!.slice(3)]);
      });

      it('is a function of prompt, key and offset, where the engine promises so', async ({ skip }) => {
        policy = await another();
        if (!policy.capabilities.deterministic) skip();
        const whole = await policy.sample(asked());
        expect(await policy.sample(asked())).toEqual(whole);
        expect((await policy.sample(asked({ key: [8, 8] }))).ids).not.toEqual(whole.ids);
        const begun = await policy.sample(asked({ maxTokens: 4, session: 's' }));
        const rest = asked({ prompt: [1, 2, 3, ...begun.ids], maxTokens: 6, offset: 4, session: 's' });
        expect([...begun.ids, ...(await policy.sample(rest)).ids]).toEqual(whole.ids);
        policy.release('s');
        policy.release('nobody');
      });

      it('ends with the token that completes a stop string, or with a stop token, both kept', async () => {
        policy = await another();
        const stop = [pieces[4]!, pieces[5]! + pieces[6]!];
        for (let i = 0; i < 12; i++) {
          const { ids, logprobs, stop: reason } = await policy.sample(asked({ stop, stopTokens: [6, 7], key: [i, 2] }));
          expect(logprobs).toHaveLength(ids.length);
          const completed = (tokens: TokenIds) => {
            const text = tokens.map((id) => pieces[id]).join('');
            return stop.some((string) => text.includes(string));
          };
          expect(completed(ids.slice(0, -1)) || ids.slice(0, -1).some((id) => id === 6 || id === 7)).toBe(false);
          if (reason === 'stop') expect(completed(ids)).toBe(true);
          else if (reason === 'stop-token') expect([6, 7]).toContain(ids.at(-1));
          else expect(ids).toHaveLength(10);
        }
        const all = pieces.map((_, id) => id);
        expect(await policy.sample(asked({ stopTokens: all }))).toMatchObject({ stop: 'stop-token' });
      });

      it('ends where the context does', async () => {
        policy = await another();
        const { contextLength } = policy.info;
        const prompt = Array.from({ length: contextLength - 2 }, (_, t) => t % 5);
        const { ids, stop } = await policy.sample(asked({ prompt }));
        expect(ids).toHaveLength(2);
        expect(stop).toBe('context');
      });

      it('tells tokens as they come: the beginnings of what it then gives', async () => {
        policy = await another();
        for (const stopTokens of [[], [6, 7]]) {
          const told: TokenIds[] = [];
          const sample = await policy.sample(asked({ stopTokens }), { onTokens: (ids) => told.push([...ids]) });
          if (policy.capabilities.deterministic) expect(sample).toEqual(await policy.sample(asked({ stopTokens })));
          const read = sample.stop === 'stop-token' ? sample.ids.slice(0, -1) : sample.ids;
          for (const [i, ids] of told.entries()) {
            expect(read.slice(0, ids.length)).toEqual(ids);
            expect(ids.length).toBeGreaterThanOrEqual(told[i - 1]?.length ?? 0);
          }
        }
      });

      it('stops when it is told to, with the reason given, and goes on', async () => {
        policy = await another();
        const controller = new AbortController();
        const sample = policy.sample(asked({ maxTokens: 20 }), controller);
        controller.abort(new Error('too slow'));
        await expect(sample).rejects.toThrow('too slow');
        expect((await policy.sample(asked())).ids).toHaveLength(10);
      });
    });

    describe('scoring', () => {
      it('gives log-probabilities of a distribution, none for the first token', async () => {
        policy = await another();
        const every = pieces.map((_, id) => [1, 2, id]);
        const streams = await policy.logprobs(every, 'present');
        for (const stream of streams) expect(stream[0]).toBe(0);
        const mass = streams.reduce((total, stream) => total + Math.exp(stream[2]!), 0);
        expect(Math.abs(mass - 1)).toBeLessThan(pieces.length * tolerance);
      });

      it('gives the likeliest tokens in order, as many as the engine can', async ({ skip }) => {
        policy = await another();
        const most = Math.min(policy.capabilities.topLogprobs, pieces.length);
        if (most === 0) {
          await expect(policy.topLogprobs([{ ids: first, start: 1 }], 1, 'present')).rejects.toThrow();
          skip();
        }
        const k = Math.min(5, most);
        const asked = sequences.map((ids, i) => ({ ids, start: 1 + i }));
        const tables = await policy.topLogprobs(asked, k, 'present');
        for (const [i, { ids, start }] of asked.entries()) {
          const { tokens, logprobs } = tables[i]!;
          expect(tokens).toHaveLength(k * (ids.length - start));
          expect(logprobs).toHaveLength(tokens.length);
          for (let n = 0; n < ids.length - start; n++) {
            const row = [...tokens.subarray(n * k, (n + 1) * k)];
            expect(new Set(row).size).toBe(k);
            const before = ids.slice(0, start + n);
            const exact = (
              await policy.logprobs(
                pieces.map((_, id) => [...before, id]),
                'present',
              )
            ).map((s) => s.at(-1)!);
            const falling = [...exact].sort((a, b) => b - a);
            for (const [j, id] of row.entries()) {
              expect(Math.abs(logprobs[n * k + j]! - exact[id]!)).toBeLessThan(tolerance);
              expect(Math.abs(logprobs[n * k + j]! - falling[j]!)).toBeLessThan(tolerance);
            }
          }
        }
        const { topLogprobs } = policy.capabilities;
        await expect(policy.topLogprobs(asked, topLogprobs + 1, 'present')).rejects.toThrow();
      });
    });

    describe('training', () => {
      it('learns by cross-entropy, and reports what it measured and nothing else', async () => {
        policy = await another();
        const before = await of(policy);
        const { losses, update } = await policy.train([learn(sequences)], adamW);
        const [result] = losses;
        expect(Math.abs(result!.loss - -sum(before) / 8)).toBeLessThan(10 * tolerance);
        expect(result!.tokens).toBe(9);
        for (const value of Object.values(result!.metrics)) expect(Number.isFinite(value)).toBe(true);
        if (result!.perToken) near(result!.perToken, before);
        if (policy.capabilities.optimizer.gradientNorm) expect(update.gradientNorm).toBeGreaterThan(0);
        else expect(update.gradientNorm).toBeNull();
        expect(update.skipped).toBe(false);
        expect(sum(await of(policy))).toBeGreaterThan(sum(before));
      });

      it('praises and blames by the policy gradient', async () => {
        for (const advantage of [1, -1]) {
          policy = await another();
          const before = await of(policy);
          const batch = judged(sequences, before, advantage);
          const { losses } = await policy.train([batch], adamW);
          const { result } = policyGradientOf(batch, before);
          expect(Math.abs(losses[0]!.loss - result.loss)).toBeLessThan(10 * tolerance);
          expect(losses[0]!.tokens).toBe(9);
          expect(Math.sign(sum(await of(policy)) - sum(before))).toBe(advantage);
        }
      });

      it('distils by each divergence that it has: 0 from itself, falling from another', async ({ skip }) => {
        policy = await another();
        const { divergences, frozen, optimizer } = policy.capabilities;
        if (divergences.length === 0 || frozen !== 'any') skip();
        const pair = { studentPrompt: [1, 2], ids: [3, 4, 2], mask: Uint8Array.of(1, 0, 1) };
        await policy.freeze();
        for (let n = 0; n < 20; n++) await policy.train([learn(sequences)], adamW);
        const saved = await place();
        await policy.save(saved);
        for (const loss of divergences) {
          const batch = { loss, clip: Number.POSITIVE_INFINITY, teacherTemperature: 1, denominator: 2 };
          const towards = { ...batch, pairs: [{ ...pair, teacherPrompt: [5, 2] }] };
          // Without the momentum that still leads away from the frozen weights, where the engine can forget it.
          await policy.restore(saved, { optimizer: optimizer.fresh ? 'fresh' : 'kept' });
          const values: number[] = [];
          for (let n = 0; n < 8; n++) values.push((await policy.train([towards], adamW)).losses[0]!.loss);
          expect(values[0]).toBeGreaterThan(0);
          expect(values.at(-1)).toBeLessThan(values[0]!);
          const itself = await another();
          await itself.freeze();
          const same = { ...batch, pairs: [{ ...pair, teacherPrompt: pair.studentPrompt }] };
          const { losses } = await itself.train([same], adamW);
          expect(Math.abs(losses[0]!.loss)).toBeLessThan(tolerance);
          if (losses[0]!.perToken) expect(losses[0]!.perToken[0]).toHaveLength(3);
        }
      });

      it('learns soft targets: one token of weight 1 is cross-entropy', async ({ skip }) => {
        policy = await another();
        if (policy.capabilities.softTargets === 'none') skip();
        const other = await another();
        const hard = await policy.train([learn(sequences)], adamW);
        const targets = sequences.map((ids) => ({
          ids,
          start: 1,
          mask: new Uint8Array(ids.length - 1).fill(1),
          k: 1,
          tokens: Int32Array.from(ids.slice(1)),
          weights: new Float32Array(ids.length - 1).fill(1),
        }));
        const soft = await other.train([{ loss: 'soft-cross-entropy', sequences: targets, denominator: 8 }], adamW);
        expect(Math.abs(soft.losses[0]!.loss - hard.losses[0]!.loss)).toBeLessThan(10 * tolerance);
        expect(soft.losses[0]!.tokens).toBe(9);
        near(await of(other), await of(policy));
      });

      it('adds up the gradients of several batches', async () => {
        policy = await another();
        const other = await another();
        const together = await policy.train([learn(sequences)], adamW);
        const { losses } = await other.train(
          sequences.map((ids) => learn([ids])),
          adamW,
        );
        expect(losses).toHaveLength(2);
        expect(Math.abs(losses[0]!.loss + losses[1]!.loss - together.losses[0]!.loss)).toBeLessThan(10 * tolerance);
        near(await of(other), await of(policy));
      });

      it('keeps the order of calls that nobody waited for', async () => {
        policy = await another();
        const waited = await another();
        const before = of(policy);
        const training = policy.train([learn(sequences)], adamW);
        const [sample, after] = [policy.sample(asked()), of(policy)];
        near(await before, await of(waited));
        await training;
        await waited.train([learn(sequences)], adamW);
        near(await after, await of(waited));
        const drawn = await sample;
        if (policy.capabilities.deterministic) expect(drawn).toEqual(await waited.sample(asked()));
      });

      it('is brought back by restore after a call that was rejected', async () => {
        policy = await another();
        const saved = await place();
        await policy.train([learn(sequences)], adamW);
        const before = await of(policy);
        await policy.save(saved);
        const controller = new AbortController();
        controller.abort(new Error('no more'));
        await expect(policy.train([learn(sequences)], adamW, controller)).rejects.toThrow('no more');
        await policy.restore(saved, { optimizer: 'kept' });
        near(await of(policy), before);
        await expect(policy.train([judged(sequences, before, Number.NaN)], adamW)).rejects.toThrow(NonFiniteError);
        await policy.restore(saved, { optimizer: 'kept' });
        near(await of(policy), before);
        await policy.train([learn(sequences)], adamW);
        expect(sum(await of(policy))).toBeGreaterThan(sum(before));
      });

      it('leaves no trace of a dry run', async ({ skip }) => {
        policy = await another();
        if (!policy.capabilities.dryRun) skip();
        const other = await another();
        const { losses, update } = await policy.train([learn([first])], DRY_STEP);
        expect(losses[0]!.loss).toBeGreaterThan(0);
        expect(update.skipped).toBe(true);
        near(await of(policy), await of(other));
        for (const one of [policy, other]) await one.train([learn(sequences)], adamW);
        near(await of(policy), await of(other));
      });
    });

    describe('frozen weights', () => {
      it('stay what they were when the present ones move', async ({ skip }) => {
        policy = await another();
        if (policy.capabilities.frozen === 'none') skip();
        await policy.freeze();
        const before = await of(policy);
        await policy.train([learn(sequences)], adamW);
        near(await of(policy, 'frozen'), before);
        expect(apart(await of(policy), before)).toBeGreaterThan(10 * tolerance);
      });
    });

    describe('saving', () => {
      /** Three steps on one sequence, so that moments and weights point somewhere. */
      const trained = async () => {
        const one = await another();
        for (let n = 0; n < 3; n++) await one.train([learn([first])], adamW);
        return one;
      };
      /** A step that goes elsewhere: what it comes to depends on the moments. */
      const elsewhere = learn([sequences[1]!], -1);

      it('keeps weights and optimiser: going on is as if nothing had been', async () => {
        const straight = await trained();
        const saved = await place();
        await straight.save(saved);
        policy = await another();
        await policy.restore(saved, { optimizer: 'kept' });
        near(await of(policy), await of(straight));
        for (const one of [straight, policy]) await one.train([elsewhere], adamW);
        near(await of(policy), await of(straight));
      });

      it('begins with a fresh optimiser, wherever it is restored', async ({ skip }) => {
        const straight = await trained();
        if (!straight.capabilities.optimizer.fresh) skip();
        const saved = await place();
        await straight.save(saved);
        policy = await another();
        await policy.restore(saved, { optimizer: 'fresh' });
        await straight.train([elsewhere], adamW);
        const kept = await of(straight);
        await straight.restore(saved, { optimizer: 'fresh' });
        near(await of(policy), await of(straight));
        for (const one of [straight, policy]) await one.train([elsewhere], adamW);
        near(await of(policy), await of(straight));
        expect(apart(await of(policy), kept)).toBeGreaterThan(10 * tolerance);
      });

      it('refuses a folder in which nothing was saved', async () => {
        policy = await another();
        await expect(policy.restore(path.join(folder, 'none'), { optimizer: 'kept' })).rejects.toThrow();
      });

      it('lets go of what was saved, more than once and where nothing is', async () => {
        policy = await another();
        const saved = await place();
        await policy.save(saved);
        await policy.discard(saved);
        await policy.discard(saved);
        await policy.discard(path.join(folder, 'none'));
        expect((await policy.sample(asked())).ids).toHaveLength(10);
      });
    });

    describe('an adapter', () => {
      it('starts without effect, learns, is saved, and is merged without a change', async ({ skip }) => {
        policy = await another();
        if (policy.capabilities.adapter !== 'attachable') {
          if (policy.capabilities.adapter === 'never')
            await expect(policy.attachAdapter({ rank: 2, alpha: 4, key: [3, 3] })).rejects.toThrow();
          skip();
        }
        await policy.freeze();
        const before = await of(policy);
        await policy.attachAdapter({ rank: 2, alpha: 4, key: [3, 3] });
        near(await of(policy), before);
        for (let n = 0; n < 3; n++) await policy.train([learn(sequences)], adamW);
        const after = await of(policy);
        expect(sum(after)).toBeGreaterThan(sum(before));
        near(await of(policy, 'frozen'), before);
        const saved = await place();
        await policy.save(saved);
        const other = await another();
        await other.restore(saved, { optimizer: 'kept' });
        near(await of(other), after);
        await policy.mergeAdapter();
        near(await of(policy), after);
        await expect(policy.mergeAdapter()).rejects.toThrow();
      });
    });

    it('is closed for good', async () => {
      policy = await open();
      await policy.close();
      await expect(policy.sample(asked())).rejects.toThrow();
      await expect(of(policy)).rejects.toThrow();
    });
  });
}
