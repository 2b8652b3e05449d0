"""Makes gguf-blocks.json: random blocks of every storage type, and what the gguf package reads from them.

    python3 -m venv venv && venv/bin/pip install gguf==0.19.0 && venv/bin/python make-blocks.py > gguf-blocks.json
"""
import base64
import json

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

NAMES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 IQ4_NL Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_XS".split()
# Where a block has its float16 numbers: random bits there would be infinite now and then, which JSON cannot say.
HALVES = {"F16": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0]}
random = np.random.default_rng(7)
found = {}
for name in NAMES:
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    count = 32 if elements == 1 else 3 if elements == 32 else 2
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    if name == "F32":
        blocks = random.normal(size=count).astype(np.float32).view(np.uint8).reshape(count, size)
    if name == "BF16":
        blocks[:, 1] = random.integers(0x30, 0x48, count)
    for offset in HALVES.get(name, []):
        # The last block of each has subnormal numbers, which lose bits when they are multiplied.
        halves = (random.normal(size=count) * np.where(np.arange(count) == count - 1, 3e-6, 0.3)).astype(np.float16)
        blocks[:, offset : offset + 2] = halves.view(np.uint8).reshape(count, 2)
    values = dequantize(blocks, kind).reshape(-1)
    assert np.isfinite(values).all()
    found[name] = {"type": int(kind), "block_elements": elements, "block_bytes": size,
                   "bytes_base64": base64.b64encode(blocks.tobytes()).decode(), "values_base64": base64.b64encode(values.astype("<f4").tobytes()).decode()}
print(json.dumps(found))
