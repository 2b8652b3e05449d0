"""Holds what llama.cpp makes of a GGUF file against search-e1: token ids, greedy replies, log-probabilities.

    bench/pretrained/venv/bin/pip install llama-cpp-python==0.3.36        (builds from source: cmake and a C++ compiler)
    cat docs/*.md | node bench/pretrained/answers.ts MODEL.gguf > answers.json
    bench/pretrained/venv/bin/python bench/pretrained/check_llama_cpp.py MODEL.gguf answers.json

llama.cpp rounds the inputs of products with quantised weights to 8 bits: only f32 files can be expected to agree closely.
"""
import json
import sys

import numpy as np
from llama_cpp import Llama

found = json.load(open(sys.argv[2]))
model = Llama(sys.argv[1], n_ctx=2048, verbose=False, logits_all=True)
print({k: model.metadata.get(k) for k in ("general.architecture", "tokenizer.ggml.pre", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_bos_token")})
tokenize = lambda text: model.tokenize(text.encode(), add_bos=False, special=True)
wrong = [line for line, ids in zip(found["lines"], found["ids"]) if tokenize(line) != ids]
print(f"token ids: {len(found['lines']) - len(wrong)} of {len(found['lines'])} lines identical", wrong[:2])

worst = 0.0
for ids, own in zip(found["scored"], found["logprobs"]):
    ids = ids[:500]
    model.reset()
    model.eval(ids)
    logits = np.array(model.scores[: len(ids)], dtype=np.float64)
    logprobs = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True)) - logits.max(-1, keepdims=True)
    expected = logprobs[np.arange(len(ids) - 1), ids[1:]]
    worst = max(worst, np.abs(expected - np.array(own[1 : len(expected) + 1])).max())
print(f"log-probabilities: largest difference {worst:.1e}")

same = 0
for reply in found["replies"]:
    out = []
    for token in model.generate(reply["prompt"], temp=0.0, top_k=1, repeat_penalty=1.0):
        out.append(token)
        if len(out) == len(reply["ids"]):
            break
    same += out == reply["ids"]
    if out != reply["ids"]:
        print("  other reply:", repr(model.detokenize(out).decode()[:100]))
print(f"greedy replies identical: {same} of {len(found['replies'])}")
