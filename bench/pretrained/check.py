"""Holds a GGUF file as search-e1 reads it against transformers.

    python3 -m venv bench/pretrained/venv            (ignored by git)
    bench/pretrained/venv/bin/pip install torch==2.13.0 transformers==5.18.0 gguf==0.19.0
    node bin/search-e1.js import MODEL.gguf --out OUT
    cat docs/*.md | node bench/pretrained/answers.ts MODEL.gguf > answers.json
    bench/pretrained/venv/bin/python bench/pretrained/check.py MODEL.gguf OUT answers.json

Weights of the imported directory against those that transformers reads from the GGUF file itself; log-probabilities, token ids
and greedy replies of the embedded engine against torch over the imported directory; its special tokens and chat template.
"""
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

gguf, folder, answers = sys.argv[1:4]
found = json.load(open(answers))
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
print(f"opened in {found['seconds']:.2f} s, {found['megabytes']} MB at the peak of the whole check")
print("special tokens", {k: getattr(tokenizer, k) for k in ("bos_token", "eos_token", "pad_token", "unk_token")}, type(tokenizer).__name__)
print("generation", {k: getattr(model.generation_config, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")})

try:
    truth = AutoModelForCausalLM.from_pretrained(os.path.dirname(gguf) or ".", gguf_file=os.path.basename(gguf), dtype=torch.float32)
    own = model.state_dict()
    same = [name for name, tensor in truth.state_dict().items() if torch.equal(tensor, own[name])]
    print(f"weights equal to the bit: {len(same)} of {len(truth.state_dict())} tensors")
except Exception as error:
    print("transformers does not load this GGUF file:", error)

wrong = [line for line, ids in zip(found["lines"], found["ids"]) if tokenizer.encode(line, add_special_tokens=False) != ids]
print(f"token ids: {len(found['lines']) - len(wrong)} of {len(found['lines'])} lines identical", wrong[:2])

worst, tokens = 0.0, 0
with torch.no_grad():
    for ids, own_logprobs in zip(found["scored"], found["logprobs"]):
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected = logits[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        # The engine gives one for each token behind the first.
        own_row = torch.tensor(own_logprobs[-len(expected):])
        worst = max(worst, (expected - own_row).abs().max().item())
        tokens += len(expected)
    print(f"log-probabilities: {tokens} tokens, largest difference {worst:.1e}")
    same = 0
    for reply in found["replies"]:
        chat = [{"role": "user", "content": reply["question"]}]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) if tokenizer.chat_template else reply["question"]
        prompt = tokenizer.encode(prompt, add_special_tokens=False)
        out = model.generate(torch.tensor([prompt]), max_new_tokens=40, do_sample=False)[0, len(prompt):].tolist()
        same += prompt == reply["prompt"] and out[: len(reply["ids"])] == reply["ids"][: len(out)]
        print(" ", reply["question"], "->", repr(reply["text"][:100]))
    print(f"greedy replies identical: {same} of {len(found['replies'])}")
