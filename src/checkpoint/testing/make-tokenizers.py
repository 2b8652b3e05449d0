"""Makes tokenizers.json: what Hugging Face's own library does with a small tokenizer under every form of post-processor.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3 && venv/bin/python make-tokenizers.py > tokenizers.json
"""
import json
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

TEXTS = ["hello", "", " two words", "<s>hello", "<|bos|> é", "a</s>"]

alphabet = sorted(ByteLevel.alphabet())
special = ["<s>", "</s>", "<|bos|>"]
base = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": 256 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, text in enumerate(special)
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": None,
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
              "fuse_unk": False, "byte_fallback": False, "vocab": {letter: i for i, letter in enumerate(alphabet)}, "merges": []},
}


def template(before, after):
    piece = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    names = before + after
    return {
        "type": "TemplateProcessing",
        "single": [*map(piece, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(piece, after)],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [256 + special.index(name)], "tokens": [name]} for name in names},
    }


byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
processors = {
    "none": None,
    "ByteLevel": byte_level,
    "a template with a beginning": template(["<|bos|>"], []),
    "a template with beginning and end": template(["<|bos|>", "<s>"], ["</s>"]),
    "a template with an end": template([], ["</s>"]),
    "BertProcessing": {"type": "BertProcessing", "cls": ["<s>", 256], "sep": ["</s>", 257]},
    "RobertaProcessing": {"type": "RobertaProcessing", "cls": ["<s>", 256], "sep": ["</s>", 257], "trim_offsets": True, "add_prefix_space": False},
    "a sequence": {"type": "Sequence", "processors": [byte_level, template(["<|bos|>"], [])]},
}
found = {}
for name, processor in processors.items():
    library = Tokenizer.from_str(json.dumps(base | {"post_processor": processor}))
    found[name] = {"post_processor": processor, "ids": {text: library.encode(text).ids for text in TEXTS}}
# The same library told to take special tokens for text.
merges = [("I", "N"), ("S", "T"), ("IN", "ST"), ("[", "INST"), ("/", "INST"), ("h", "i"), ("\u0120", "hi")]
vocab = {**base["model"]["vocab"], **{"".join(pair): 256 + i for i, pair in enumerate(merges)}}
controls = ["[INST]", "[/INST]", "<s>", "\u2016", "</s>"]
formatted = base | {
    "added_tokens": [base["added_tokens"][0] | {"id": len(vocab) + i, "content": text} for i, text in enumerate(controls)],
    "model": base["model"] | {"vocab": vocab, "merges": [list(pair) for pair in merges]},
}
library = Tokenizer.from_str(json.dumps(formatted))
library.encode_special_tokens = True
said = ["[INST]", "hi [INST] hi[/INST]hi", "<s>\u2016</s>", "[INST][INST", "no tokens, hi"]
as_text = {"tokenizer": formatted, "ids": {text: library.encode(text).ids for text in said}}

print(json.dumps({"tokenizers": "0.23.3", "base": base, "processors": found, "specials as text": as_text}, ensure_ascii=False))
