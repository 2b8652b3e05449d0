"""Makes tiny-bert/, a sentence-transformers folder with random weights, and the vectors that the library gives for it.

    pip install torch==2.13.0 transformers==5.18.0 sentence-transformers==6.2.0
    python make_tiny_bert.py

expected.json: for each case what is changed in the folder's files, and the vectors of the same texts.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from transformers import BertConfig, BertModel, BertTokenizerFast

HERE = Path(__file__).parent / "tiny-bert"
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] oslo fjord paris seine the of ##s ##fall water : , query passage".split()
TEXTS = [
    "Oslo fjord",
    "the Seine: Paris",
    "",
    "unknown words of the waterfalls",
    "paris, " * 40,
    "  oslo ",
    "the " * 21,
    "the " * 22,
    "PARIS of the fjords",
]
PROMPTS = {"query": "query: ", "document": "passage: "}
MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
CASES = [
    {"name": "mean, gelu"},
    {"name": "cls, gelu_new", "pooling": {"pooling_mode": "cls"}, "config": {"hidden_act": "gelu_new"}},
    {"name": "max, relu", "pooling": {"pooling_mode": "max"}, "config": {"hidden_act": "relu"}},
    {"name": "mean by the names before version 6", "pooling": MEAN, "old": True},
]


def write(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    (folder / "vocab.txt").unlink()
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
        # Large enough for attention to choose, and for biases and norms to matter.
        initializer_range=0.5,
    )
    model = BertModel(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight += torch.randn_like(weight) * 0.3
    model.save_pretrained(folder)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    modules = ["Transformer", "Pooling", "Normalize"]
    write_json(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": f"{i}_{name}" if i else "", "type": f"sentence_transformers.models.{name}"}
            for i, name in enumerate(modules)
        ],
    )
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", {"embedding_dimension": 16, "pooling_mode": "mean"})
    write_json(folder / "config_sentence_transformers.json", {"prompts": PROMPTS, "similarity_fn_name": "cosine"})


def expected(case: dict) -> dict:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        shutil.copytree(HERE, folder)
        change(folder / "config.json", case.get("config", {}))
        if "pooling" in case:
            sizes = {"word_embedding_dimension": 16} if case.get("old") else {"embedding_dimension": 16}
            write_json(folder / "1_Pooling" / "config.json", {**sizes, **case["pooling"]})
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        # One text at a time: nothing is padded.
        vectors = {
            role: [[round(float(value), 7) for value in encode([text], batch_size=1)[0]] for text in TEXTS]
            for role, encode in (("query", model.encode_query), ("passage", model.encode_document))
        }
        return {**{key: case[key] for key in ("name", "config", "pooling") if key in case}, **vectors}


def write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n")


def change(file: Path, fields: dict) -> None:
    write_json(file, {**json.loads(file.read_text()), **fields})


if __name__ == "__main__":
    write(HERE)
    result = {"texts": TEXTS, "cases": [expected(case) for case in CASES]}
    (HERE / "expected.json").write_text(json.dumps(result) + "\n")
