"""The same sampling in eager PyTorch: a Qwen2 of the given shape, all sequences in one batch, caches allocated once.

Reads one JSON document on stdin: {config, threads, repeats, cases: [{name, sequences, prompt, tokens}]}.
Prints one: {version, gigaflops, cases: [{name, seconds: [...], processor: [...]}]}, the first, warming repetition left out; of each
case also the reading of its prompts alone, as "NAME, reading". `processor` is seconds of the processor, all threads together.
Softmax, torch.multinomial and the log-probability of what was drawn are part of each step, as they are in the engine.
"""
import json, sys, time
import torch
import torch.nn.functional as F

spec = json.load(sys.stdin)
c = spec["config"]
torch.set_num_threads(spec["threads"])
torch.manual_seed(1)
V, D, H, KV, S, FF = (c[k] for k in ("vocabulary", "hidden", "heads", "keyValueHeads", "headSize", "intermediate"))
weight = lambda rows, columns: torch.randn(rows, columns) * 0.02
embedding = weight(V, D)
layers = [
    dict(
        qkv=weight((H + 2 * KV) * S, D), bias=torch.zeros((H + 2 * KV) * S) if c["family"] == "qwen2" else None, o=weight(D, H * S),
        up=weight(2 * FF, D), down=weight(D, FF), n1=torch.ones(D), n2=torch.ones(D),
    )
    for _ in range(c["layers"])
]
final = torch.ones(D)


def norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c["rmsEpsilon"]) * w


def forward(ids, start, keys, values, cos, sin):
    n, s = ids.shape
    x = F.embedding(ids, embedding)
    cos, sin = cos[start : start + s], sin[start : start + s]
    turn = lambda t: t * cos + torch.cat((-t[..., S // 2 :], t[..., : S // 2]), -1) * sin
    mask = torch.full((s, start + s), -1e9).triu(start + 1).repeat(H // KV, 1) if s > 1 else 0
    for p, key, value in zip(layers, keys, values):
        q, k, v = F.linear(norm(x, p["n1"]), p["qkv"], p["bias"]).split([H * S, KV * S, KV * S], -1)
        key[:, :, start : start + s] = turn(k.view(n, s, KV, S).transpose(1, 2))
        value[:, :, start : start + s] = v.view(n, s, KV, S).transpose(1, 2)
        # The query heads of a key-value head are rows of one product: nothing is repeated.
        q = turn(q.view(n, s, H, S).transpose(1, 2)).reshape(n, KV, H // KV * s, S)
        scores = q @ key[:, :, : start + s].transpose(2, 3) * S**-0.5 + mask
        o = scores.softmax(-1) @ value[:, :, : start + s]
        x = x + F.linear(o.view(n, H, s, S).transpose(1, 2).reshape(n, s, H * S), p["o"])
        gate, up = F.linear(norm(x, p["n2"]), p["up"]).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, p["down"])
    return F.linear(norm(x[:, -1], final), embedding)


@torch.inference_mode()
def sample(n, prompt, tokens):
    length = prompt + tokens
    angles = torch.arange(length)[:, None] * c["ropeTheta"] ** (-torch.arange(S // 2) / (S / 2))
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)
    keys, values = ([torch.zeros(n, KV, length, S) for _ in layers] for _ in range(2))
    ids = torch.randint(V, (n, prompt))
    marks = [(time.perf_counter(), time.process_time())]
    for t in range(tokens):
        p = forward(ids, 0 if t == 0 else prompt + t - 1, keys, values, cos, sin).softmax(-1)
        ids = torch.multinomial(p, 1)
        p.gather(1, ids).log()
        if t in (0, tokens - 1):
            marks.append((time.perf_counter(), time.process_time()))
    return marks


def timed(case):
    """Of the whole and of its first part, which ends with the first drawn token."""
    runs = [sample(case["sequences"], case["prompt"], case["tokens"]) for _ in range(spec["repeats"] + 1)][1:]
    parts = {case["name"]: (0, -1), f"{case['name']}, reading": (0, 1)}
    return [
        dict(name=name, seconds=[m[b][0] - m[a][0] for m in runs], processor=[m[b][1] - m[a][1] for m in runs])
        for name, (a, b) in parts.items()
    ]


a, b = torch.randn(512, 512), torch.randn(512, 512)
a @ b
start = time.perf_counter()
for _ in range(20):
    a @ b
gigaflops = 20 * 2 * 512**3 / (time.perf_counter() - start) / 1e9
cases = [part for case in spec["cases"] for part in timed(case)]
print(json.dumps({"version": torch.__version__, "gigaflops": gigaflops, "cases": cases}))
