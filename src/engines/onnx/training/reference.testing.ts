/**
 * For tests: Qwen2, Qwen3 and Llama in plain loops over float64, one sequence at a time, as slow and as simple as can be, and numerical
 * differentiation of whatever is computed with it.
 */

import { Random, type StreamKey } from '../../../base/random.ts';
import { type SharedFloats, sharedFloats } from '../../../onnx/shared-floats.ts';
import type { Divergence, TokenIds } from '../../../policy/policy.ts';
import {
  adapterLayoutOf,
  type LinearLayer,
  layoutOf,
  type ModelConfig,
  type ParameterLayout,
} from '../model/parameters.ts';

/** Parameters in float64, flat, as `layoutOf` lays them out. */
export type Weights64 = Float64Array;

/** Random weights at a scale where every part of the model matters; norms near 1. */
export function randomWeights(config: ModelConfig, key: StreamKey): SharedFloats {
  const layout = layoutOf(config);
  const random = new Random(key);
  const flat = sharedFloats(layout.total);
  for (const { name, offset, size, shape } of layout.entries) {
    const isNorm = /norm\.weight$/.test(name);
    const deviation = isNorm || name.endsWith('bias') ? 0.3 : 1 / Math.sqrt(shape.at(-1)!);
    for (let i = 0; i < size; i++) flat[offset + i] = (isNorm ? 1 : 0) + deviation * random.normal();
  }
  return flat;
}

/** Rows of numbers: plain arrays, since small typed ones take most of the time to make. */
type Rows = readonly (readonly number[])[];

/** Logits [ids.length][vocabulary] of one sequence. */
export function referenceLogits(config: ModelConfig, weights: Weights64, ids: TokenIds): number[][] {
  const layout = layouts.get(config) ?? layoutOf(config);
  layouts.set(config, layout);
  const parameter = (name: string): Parameter => ({ ...layout.byName.get(name)!, weights });
  const { hidden, heads, keyValueHeads, headSize, rmsEpsilon } = config;
  const frequencies = referenceFrequencies(config);
  const embedding = parameter('model.embed_tokens.weight');
  let x: Rows = ids.map((id) => Array.from({ length: hidden }, (_, i) => weights[embedding.offset + id * hidden + i]!));

  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const linear = (input: Rows, name: LinearLayer) => {
      const bias = layout.byName.has(`${prefix}.${name}.bias`) ? parameter(`${prefix}.${name}.bias`) : undefined;
      return affine(input, parameter(`${prefix}.${name}.weight`), bias);
    };
    const h = rmsNorm(x, parameter(`${prefix}.input_layernorm.weight`), rmsEpsilon);
    const perHead = (rows: Rows, name: 'q_norm' | 'k_norm') =>
      config.family === 'qwen3'
        ? rows.map((row) =>
            rmsNorm(split(row, headSize), parameter(`${prefix}.self_attn.${name}.weight`), rmsEpsilon).flat(),
          )
        : rows;
    const q = rotate(perHead(linear(h, 'self_attn.q_proj'), 'q_norm'), headSize, frequencies);
    const k = rotate(perHead(linear(h, 'self_attn.k_proj'), 'k_norm'), headSize, frequencies);
    const v = linear(h, 'self_attn.v_proj');
    const attended = x.map((_, t) => {
      const row = zeros(heads * headSize);
      for (let head = 0; head < heads; head++) {
        const shared = Math.floor(head / (heads / keyValueHeads)) * headSize;
        const scores = zeros(t + 1);
        for (let s = 0; s <= t; s++)
          for (let i = 0; i < headSize; i++)
            scores[s]! += (q[t]![head * headSize + i]! * k[s]![shared + i]!) / Math.sqrt(headSize);
        const p = softmax(scores);
        for (let s = 0; s <= t; s++)
          for (let i = 0; i < headSize; i++) row[head * headSize + i]! += p[s]! * v[s]![shared + i]!;
      }
      return row;
    });
    x = plus(x, linear(attended, 'self_attn.o_proj'));
    const m = rmsNorm(x, parameter(`${prefix}.post_attention_layernorm.weight`), rmsEpsilon);
    const up = linear(m, 'mlp.up_proj');
    const gated = linear(m, 'mlp.gate_proj').map((gate, t) =>
      gate.map((a, i) => (a / (1 + Math.exp(-a))) * up[t]![i]!),
    );
    x = plus(x, linear(gated, 'mlp.down_proj'));
  }
  const last = rmsNorm(x, parameter('model.norm.weight'), rmsEpsilon);
  return affine(last, config.tiedHead ? embedding : parameter('lm_head.weight'));
}

/** Layouts of configurations seen, since numerical differentiation asks thousands of times. */
const layouts = new WeakMap<ModelConfig, ParameterLayout>();

/** log softmax(logits / temperature). */
export function logSoftmax(logits: readonly number[], temperature = 1): number[] {
  const scaled = logits.map((value) => value / temperature);
  const highest = Math.max(...scaled);
  const logSum = highest + Math.log(scaled.reduce((sum, value) => sum + Math.exp(value - highest), 0));
  return scaled.map((value) => value - logSum);
}

/** One vocabulary entry of each divergence, from the logarithms of the teacher's and the student's probability of it. */
export const referenceDivergence: Readonly<Record<Divergence, (logq: number, logp: number) => number>> = {
  'forward-kl': (logq, logp) => Math.exp(logq) * (logq - logp),
  'reverse-kl': (logq, logp) => Math.exp(logp) * (logp - logq),
  jsd: (logq, logp) => {
    const [q, p] = [Math.exp(logq), Math.exp(logp)];
    const part = (x: number) => (x === 0 ? 0 : (x / 2) * Math.log(x / ((p + q) / 2)));
    return part(q) + part(p);
  },
};

/** log π of each token of a sequence; entry 0 is 0. */
export function referenceLogprobs(config: ModelConfig, weights: Weights64, ids: TokenIds): Float64Array {
  const logits = referenceLogits(config, weights, ids);
  return Float64Array.from(ids, (id, t) => (t === 0 ? 0 : logSoftmax(logits[t - 1]!)[id]!));
}

/** W + (alpha / rank) B A for every linear layer; `adapter` is laid out by `adapterLayoutOf`. */
export function referenceMerge(
  config: ModelConfig,
  weights: Weights64,
  adapter: Float64Array,
  rank: number,
  alpha: number,
): Weights64 {
  const merged = weights.slice();
  const entries = adapterLayoutOf(config, rank).byName;
  for (const { name, offset, shape } of layoutOf(config).entries) {
    const a = entries.get(`base_model.model.${name.replace(/weight$/, 'lora_A.weight')}`);
    const b = entries.get(`base_model.model.${name.replace(/weight$/, 'lora_B.weight')}`);
    if (!a || !b) continue;
    const [rows, columns] = [shape[0]!, shape[1]!];
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        for (let r = 0; r < rank; r++)
          merged[offset + i * columns + j]! +=
            (alpha / rank) * adapter[b.offset + i * rank + r]! * adapter[a.offset + r * columns + j]!;
  }
  return merged;
}

/** For each parameter: (loss(w + ε) − loss(w − ε)) / 2ε at every element. */
export function numericalGradient(weights: Weights64, loss: (weights: Weights64) => number): Float64Array {
  const step = 1e-5;
  const moved = weights.slice();
  return weights.map((value, i) => {
    moved[i] = value + step;
    const above = loss(moved);
    moved[i] = value - step;
    const below = loss(moved);
    moved[i] = value;
    return (above - below) / (2 * step);
  });
}

/** ‖a − b‖ / ‖b‖ */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}

/** max |a − b| */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < b.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

/** A parameter: where it lies among all weights. */
interface Parameter {
  readonly weights: Weights64;
  readonly offset: number;
  readonly size: number;
}

/** W x + b of every row. */
function affine(rows: Rows, { weights, offset, size }: Parameter, bias?: Parameter): number[][] {
  return rows.map((x) => {
    const y = zeros(size / x.length);
    for (let row = 0; row < y.length; row++) {
      let sum = bias ? weights[bias.offset + row]! : 0;
      for (let i = 0; i < x.length; i++) sum += weights[offset + row * x.length + i]! * x[i]!;
      y[row] = sum;
    }
    return y;
  });
}

function rmsNorm(rows: Rows, { weights, offset }: Parameter, epsilon: number): number[][] {
  return rows.map((x) => {
    const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
    return x.map((value, i) => (weights[offset + i]! * value) / Math.sqrt(meanSquare + epsilon));
  });
}

/** At position t, elements i and i + D/2 of each head turn by t · θ_i. */
function rotate(rows: Rows, headSize: number, frequencies: readonly number[]): number[][] {
  const half = headSize / 2;
  return rows.map((x, t) => {
    const turned = x.slice();
    for (let i = 0; i < half; i++) {
      const angle = t * frequencies[i]!;
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      for (let start = 0; start < x.length; start += headSize) {
        const [a, b] = [x[start + i]!, x[start + half + i]!];
        turned[start + i] = a * cosine - b * sine;
        turned[start + half + i] = b * cosine + a * sine;
      }
    }
    return turned;
  });
}

/** θ_i, with Llama 3's scaling as its published code has it (`apply_scaling` in meta-llama's model.py): by wavelengths. */
export function referenceFrequencies({ headSize, ropeTheta, ropeScaling }: ModelConfig): number[] {
  return Array.from({ length: headSize / 2 }, (_, i) => {
    const frequency = 1 / ropeTheta ** ((2 * i) / headSize);
    if (!ropeScaling) return frequency;
    if (ropeScaling.type === 'linear') return frequency / ropeScaling.factor;
    const { factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength } = ropeScaling;
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < originalContextLength / highFrequencyFactor) return frequency;
    if (wavelength > originalContextLength / lowFrequencyFactor) return frequency / factor;
    const smooth =
      (originalContextLength / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** A row cut into heads. */
function split(row: readonly number[], size: number): number[][] {
  return Array.from({ length: row.length / size }, (_, i) => row.slice(i * size, (i + 1) * size));
}

function softmax(scores: readonly number[]): number[] {
  return logSoftmax(scores).map(Math.exp);
}

function plus(a: Rows, b: Rows): number[][] {
  return a.map((row, t) => row.map((value, i) => value + b[t]![i]!));
}

function zeros(length: number): number[] {
  return new Array<number>(length).fill(0);
}
