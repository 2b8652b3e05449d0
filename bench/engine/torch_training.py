"""The same training step in eager PyTorch: a Qwen2 or Llama of the given shape, cross-entropy on every token, AdamW, clipped norm.

Reads one JSON document on stdin: {config, threads, repeats, cases: [{name, sequences, rank}]}; with a rank, LoRA on the seven linear
layers of a block is trained, else all weights. Prints one: {version, gigaflops, cases: [{name, seconds: [...], processor: [...]}]},
`processor` being seconds of the processor, all threads together. Sequences are padded to the longest of the batch; attention is
fused (scaled_dot_product_attention).
"""
import json, sys, time
import torch
from torch import nn
import torch.nn.functional as F

spec = json.load(sys.stdin)
c = spec["config"]
torch.set_num_threads(spec["threads"])
torch.manual_seed(1)
D, H, KV = c["headSize"], c["heads"], c["keyValueHeads"]


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(c["hidden"]))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c["rmsEpsilon"]))


class Lora(nn.Module):
    """y = W x + 2 B A x with W frozen: alpha is twice the rank."""

    def __init__(self, linear, rank):
        super().__init__()
        self.linear = linear
        self.a = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + 2 * (x @ self.a.T) @ self.b.T


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        h, f = c["hidden"], c["intermediate"]
        self.n1, self.n2 = Norm(), Norm()
        biased = c["family"] == "qwen2"
        self.q, self.k, self.v = (nn.Linear(h, n * D, bias=biased) for n in (H, KV, KV))
        self.o = nn.Linear(H * D, h, bias=False)
        self.gate, self.up, self.down = nn.Linear(h, f, bias=False), nn.Linear(h, f, bias=False), nn.Linear(f, h, bias=False)

    def forward(self, x, cos, sin):
        n, s, _ = x.shape
        h = self.n1(x)
        turn = lambda t: t * cos + torch.cat((-t[..., D // 2 :], t[..., : D // 2]), -1) * sin
        q = turn(self.q(h).view(n, s, H, D).transpose(1, 2))
        k = turn(self.k(h).view(n, s, KV, D).transpose(1, 2))
        v = self.v(h).view(n, s, KV, D).transpose(1, 2)
        k, v = k.repeat_interleave(H // KV, 1), v.repeat_interleave(H // KV, 1)
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(o.transpose(1, 2).reshape(n, s, H * D))
        h = self.n2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(c["vocabulary"], c["hidden"])
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(c["layers"]))
        self.norm = Norm()

    def forward(self, ids):
        s = ids.shape[1]
        angle = torch.arange(s)[:, None] * c["ropeTheta"] ** (-torch.arange(0, D, 2) / D)[None]
        cos, sin = torch.cat((angle, angle), -1).cos(), torch.cat((angle, angle), -1).sin()
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x)


def measure(case):
    model, sequences = Model(), case["sequences"]
    if "rank" in case:
        model.requires_grad_(False)
        for block in model.blocks:
            for name in ("q", "k", "v", "o", "gate", "up", "down"):
                setattr(block, name, Lora(getattr(block, name), case["rank"]))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    longest = max(map(len, sequences))
    ids = torch.tensor([s + [0] * (longest - len(s)) for s in sequences])
    wanted = torch.tensor([[t + 1 < len(s) for t in range(longest - 1)] for s in sequences])
    seconds, processor = [], []
    for _ in range(spec["repeats"] + 1):
        start, before = time.perf_counter(), time.process_time()
        hidden = model(ids[:, :-1])[wanted]
        loss = F.cross_entropy(hidden @ model.embed.weight.T, ids[:, 1:][wanted])
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - before)
    return dict(name=case["name"], seconds=seconds[1:], processor=processor[1:])


def gigaflops():
    """Of one large matrix product: shows a PyTorch that was built on, or installed with, a slow BLAS."""
    a = torch.randn(768, 768)
    a @ a
    start = time.perf_counter()
    for _ in range(4):
        a @ a
    return 4 * 2 * 768**3 / (time.perf_counter() - start) / 1e9


cases = [measure(case) for case in spec["cases"]]
print(json.dumps({"version": torch.__version__, "gigaflops": gigaflops(), "cases": cases}))
