/** The losses and their gradients against plain float64 definitions, differentiated numerically. */
import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { sharedCopy } from '../../../onnx/shared-floats.ts';
import type {
  Divergence,
  DivergenceBatch,
  LossBatch,
  PolicyGradientBatch,
  SoftCrossEntropyBatch,
  TokenIds,
} from '../../../policy/policy.ts';
import type { ComputationPlan } from '../memory.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig, viewOf } from '../model/parameters.ts';
import {
  largestDifference,
  logSoftmax,
  numericalGradient,
  randomWeights,
  referenceDivergence,
  referenceLogits,
  referenceLogprobs,
  referenceMerge,
  relativeError,
  type Weights64,
} from './reference.testing.ts';
import { spareTrainers } from './spare-trainers.testing.ts';
import { Trainer } from './training.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 9,
  hidden: 6,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 2,
  intermediate: 8,
  ropeTheta: 100,
  rmsEpsilon: 1e-5,
  tiedHead: true,
  contextLength: 32,
};
const untied = { ...config, tiedHead: false };
const qwen3: ModelConfig = { ...config, family: 'qwen3', headSize: 4 };
const llama: ModelConfig = {
  ...untied,
  family: 'llama',
  keyValueHeads: 1,
  headSize: 4,
  ropeScaling: { type: 'llama3', factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 2, originalContextLength: 8 },
};
const present = randomWeights(config, streamKey('present'));
/** Near the present weights, so that ratios lie on both sides of the clip. */
const nearby = (weights: Float32Array) => weights.map((value, i) => value + 0.03 * Math.sin(i));
const old = nearby(present);

const open = spareTrainers({ threads: 2 });
const unfrozen = () => new Trainer(config, sharedCopy(present), { threads: 2 });

const random = new Random(streamKey('streams'));
const floatStream = (length: number) => Float32Array.from({ length }, () => random.normal());
const sequences: { ids: TokenIds; mask: Uint8Array }[] = [
  { ids: [3, 1, 4, 1, 5, 2], mask: Uint8Array.of(1, 0, 1, 1, 0, 1) },
  { ids: [8, 0, 2, 7], mask: Uint8Array.of(0, 1, 1, 0) },
  { ids: [6, 6], mask: Uint8Array.of(0, 0) },
];

const policyGradient: PolicyGradientBatch = {
  loss: 'policy-gradient',
  sequences: sequences.map(({ ids, mask }) => ({
    ids,
    mask,
    advantages: floatStream(ids.length),
    oldLogprobs: Float32Array.from(referenceLogprobs(config, Float64Array.from(old), ids)),
    referenceLogprobs: Float32Array.from(
      referenceLogprobs(
        config,
        Float64Array.from(present).map((v, i) => v + 0.1 * Math.cos(i)),
        ids,
      ),
    ),
  })),
  clipLow: 0.05,
  clipHigh: 0.1,
  klCoefficient: 0.4,
  denominator: 7,
};

function policyGradientLoss(model: ModelConfig, weights: Weights64, batch: PolicyGradientBatch) {
  const facts = { sum: 0, clipped: 0, kl: 0, deviation: 0, tokens: 0 };
  for (const { ids, mask, advantages, oldLogprobs, referenceLogprobs: reference } of batch.sequences) {
    const logprobs = referenceLogprobs(model, weights, ids);
    for (let t = 1; t < ids.length; t++) {
      if (!mask[t]) continue;
      const ratio = Math.exp(logprobs[t]! - oldLogprobs[t]!);
      const bounded = Math.min(Math.max(ratio, 1 - batch.clipLow), 1 + batch.clipHigh);
      const surrogate = Math.min(ratio * advantages[t]!, bounded * advantages[t]!);
      const delta = (reference?.[t] ?? logprobs[t]!) - logprobs[t]!;
      const k3 = Math.exp(delta) - delta - 1;
      facts.sum += -(surrogate - batch.klCoefficient * k3);
      facts.clipped += bounded * advantages[t]! < ratio * advantages[t]! ? 1 : 0;
      facts.kl += k3;
      facts.deviation = Math.max(facts.deviation, Math.abs(ratio - 1));
      facts.tokens += 1;
    }
  }
  return { ...facts, loss: facts.sum / batch.denominator };
}

const pairs: DivergenceBatch['pairs'] = [
  { teacherPrompt: [2, 2, 5, 7, 1], studentPrompt: [2, 1], ids: [3, 1, 4, 8], mask: Uint8Array.of(1, 1, 0, 1) },
  { teacherPrompt: [1], studentPrompt: [4, 4, 0], ids: [6, 2], mask: Uint8Array.of(0, 1) },
];

/** The loss by a student's weights. */
function divergenceFrom(model: ModelConfig, teacher: Weights64, batch: DivergenceBatch) {
  const taught = batch.pairs.map(({ teacherPrompt, ids }) => {
    const logits = referenceLogits(model, teacher, [...teacherPrompt, ...ids]);
    return ids.map((_, n) => logSoftmax(logits[teacherPrompt.length + n - 1]!, batch.teacherTemperature));
  });
  return (student: Weights64) => {
    const facts = { sum: 0, unclipped: 0, cut: 0, tokens: 0, perToken: [] as number[][] };
    for (const [i, { studentPrompt, ids, mask }] of batch.pairs.entries()) {
      const logits = referenceLogits(model, student, [...studentPrompt, ...ids]);
      facts.perToken.push(
        ids.map((_, n) => {
          if (!mask[n]) return 0;
          const logS = logSoftmax(logits[studentPrompt.length + n - 1]!);
          const l = taught[i]![n]!.map((logT, v) => referenceDivergence[batch.loss](logT, logS[v]!));
          const whole = l.reduce((sum, value) => sum + value, 0);
          facts.sum += l.reduce((sum, value) => sum + Math.min(value, batch.clip), 0);
          facts.unclipped += whole;
          facts.cut += l.some((value) => value > batch.clip) ? 1 : 0;
          facts.tokens += 1;
          return whole;
        }),
      );
    }
    return { ...facts, loss: facts.sum / batch.denominator };
  };
}

/** Every element of every tensor's gradient, relative to the tensor's own norm. */
function expectGradients(trainer: Trainer, model: ModelConfig, loss: (weights: Weights64) => number): void {
  const truth = Float32Array.from(numericalGradient(Float64Array.from(trainer.effectiveWeights()), loss));
  const layout = layoutOf(model);
  for (const { name } of layout.entries) {
    const error = relativeError(viewOf(layout, trainer.gradient(), name), viewOf(layout, truth, name));
    expect(error, name).toBeLessThan(1e-4);
  }
}

describe('policy gradient', () => {
  it.each([
    ['tied head', config],
    ['untied head', untied],
    ['Qwen3', qwen3],
    ['Llama', llama],
  ])('loss, metrics and every gradient, with clip and KL active (%s)', async (_, model) => {
    const weights = model === config ? present : randomWeights(model, streamKey('present'));
    const trainer = await open(model, weights);
    const result = await trainer.accumulate(policyGradient);
    const truth = policyGradientLoss(model, Float64Array.from(weights), policyGradient);
    expect(truth.clipped).toBeGreaterThan(0);
    expect(truth.clipped).toBeLessThan(truth.tokens);
    expect(result.loss).toBeCloseTo(truth.loss, 5);
    expect(result.tokens).toBe(truth.tokens);
    expect(result.metrics.clipFraction).toBeCloseTo(truth.clipped / truth.tokens, 6);
    expect(result.metrics.referenceKl).toBeCloseTo(truth.kl / truth.tokens, 5);
    expect(result.metrics.maxRatioDeviation).toBeCloseTo(truth.deviation, 4);
    expectGradients(trainer, model, (moved) => policyGradientLoss(model, moved, policyGradient).loss);
  });

  it('needs no reference when there is no KL term, and then reports none', async () => {
    const trainer = await open(config, present);
    const batch = {
      ...policyGradient,
      klCoefficient: 0,
      sequences: policyGradient.sequences.map(({ referenceLogprobs: _, ...sequence }) => sequence),
    };
    const result = await trainer.accumulate(batch);
    expect(result.loss).toBeCloseTo(policyGradientLoss(config, Float64Array.from(present), batch).loss, 5);
    expect(result.metrics.referenceKl).toBeUndefined();
    await expect(trainer.accumulate({ ...batch, klCoefficient: 0.1 })).rejects.toThrow(/sequence 0.*referenceLogprobs/);
  });

  it('has ratio 1 on log-probabilities of its own, to 1e-5', async () => {
    const trainer = await open(config, present);
    const logprobs = await trainer.logprobs(
      sequences.map(({ ids }) => ids),
      'present',
    );
    const result = await trainer.accumulate({
      ...policyGradient,
      sequences: policyGradient.sequences.map((sequence, n) => ({ ...sequence, oldLogprobs: logprobs[n]! })),
    });
    expect(result.metrics.maxRatioDeviation).toBeLessThan(1e-5);
    expect(result.metrics.clipFraction).toBe(0);
  });
});

describe('cross-entropy', () => {
  it('loss, log-probabilities, entropy and every gradient', async () => {
    const trainer = await open(config, present);
    const weighted = sequences.map(({ ids, mask }) => ({
      ids,
      weights: floatStream(ids.length).map((w, t) => w * mask[t]!),
    }));
    const result = await trainer.accumulate({ loss: 'cross-entropy', sequences: weighted, denominator: 3 });
    const loss = (weights: Weights64) => {
      let sum = 0;
      for (const { ids, weights: w } of weighted) {
        const logprobs = referenceLogprobs(config, weights, ids);
        for (let t = 1; t < ids.length; t++) sum -= w[t]! * logprobs[t]!;
      }
      return sum / 3;
    };
    const exact = Float64Array.from(present);
    expect(result.loss).toBeCloseTo(loss(exact), 5);
    expect(result.tokens).toBe(5);
    let entropy = 0;
    for (const [n, { ids, mask }] of sequences.entries()) {
      const logits = referenceLogits(config, exact, ids);
      const logprobs = referenceLogprobs(config, exact, ids).map((value, t) => (t > 0 && mask[t] ? value : 0));
      expect(largestDifference(result.perToken![n]!, logprobs)).toBeLessThan(1e-5);
      for (let t = 1; t < ids.length; t++)
        if (mask[t]) entropy -= logSoftmax(logits[t - 1]!).reduce((sum, logp) => sum + Math.exp(logp) * logp, 0);
    }
    expect(result.metrics.entropy).toBeCloseTo(entropy / 5, 5);
    expectGradients(trainer, config, loss);
  });
});

describe('the likeliest tokens and soft targets', () => {
  const starts = [2, 1, 1];
  const rowsFrom = sequences.map(({ ids }, i) => ({ ids, start: starts[i]! }));
  const modes = [
    ['whole', 1e9],
    ['layered', 2],
  ] as const;

  it.each(modes)('are those of the softmax, in falling order (%s)', async (mode, rows) => {
    const trainer = await open(config, present, { plan: { mode, rows } });
    const top = await trainer.topLogprobs(rowsFrom, 4, 'present');
    for (const [i, { ids, start }] of rowsFrom.entries()) {
      expect(top[i]!.tokens).toHaveLength(4 * (ids.length - start));
      const logits = referenceLogits(config, Float64Array.from(present), ids);
      for (let n = 0; n < ids.length - start; n++) {
        const logp = logSoftmax(logits[start + n - 1]!);
        const best = [...logp.keys()].sort((a, b) => logp[b]! - logp[a]!).slice(0, 4);
        expect([...top[i]!.tokens.subarray(4 * n, 4 * n + 4)]).toEqual(best);
        for (const [j, v] of best.entries()) expect(top[i]!.logprobs[4 * n + j]).toBeCloseTo(logp[v]!, 5);
      }
    }
    await expect(trainer.topLogprobs(rowsFrom, 10, 'present')).rejects.toThrow(/k is 10, .* 9/);
    await expect(trainer.topLogprobs([{ ids: [1, 2], start: 0 }], 1, 'present')).rejects.toThrow(/start is 0/);
    await expect(unfrozen().topLogprobs(rowsFrom, 1, 'frozen')).rejects.toThrow(/freeze/);
  });

  const soft: SoftCrossEntropyBatch = {
    loss: 'soft-cross-entropy',
    denominator: 3,
    // Signed weights, some of them twice on one token.
    sequences: sequences.map(({ ids, mask }, i) => {
      const [start, k] = [starts[i]!, 1 + i];
      const rows = ids.length - start;
      const tokens = Int32Array.from({ length: rows * k }, () => random.below(config.vocabulary));
      return { ids, start, mask: mask.slice(start), k, tokens, weights: floatStream(rows * k) };
    }),
  };
  const softLoss = (weights: Weights64) => {
    const rows = soft.sequences.map(({ ids, start, mask, k, tokens, weights: w }) => {
      const logits = referenceLogits(config, weights, ids);
      return Array.from(mask, (counts, n) => {
        const logp = logSoftmax(logits[start + n - 1]!);
        let sum = 0;
        for (let j = 0; j < k; j++) sum -= counts * w[n * k + j]! * logp[tokens[n * k + j]!]!;
        return sum;
      });
    });
    return { rows, loss: rows.flat().reduce((a, b) => a + b, 0) / soft.denominator };
  };

  it.each(modes)('soft cross-entropy: loss, that of each row, and every gradient (%s)', async (mode, rows) => {
    const trainer = await open(config, present, { plan: { mode, rows } });
    const result = await trainer.accumulate(soft);
    const truth = softLoss(Float64Array.from(present));
    expect(result.loss).toBeCloseTo(truth.loss, 5);
    expect(result.tokens).toBe(soft.sequences.reduce((sum, { mask }) => sum + mask.filter(Boolean).length, 0));
    expect(result.metrics.entropy).toBeGreaterThan(0);
    for (const [i, stream] of result.perToken!.entries())
      expect(largestDifference(stream, truth.rows[i]!)).toBeLessThan(1e-5);
    expectGradients(trainer, config, (moved) => softLoss(moved).loss);
  });

  it.each(modes)(
    'all of the teacher as soft targets have the gradient of the forward KL, to 1e-6 (%s)',
    async (mode, rows) => {
      const trainer = await open(config, nearby(nearby(present)), { plan: { mode, rows } });
      trainer.freeze();
      await trainer.restore({ weights: present });
      await trainer.accumulate({
        loss: 'forward-kl',
        pairs,
        clip: Number.POSITIVE_INFINITY,
        teacherTemperature: 1,
        denominator: 3,
      });
      const truth = trainer.gradient().slice();
      trainer.dropGradient();
      const k = config.vocabulary;
      const tables = await trainer.topLogprobs(
        pairs.map(({ teacherPrompt, ids }) => ({ ids: [...teacherPrompt, ...ids], start: teacherPrompt.length })),
        k,
        'frozen',
      );
      await trainer.accumulate({
        loss: 'soft-cross-entropy',
        sequences: pairs.map(({ studentPrompt, ids, mask }, i) => {
          const { tokens, logprobs } = tables[i]!;
          const start = studentPrompt.length;
          return { ids: [...studentPrompt, ...ids], start, mask, k, tokens, weights: logprobs.map(Math.exp) };
        }),
        denominator: 3,
      });
      expect(relativeError(trainer.gradient(), truth)).toBeLessThan(1e-6);
    },
  );

  it('are refused in another form than was said', async () => {
    const trainer = await open(config, present);
    const [one] = soft.sequences;
    for (const [change, message] of [
      [{ start: 0 }, /sequence 0: start is 0/],
      [{ k: 0 }, /sequence 0: k is 0/],
      [{ mask: Uint8Array.of(1) }, /sequence 0: mask has 1 entries, expected 4/],
      [{ tokens: Int32Array.of(1) }, /sequence 0: tokens has 1 entries, expected 4/],
      [{ weights: new Float32Array(9) }, /sequence 0: weights has 9 entries, expected 4/],
      [{ tokens: new Int32Array(4).fill(9) }, /sequence 0: entry of tokens 0 is id 9, expected 0 to 8/],
    ] as const)
      await expect(trainer.accumulate({ ...soft, sequences: [{ ...one!, ...change }] })).rejects.toThrow(message);
  });
});

describe('divergences', () => {
  /** Frozen weights that differ from the present ones. */
  async function withTeacher(batch: DivergenceBatch, model = config) {
    const student = model === config ? present : randomWeights(model, streamKey('present'));
    const teacher = nearby(student);
    const trainer = await open(model, teacher);
    trainer.freeze();
    await trainer.restore({ weights: student });
    return { trainer, teacher, student, result: await trainer.accumulate(batch) };
  }

  it.each<[Divergence, string, number, number, ModelConfig]>([
    ['forward-kl', 'without clip', Number.POSITIVE_INFINITY, 1, config],
    ['forward-kl', 'with clip and a sharper teacher', 0.15, 0.4, config],
    ['forward-kl', 'Qwen3', 0.15, 0.4, qwen3],
    ['forward-kl', 'Llama', 0.15, 0.4, llama],
    ['reverse-kl', 'without clip', Number.POSITIVE_INFINITY, 1, config],
    ['reverse-kl', 'with clip and a sharper teacher', 0.15, 0.4, config],
    ['jsd', 'without clip', Number.POSITIVE_INFINITY, 1, config],
    ['jsd', 'with clip and a sharper teacher', 0.05, 0.4, config],
  ])('%s: loss, metrics, per-token divergence and every gradient, %s', async (loss, _, clip, temperature, model) => {
    const batch: DivergenceBatch = { loss, pairs, clip, teacherTemperature: temperature, denominator: 5 };
    const { trainer, result, ...weights } = await withTeacher(batch, model);
    const divergence = divergenceFrom(model, Float64Array.from(weights.teacher), batch);
    const truth = divergence(Float64Array.from(weights.student));
    expect(truth.cut > 0).toBe(clip < 1);
    expect(result.loss).toBeCloseTo(truth.loss, 5);
    expect(result.tokens).toBe(4);
    expect(result.metrics.divergence).toBeCloseTo(truth.unclipped / truth.tokens, 5);
    expect(result.metrics.clipFraction).toBeCloseTo(truth.cut / truth.tokens, 6);
    for (const [n, stream] of result.perToken!.entries())
      expect(largestDifference(stream, truth.perToken[n]!)).toBeLessThan(1e-5);
    expectGradients(trainer, model, (student) => divergence(student).loss);
  });

  it.each<[Divergence, ComputationPlan['mode']]>([
    ['forward-kl', 'whole'],
    ['forward-kl', 'layered'],
    ['reverse-kl', 'whole'],
    ['reverse-kl', 'layered'],
    ['jsd', 'whole'],
    ['jsd', 'layered'],
  ])('%s is 0 to the bit for the same prompt and a fresh adapter, and so is its gradient: %s', async (loss, mode) => {
    const trainer = await open(config, present, { plan: { mode, rows: 3 } });
    trainer.freeze();
    trainer.attachAdapter({ rank: 2, alpha: 4, key: streamKey('adapter') });
    const same = pairs.map((pair) => ({ ...pair, teacherPrompt: pair.studentPrompt }));
    const batch: DivergenceBatch = { loss, pairs: same, clip: 10, teacherTemperature: 1, denominator: 1 };
    const result = await trainer.accumulate(batch);
    expect(result.loss).toBe(0);
    expect(result.metrics.divergence).toBe(0);
    expect(trainer.gradient().every((value) => value === 0)).toBe(true);
  });

  it('a gradient of 0 moves nothing', async () => {
    const trainer = await open(config, present);
    const before = trainer.effectiveWeights().slice();
    const { version } = trainer;
    const step = await trainer.step({ ...settings, minGradientNorm: 1e-5 });
    expect(step.skipped).toBe(true);
    expect(trainer.version).toBe(version);
    expect(trainer.effectiveWeights()).toEqual(before);
    expect(trainer.state().moments.steps).toBe(0);
  });

  it.each<Divergence>(['forward-kl', 'reverse-kl', 'jsd'])(
    '%s works where the teacher is certain: no NaN from 0 · log 0',
    async (loss) => {
      const batch: DivergenceBatch = { loss, pairs, clip: 10, teacherTemperature: 0.001, denominator: 1 };
      const { result } = await withTeacher(batch);
      expect(result.loss).toBeGreaterThan(0);
      expect(result.metrics.teacherEntropy).toBeLessThan(0.1);
    },
  );

  it('refuses to start without frozen weights', async () => {
    const batch: DivergenceBatch = { loss: 'jsd', pairs, clip: 10, teacherTemperature: 1, denominator: 1 };
    await expect(unfrozen().accumulate(batch)).rejects.toThrow(/freeze/);
  });
});

const settings = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: 0,
};

describe('adapter', () => {
  const adapter = { rank: 3, alpha: 5, key: streamKey('adapter') };
  /** An adapter whose B is no longer zero, so that A has a gradient too. */
  async function trainedAdapter(model = config, weights = present) {
    const trainer = await open(model, weights);
    trainer.freeze();
    trainer.attachAdapter(adapter);
    for (let i = 0; i < 3; i++) {
      await trainer.accumulate(policyGradient);
      await trainer.step(settings);
    }
    return trainer;
  }
  const forwardKl: DivergenceBatch = { loss: 'forward-kl', pairs, clip: 0.2, teacherTemperature: 0.5, denominator: 4 };
  type Loss = (model: ModelConfig, frozen: Weights64) => (student: Weights64) => number;
  const byPolicyGradient: Loss = (model) => (student) => policyGradientLoss(model, student, policyGradient).loss;
  const byForwardKl: Loss = (model, frozen) => {
    const divergence = divergenceFrom(model, frozen, forwardKl);
    return (student) => divergence(student).loss;
  };
  const cases: [string, LossBatch, Loss, ModelConfig][] = [
    ['policy-gradient', policyGradient, byPolicyGradient, config],
    ['forward-kl', forwardKl, byForwardKl, config],
    ['policy-gradient, Llama', policyGradient, byPolicyGradient, llama],
    ['forward-kl, Qwen3', forwardKl, byForwardKl, qwen3],
  ];

  it.each(cases)('gradients of A and B: %s', async (_, batch, loss, model) => {
    const weights = model === config ? present : randomWeights(model, streamKey('present'));
    const trainer = await trainedAdapter(model, weights);
    const result = await trainer.accumulate(batch);
    const { values, rank, alpha } = trainer.state().adapter!;
    const base = Float64Array.from(weights);
    const lossOf = loss(model, base);
    const adapterLoss = (moved: Float64Array) => lossOf(referenceMerge(model, base, moved, rank, alpha));
    expect(result.loss).toBeCloseTo(adapterLoss(Float64Array.from(values)), 5);
    const truth = Float32Array.from(numericalGradient(Float64Array.from(values), adapterLoss));
    const layout = adapterLayoutOf(model, rank);
    for (const { name } of layout.entries) {
      const error = relativeError(viewOf(layout, trainer.gradient(), name), viewOf(layout, truth, name));
      expect(error, name).toBeLessThan(1e-4);
    }
    expect(trainer.state().weights).toEqual(weights);
  });

  it('merged weights give what the adapter gave', async () => {
    const trainer = await trainedAdapter();
    const withAdapter = await trainer.accumulate(policyGradient);
    const effective = trainer.effectiveWeights().slice();
    const ids = sequences.map((sequence) => sequence.ids);
    const logprobs = await trainer.logprobs(ids, 'present');
    trainer.mergeAdapter();
    expect(trainer.state().adapter).toBeUndefined();
    expect(trainer.state().weights).toEqual(effective);
    const merged = await trainer.accumulate(policyGradient);
    expect(merged.loss).toBeCloseTo(withAdapter.loss, 5);
    expect(await trainer.logprobs(ids, 'present')).toEqual(logprobs);
    expect(await trainer.logprobs(ids, 'frozen')).not.toEqual(logprobs);
  });

  it('starts without effect, from its key alone', async () => {
    const [a, b] = [await open(config, present), await open(config, present)];
    a.attachAdapter(adapter);
    b.attachAdapter(adapter);
    expect(a.effectiveWeights()).toEqual(present);
    expect(a.state().adapter).toEqual(b.state().adapter);
    expect(() => a.attachAdapter(adapter)).toThrow(/attached/);
  });
});
