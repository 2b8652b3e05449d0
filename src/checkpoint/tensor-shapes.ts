/** The tensors of a Qwen2 model: Hugging Face's names and shapes, in the order in which the forward pass meets them. */
import type { ModelConfig } from './config.ts';

/** Name to shape; linear weights are [out, in]. A tied head has no lm_head.weight. */
export function tensorShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { vocabulary, hidden, intermediate } = config;
  const query = config.heads * config.headSize;
  const keyValue = config.keyValueHeads * config.headSize;

  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabulary, hidden]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const block: Record<string, readonly number[]> = {
      'input_layernorm.weight': [hidden],
      'self_attn.q_proj.weight': [query, hidden],
      'self_attn.q_proj.bias': [query],
      'self_attn.k_proj.weight': [keyValue, hidden],
      'self_attn.k_proj.bias': [keyValue],
      'self_attn.v_proj.weight': [keyValue, hidden],
      'self_attn.v_proj.bias': [keyValue],
      'self_attn.o_proj.weight': [hidden, query],
      'post_attention_layernorm.weight': [hidden],
      'mlp.gate_proj.weight': [intermediate, hidden],
      'mlp.up_proj.weight': [intermediate, hidden],
      'mlp.down_proj.weight': [hidden, intermediate],
    };
    for (const [name, shape] of Object.entries(block)) shapes.set(`model.layers.${layer}.${name}`, shape);
  }
  shapes.set('model.norm.weight', [hidden]);
  if (!config.tiedHead) shapes.set('lm_head.weight', [vocabulary, hidden]);
  return shapes;
}
