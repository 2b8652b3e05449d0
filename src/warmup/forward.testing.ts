/** A slow, plain Qwen2 forward pass in float64 that also returns what each head attends to. For tests only. */
import type { ModelConfig } from '../checkpoint/config.ts';
import type { TokenIds } from '../policy/policy.ts';
import type { Weights } from './initialize.ts';

export interface Forward {
  /** [T][vocabulary]. */
  readonly logits: number[][];
  /** attention[layer][head][query][key], rows sum to 1. */
  readonly attention: number[][][][];
}

export function forward(weights: Weights, config: ModelConfig, ids: TokenIds): Forward {
  const get = (name: string) => weights.get(name)!;
  const row = (name: string, index: number) => {
    const { shape, data } = get(name);
    return Array.from(data.subarray(index * shape[1]!, (index + 1) * shape[1]!));
  };
  const linear = (name: string, x: number[], bias = false) => {
    const { shape, data } = get(`${name}.weight`);
    return Array.from({ length: shape[0]! }, (_, out) => {
      let sum = bias ? get(`${name}.bias`).data[out]! : 0;
      for (let i = 0; i < x.length; i++) sum += data[out * x.length + i]! * x[i]!;
      return sum;
    });
  };
  const norm = (name: string, x: number[]) => {
    const inverse = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + config.rmsEpsilon);
    return x.map((v, i) => v * inverse * get(`${name}.weight`).data[i]!);
  };
  const h = config.headSize;
  const rotate = (x: number[], position: number) =>
    x.map((v, i) => {
      const pair = i % (h / 2);
      const angle = position * config.ropeTheta ** ((-2 * pair) / h);
      const other = i < h / 2 ? -x[i + h / 2]! : x[i - h / 2]!;
      return v * Math.cos(angle) + other * Math.sin(angle);
    });
  const add = (a: number[], b: number[]) => a.map((v, i) => v + b[i]!);
  const heads = (x: number[]) => Array.from({ length: x.length / h }, (_, i) => x.slice(i * h, (i + 1) * h));
  const softmax = (x: number[]) => {
    const top = Math.max(...x);
    const e = x.map((v) => Math.exp(v - top));
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map((v) => v / sum);
  };

  let x = ids.map((id) => row('model.embed_tokens.weight', id));
  const attention: number[][][][] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    const at = (part: string) => `model.layers.${layer}.${part}`;
    const y = x.map((v) => norm(at('input_layernorm'), v));
    const q = y.map((v, t) => heads(linear(at('self_attn.q_proj'), v, true)).map((head) => rotate(head, t)));
    const k = y.map((v, t) => heads(linear(at('self_attn.k_proj'), v, true)).map((head) => rotate(head, t)));
    const values = y.map((v) => heads(linear(at('self_attn.v_proj'), v, true)));
    const group = config.heads / config.keyValueHeads;
    const weightsOfLayer = Array.from({ length: config.heads }, (_, head) =>
      ids.map((_, t) => {
        const scores = ids
          .slice(0, t + 1)
          .map(
            (_, s) => q[t]![head]!.reduce((a, v, i) => a + v * k[s]![Math.floor(head / group)]![i]!, 0) / Math.sqrt(h),
          );
        return softmax(scores);
      }),
    );
    attention.push(weightsOfLayer);
    x = x.map((residual, t) => {
      const mixed = weightsOfLayer.flatMap((rows, head) =>
        Array.from({ length: h }, (_, i) =>
          rows[t]!.reduce((sum, p, s) => sum + p * values[s]![Math.floor(head / group)]![i]!, 0),
        ),
      );
      return add(residual, linear(at('self_attn.o_proj'), mixed));
    });
    x = x.map((residual) => {
      const z = norm(at('post_attention_layernorm'), residual);
      const gate = linear(at('mlp.gate_proj'), z).map((v) => v / (1 + Math.exp(-v)));
      const up = linear(at('mlp.up_proj'), z);
      return add(
        residual,
        linear(
          at('mlp.down_proj'),
          gate.map((v, i) => v * up[i]!),
        ),
      );
    });
  }
  const head = config.tiedHead ? 'model.embed_tokens' : 'lm_head';
  return { logits: x.map((v) => linear(head, norm('model.norm', v))), attention };
}
