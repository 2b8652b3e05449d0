"""Makes tiny GGUF files (by the gguf package) and gguf-expected.json: what transformers computes in float64 with the weights
that are in them, and what Hugging Face's tokenizers make of texts.

    python3 -m venv venv && venv/bin/pip install torch==2.13.0 transformers==5.18.0 gguf==0.19.0 && venv/bin/python make-gguf.py
"""
import json

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXTS = ["the ten tens", "12345 ten", "it's\n\n  ten", "<|im_start|>ten<|im_end|>", "½ tent", "TEN"]
SHAPE = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128, rms_norm_eps=1e-5)
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
merges = [("t", "e"), ("te", "n"), ("\u0120", "ten"), ("t", "h"), ("th", "e"), ("1", "2"), ("12", "3"), ("T", "E")]
tokens = special + letters + ["".join(pair) for pair in merges]
vocabulary = len(tokens) + 5  # five rows of padding


def split(kind):
    level = lambda use: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use)
    if kind == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level(True)]), None
    digits = r"\p{N}{1,3}" if kind == "llama-bpe" else r"\p{N}"
    steps = [pre_tokenizers.Split(Regex(CONTRACTIONS + digits + REST), "isolated"), level(False)]
    return pre_tokenizers.Sequence(steps), normalizers.NFC() if kind == "qwen2" else None


def gguf_rows(name, values, config, kind):
    """llama.cpp's order of rows; see LlamaModel.permute of its converter."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if kind != "llama" or heads is None:
        return values
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def make(file, kind, pre, config, model_class, quantized, add_bos):
    torch.manual_seed(3)
    model = model_class(config).eval()
    state = {}
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            spread = 0.3 if tensor.ndim == 2 else 0.1
            state[name] = (torch.randn_like(tensor) * spread + (1.0 if "norm" in name else 0.0)).numpy()
    writer = gguf.GGUFWriter(file, kind)
    writer.add_name(file)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(vocabulary)
    writer.add_key_length(config.head_dim if hasattr(config, "head_dim") else 16)
    writer.add_value_length(config.head_dim if hasattr(config, "head_dim") else 16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens + [f"[PAD{len(tokens) + i}]" for i in range(5)])
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3) + [5] * 5)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(0)
    writer.add_pad_token_id(0)
    if add_bos is not None:
        writer.add_add_bos_token(add_bos)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}")
    kept = {}
    for name, values in state.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if name.startswith("model.layers."):
            _, _, layer, *part, last = name.split(".")
            stored = f"blk.{layer}.{NAMES['.'.join(part)]}.{last}"
        else:
            stored = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}[name]
        rows = gguf_rows(stored, values, config, kind)
        type_ = quantized if rows.ndim == 2 else Q.F32
        raw = gguf.quants.quantize(np.ascontiguousarray(rows), type_)
        writer.add_tensor(stored, raw, raw_dtype=type_)
        # The same rounding in Hugging Face's order: blocks lie within rows.
        kept[name] = torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(values, type_), type_).reshape(values.shape).copy())
    if config.rope_parameters["rope_type"] == "llama3":
        p = config.rope_parameters
        frequencies = 1.0 / p["rope_theta"] ** (np.arange(0, 16, 2, dtype=np.float64) / 16)
        turns = p["original_max_position_embeddings"] * frequencies / (2 * np.pi)
        smooth = np.clip((turns - p["low_freq_factor"]) / (p["high_freq_factor"] - p["low_freq_factor"]), 0, 1)
        writer.add_tensor("rope_freqs.weight", (1 / ((1 - smooth) / p["factor"] + smooth)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    if config.tie_word_embeddings:
        kept["lm_head.weight"] = kept["model.embed_tokens.weight"]
    model.load_state_dict(kept)
    ids = torch.randint(0, len(tokens), (100,), generator=torch.Generator().manual_seed(5)).tolist()
    with torch.no_grad():
        logprobs = model.double()(torch.tensor([ids])).logits[0].log_softmax(-1)
    next_ones = logprobs[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()

    library = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, ignore_merges=pre == "llama-bpe"))
    library.pre_tokenizer, normalizer = split(pre)
    if normalizer:
        library.normalizer = normalizer
    library.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    texts = {text: library.encode(text, add_special_tokens=False).ids for text in TEXTS}
    return {"ids": ids, "logprobs": next_ones, "texts": texts, "start": [0] if (add_bos if add_bos is not None else pre == "llama-bpe") else []}


tied = dict(tie_word_embeddings=True, vocab_size=vocabulary, **SHAPE)
untied = dict(tied, tie_word_embeddings=False)
expected = {
    "llama.gguf": make("llama.gguf", "llama", "llama-bpe", LlamaConfig(**untied, rope_parameters=LLAMA3), LlamaForCausalLM, Q.Q8_0, None),
    "qwen2.gguf": make("qwen2.gguf", "qwen2", "qwen2", Qwen2Config(**tied, rope_parameters=PLAIN), Qwen2ForCausalLM, Q.Q4_0, False),
    "qwen3.gguf": make("qwen3.gguf", "qwen3", "smollm", Qwen3Config(**tied, head_dim=32, rope_parameters=PLAIN), Qwen3ForCausalLM, Q.Q5_1, True),
}
json.dump({"gguf": "0.19.0", "transformers": "5.18.0", "files": expected}, open("gguf-expected.json", "w"))
