#!/usr/bin/env python3
"""BDH-GPU in PyTorch: what a person would run instead of this project, timed.

Written from the equations in docs/architecture.md, section 3, in the plain style of PyTorch: one tensor operation
after another, everything batched. The last line printed is one JSON object.

  pytorch_baseline.py train    steps of forward, cross entropy, backward, AdamW
  pytorch_baseline.py prefill  logits of a prompt through the parallel form (scores T x T), without gradients
  pytorch_baseline.py decode   one token after another with the state carried (the recurrent form)
  pytorch_baseline.py check    how far the two forms are apart, in f64
"""
import argparse
import json
import math
import os
import statistics
import sys
import time

HUGE_PAGES = "glibc.malloc.hugetlb=1"
if HUGE_PAGES not in os.environ.get("GLIBC_TUNABLES", ""):
    # Fresh large tensors otherwise cost a page fault every 4 KiB: this makes PyTorch up to twice as fast.
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": HUGE_PAGES})

import torch
import torch.nn.functional as F

VOCABULARY = 256
THETA = 65536.0
EPS = 1e-5


def memory(key):
    """`VmHWM`, the most that was held, or `VmRSS`, what is held, in bytes; None where the system does not say."""
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return None


class Dragon(torch.nn.Module):
    """decoder_x, decoder_y [H, D, N]; encoder [H N, D]; embed [V, D]; lm_head [D, V]."""

    def __init__(self, a):
        super().__init__()
        self.levels, self.dropout = a.levels, a.dropout
        self.heads, self.width, self.neurons = a.heads, a.d_model, a.neurons // a.heads

        def weights(*shape):
            return torch.nn.Parameter(0.02 * torch.randn(*shape))

        self.embed = weights(VOCABULARY, a.d_model)
        self.decoder_x = weights(a.heads, a.d_model, self.neurons)
        self.decoder_y = weights(a.heads, a.d_model, self.neurons)
        self.encoder = weights(a.neurons, a.d_model)
        self.lm_head = weights(a.d_model, VOCABULARY)
        pairs = torch.arange(self.neurons // 2, dtype=torch.float64)
        turns = THETA ** (-2.0 * pairs / self.neurons) / (2.0 * math.pi)
        self.register_buffer("turns", turns, persistent=False)  # of a full turn, per token

    def norm(self, v):
        return F.layer_norm(v, (self.width,), eps=EPS)

    def angles(self, start, tokens, dtype):
        """Cosines and sines of some positions, [T, N/2] each."""
        positions = torch.arange(start, start + tokens, dtype=torch.float64)
        phase = torch.frac(positions[:, None] * self.turns) * (2.0 * math.pi)
        return phase.cos().to(dtype), phase.sin().to(dtype)

    @staticmethod
    def rotate(x, cos, sin):
        """Turns the pairs (2i, 2i + 1) of the last axis."""
        a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)

    def forward(self, tokens):
        """Logits [B, T, V] of a window from an empty memory: the parallel form."""
        lanes, length = tokens.shape
        cos, sin = self.angles(0, length, self.embed.dtype)
        v = self.norm(self.embed[tokens]).unsqueeze(1)  # [B, 1, T, D]
        for _ in range(self.levels):
            x = F.relu(v @ self.decoder_x)  # [B, H, T, N]
            q = self.rotate(x, cos, sin)
            scores = (q @ q.mT).tril(-1)  # [B, H, T, T]
            y = F.relu(self.norm(scores @ v) @ self.decoder_y) * x
            y = F.dropout(y, self.dropout, self.training)
            y = y.transpose(1, 2).reshape(lanes, 1, length, -1)  # [B, 1, T, H N]
            v = self.norm(v + self.norm(y @ self.encoder))
        return v.squeeze(1) @ self.lm_head

    def step(self, token, rho, position):
        """Logits [V] after one more token; rho [L, H, N, D] is read, then written in place: the recurrent form."""
        cos, sin = self.angles(position, 1, self.embed.dtype)
        v = self.norm(self.embed[token]).view(1, 1, -1)  # [1, 1, D]
        for memory in rho:
            x = F.relu(v @ self.decoder_x)  # [H, 1, N]
            q = self.rotate(x, cos, sin)
            a = self.norm(q @ memory)  # [H, 1, D]
            memory.addcmul_(q.mT, v)
            y = F.relu(a @ self.decoder_y) * x
            v = self.norm(v + self.norm(y.view(1, 1, -1) @ self.encoder))
        return (v @ self.lm_head).flatten()

    def empty_state(self):
        return torch.zeros(self.levels, self.heads, self.neurons, self.width, dtype=self.embed.dtype)


def tokens_of(a, count):
    """The first tokens of the text, again and again if it is short, or random ones."""
    if a.text is None:
        return torch.randint(0, VOCABULARY, (count,), generator=torch.Generator().manual_seed(1337))
    with open(a.text, "rb") as file:
        text = file.read(count)
    return torch.tensor(list((text * (count // len(text) + 1))[:count]))


def timed(a, warm_up, rounds, work):
    """Median and best seconds of `work`, after some rounds that do not count."""
    seconds = []
    for done in range(warm_up + rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
        print(f"{done - warm_up + 1:>6}/{rounds}  {seconds[-1]:.4g} s", file=sys.stderr, flush=True)
    return statistics.median(seconds[warm_up:]), min(seconds[warm_up:])


def train(a):
    model = Dragon(a)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    window = tokens_of(a, a.batch * a.time + 1)
    inputs, targets = window[:-1].view(a.batch, a.time), window[1:].view(a.batch, a.time)
    forward = torch.compile(model) if a.compile else model

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
            logits = forward(inputs)
        F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    median, best = timed(a, 2, a.steps, step)
    return {"seconds_per_step": median, "best_seconds_per_step": best, "tokens_per_second": a.batch * a.time / median}


@torch.no_grad()
def prefill(a):
    model = Dragon(a).eval()
    forward = torch.compile(model) if a.compile else model
    prompt = tokens_of(a, a.tokens).view(1, -1)

    def read():
        with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
            forward(prompt)

    median, best = timed(a, 1, a.steps, read)
    return {"seconds_per_prompt": median, "best_seconds_per_prompt": best, "tokens_per_second": a.tokens / median}


@torch.no_grad()
def decode(a):
    """Time does not depend on what the state holds, so it is filled by a few tokens and set to its position."""
    model = Dragon(a).eval()
    rho, warm_up = model.empty_state(), 8
    step = torch.compile(model.step) if a.compile else model.step
    tokens = iter(enumerate(tokens_of(a, warm_up + a.tokens).tolist()))

    def next_token():
        done, token = next(tokens)
        with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
            step(token, rho, a.context - warm_up + done).argmax().item()

    median, best = timed(a, warm_up, a.tokens, next_token)
    return {"seconds_per_token": median, "best_seconds_per_token": best, "tokens_per_second": 1.0 / median}


@torch.no_grad()
def check(a):
    torch.set_default_dtype(torch.float64)
    model = Dragon(a).eval()
    for weight in model.parameters():
        weight.mul_(10.0)  # far from where every norm sees nothing but its epsilon
    window = tokens_of(a, a.time)
    parallel, rho = model(window.view(1, -1))[0], model.empty_state()
    recurrent = torch.stack([model.step(token, rho, at) for at, token in enumerate(window.tolist())])
    difference = ((parallel - recurrent).abs().max() / parallel.abs().max()).item()
    if not difference < 1e-9:
        sys.exit(f"the two forms differ by {difference:.2g} of the largest logit")
    return {"difference": difference}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["train", "prefill", "decode", "check"])
    sizes = dict(levels=4, d_model=128, heads=4, neurons=4096, batch=8, time=256, steps=6, context=256, tokens=64)
    for name, default in dict(**sizes, threads=2).items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="bf16: autocast")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--text", metavar="FILE", help="bytes to read; else random ones")
    return p.parse_args()


def main():
    a = arguments()
    torch.manual_seed(1337)
    torch.set_num_threads(a.threads)
    before = memory("VmRSS")
    figures = {"train": train, "prefill": prefill, "decode": decode, "check": check}[a.what](a)
    peak = memory("VmHWM")
    about = {
        "torch": torch.__version__,
        "threads": a.threads,
        "precision": a.precision,
        "compiled": a.compile,
        "peak_memory_bytes": peak,
        "memory_before_bytes": before,  # of the interpreter and the library
    }
    print(json.dumps({**figures, **about}))


main()
