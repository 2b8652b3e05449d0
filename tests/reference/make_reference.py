"""Truth that is not ours, for the tests: three random models with what Hugging Face transformers and PyTorch compute of them, and a small
tokenizer with what the tokenizers library makes of texts.

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install torch==2.13.0 transformers==5.24.0 tokenizers==0.23.3 safetensors==0.8.0
    /tmp/reference/bin/python tests/reference/make_reference.py

It writes the folders qwen2, qwen3, llama and tokenizer beside itself. Everything follows from seeds: made again with the same versions on the
same machine, the files are the same to the byte (other machines may round differently in the last bits).

A model's folder:
    config.json, model.safetensors   as transformers saves them
    expected.json                    ids of two sequences, their logits, log-probabilities and entropies, a loss, a greedy continuation
    grads.safetensors                the gradient of that loss, by tensor
    after_adamw_step.safetensors     the parameters after one step of AdamW on it
"""
import json
import os
import sys

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

COMMON = dict(
    vocab_size=80,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    max_position_embeddings=64,
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=None,
    attn_implementation="eager",
)

# What the families differ in: biases, norms of heads and a head size of its own, scaled rotary positions; tied and untied heads; grouped queries.
MODELS = {
    "qwen2": (
        Qwen2ForCausalLM,
        Qwen2Config(
            **COMMON, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}
        ),
    ),
    "qwen3": (
        Qwen3ForCausalLM,
        Qwen3Config(
            **COMMON,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        ),
    ),
    "llama": (
        LlamaForCausalLM,
        LlamaConfig(
            **COMMON,
            num_attention_heads=3,
            num_key_value_heads=3,
            tie_word_embeddings=False,
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
        ),
    ),
}

ADAMW = dict(clip_grad_norm=0.5, lr=1e-3, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.01, steps=1)


def make_model(name, kind, config, seed):
    generator = torch.Generator().manual_seed(seed)
    model = kind(config).to(torch.float32).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            # Norms near 1, and biases and weights large enough that a wrong one shows.
            parameter.copy_(1 + 0.2 * noise if "norm" in parameter_name else 0.25 * noise)
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    model.save_pretrained(folder, safe_serialization=True)
    generated = os.path.join(folder, "generation_config.json")
    if os.path.exists(generated):
        os.remove(generated)

    # Row 1 is padded on the left: without its padding it is a sequence of its own.
    length, padding = 20, 6
    ids = torch.randint(1, config.vocab_size, (2, length), generator=generator)
    attention = torch.ones(2, length, dtype=torch.long)
    attention[1, :padding] = 0
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    mask = torch.zeros(2, length)
    mask[0, 5:9] = 1
    mask[0, 14:] = 1
    mask[1, padding + 4 :] = 1
    advantage = torch.tensor([[0.7], [-0.4]]).expand(2, length)

    logits = model(input_ids=ids, attention_mask=attention, position_ids=positions).logits
    logprobs = torch.log_softmax(logits, -1)
    taken = logprobs[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    loss = -(taken * advantage[:, 1:] * mask[:, 1:]).sum() / mask[:, 1:].sum()
    loss.backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters()}
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()]))
    with torch.no_grad():
        entropy = -(logprobs[0].exp() * logprobs[0]).sum(-1)
        greedy = ids[0, :5].tolist()
        while len(greedy) < 25:
            greedy.append(int(model(input_ids=torch.tensor([greedy])).logits[0, -1].argmax()))

    torch.nn.utils.clip_grad_norm_(model.parameters(), ADAMW["clip_grad_norm"])
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=ADAMW["lr"], betas=tuple(ADAMW["betas"]), eps=ADAMW["eps"], weight_decay=ADAMW["weight_decay"]
    )
    optimizer.step()
    save_file(gradients, os.path.join(folder, "grads.safetensors"))
    save_file({n: p.detach().clone() for n, p in model.named_parameters()}, os.path.join(folder, "after_adamw_step.safetensors"))
    numbers = lambda tensor: [[float(f"{x:.7g}") for x in row] for row in tensor.tolist()]
    write(
        os.path.join(folder, "expected.json"),
        {
            "made_by": f"torch {torch.__version__}, transformers {transformers.__version__}, {name}, seed {seed}",
            "input_ids": ids.tolist(),
            "attention_mask": attention.tolist(),
            "logits_row0_unpadded": numbers(logits[0]),
            "logits_row1_valid_positions": numbers(logits[1, padding:]),
            "next_token_logprobs": numbers(taken),
            "entropy_row0": numbers(entropy[None])[0],
            "loss": {
                "definition": "-(sum over t of mask[t+1] advantage log p(x[t+1] | x[<=t])) / sum(mask[:, 1:])",
                "token_mask": mask.int().tolist(),
                "advantage": numbers(advantage[:, :1]),
                "value": loss.item(),
                "grad_global_norm": norm.item(),
            },
            "adamw": ADAMW,
            "greedy_from_first5": greedy,
        },
    )


TEXTS = [
    "",
    " ",
    "a",
    "Who wrote the opera Fidelio?",
    "who  wrote   it\n\n",
    "<search> opera Fidelio </search>",
    "<|im_start|>user\nWho?<|im_end|>\n",
    "it's 1,234.56 — naïve café",
    "Zürich, 東京, Москва, 🎼👩‍🚀",
    "e\u0301 is é in NFC",
    "tab\tand\r\nline",
    "<think>I know.</think><answer> Beethoven </answer>",
    "x" * 40,
    "don't DON'T we'll",
    "\u00a0no-break",
]

CORPUS = [
    "Who wrote the opera Fidelio? Ludwig van Beethoven wrote the opera Fidelio in Vienna.",
    "What is the capital of Portugal? Lisbon is the capital of Portugal, a city on the river Tagus.",
    "<think> I do not know this . </think> <search> capital of Portugal </search>",
    "<information> Lisbon is the capital and the largest city of Portugal . </information> <answer> Lisbon </answer>",
    "The quick brown fox jumps over the lazy dog, and it doesn't look back; we'll see what they've found in 1805 and 1814.",
]


def make_tokenizer():
    # As Qwen's: NFC, GPT-2's bytes, words split by a pattern of its own.
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    from tokenizers import Regex

    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        min_frequency=2,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    folder = os.path.join(HERE, "tokenizer")
    os.makedirs(folder, exist_ok=True)
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    write(
        os.path.join(folder, "tokenizer_config.json"),
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": template},
    )
    fast = transformers.AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}, {"role": "user", "content": "Why?"}]
    cases = [{"text": text, "ids": fast.encode(text, add_special_tokens=False)} for text in TEXTS]
    for case in cases:
        assert case["ids"] == tokenizer.encode(case["text"], add_special_tokens=False).ids
        case["decoded"] = fast.decode(case["ids"], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    write(
        os.path.join(folder, "expected.json"),
        {
            "made_by": f"transformers {transformers.__version__}, tokenizers {__import__('tokenizers').__version__}",
            "vocabulary": len(fast),
            "messages": messages,
            "chat": fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
            "chat_ids": fast.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=False),
            "cases": cases,
        },
    )


def write(file, value):
    with open(file, "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False, separators=(",", ":"))
        out.write("\n")


def main():
    for seed, (name, (kind, config)) in enumerate(MODELS.items(), start=41):
        make_model(name, kind, config, seed)
    make_tokenizer()


if __name__ == "__main__":
    sys.exit(main())
