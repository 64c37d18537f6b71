#!/usr/bin/env python3
"""BDH-GPU in PyTorch: what a person would run instead of this project, timed.

Written from the equations in docs/architecture.md, section 3, in tensor operations, in the forms that a good user of
PyTorch would try. Before anything is timed, the form that was asked for is compared with the plain one, logits and
gradients, on a small model in f64. The last line printed is one JSON object.

  pytorch_baseline.py train    steps of forward, cross entropy, backward, AdamW
  pytorch_baseline.py prefill  logits of a prompt, without gradients
  pytorch_baseline.py decode   one token after another with the state carried (the recurrent form)
  pytorch_baseline.py fit      a model of --text, trained for --epochs, and its loss on --validation
  pytorch_baseline.py check    how far all forms are apart, in f64; with --compile, compiled ones too, in f32

--form: how a window is read. parallel: scores T x T. blocks: the same, without those that the mask hides, block by block.
chunked: scores within a chunk, a memory between chunks. --layout: how products over heads are written. heads: broadcast
`matmul`, einsum: `torch.einsum`, merged: the weights of all heads side by side in one product.
"""
import argparse
import functools
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
from torch.utils.checkpoint import checkpoint

VOCABULARY = 256
THETA = 65536.0
EPS = 1e-5
FORMS = ["parallel", "blocks", "chunked"]
LAYOUTS = ["heads", "einsum", "merged"]


def memory(key):
    """`VmHWM`, the most that was held, or `VmRSS`, what is held, in bytes; None where the system does not say."""
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return None


class Dragon(torch.nn.Module):
    """decoder_x, decoder_y [H, D, N], merged [D, H N] and [H, D, N]; encoder [H N, D]; embed [V, D]; lm_head [D, V]."""

    def __init__(self, a, form=None, layout=None):
        super().__init__()
        self.levels, self.dropout, self.chunk, self.recompute = a.levels, a.dropout, a.chunk, a.recompute
        self.form, self.layout = form or a.form, layout or a.layout
        self.heads, self.width, self.neurons = a.heads, a.d_model, a.neurons // a.heads
        generator = torch.Generator().manual_seed(a.seed)

        def weights(*shape):
            return 0.02 * torch.randn(*shape, generator=generator)

        for name, weight in (
            ("embed", weights(VOCABULARY, a.d_model)),
            ("decoder_x", weights(a.heads, a.d_model, self.neurons)),
            ("decoder_y", weights(a.heads, a.d_model, self.neurons)),
            ("encoder", weights(a.neurons, a.d_model)),
            ("lm_head", weights(a.d_model, VOCABULARY)),
        ):
            if name == "decoder_x" and self.layout == "merged":
                weight = weight.transpose(0, 1).flatten(1).contiguous()
            self.register_parameter(name, torch.nn.Parameter(weight))
        pairs = torch.arange(self.neurons // 2, dtype=torch.float64)
        self.turns = THETA ** (-2.0 * pairs / self.neurons) / (2.0 * math.pi)  # of a full turn, per token; f64 always

    def _apply(self, move, *rest):
        super()._apply(move, *rest)
        self.turns = self.turns.to(self.embed.device)
        return self

    def norm(self, v):
        return F.layer_norm(v, (self.width,), eps=EPS)

    def angles(self, positions):
        """Cosines and sines of positions [T], [T, N/2] each."""
        phase = torch.frac(positions.double()[:, None] * self.turns) * (2.0 * math.pi)
        return phase.cos().to(self.embed.dtype), phase.sin().to(self.embed.dtype)

    @staticmethod
    def rotate(x, cos, sin):
        """Turns the pairs (2i, 2i + 1) of the last axis."""
        a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)

    # The three products with weights.

    def drive(self, v):
        """[B, T, D] by decoder_x: [B, H, T, N]."""
        if self.layout == "merged":
            return (v @ self.decoder_x).unflatten(-1, (self.heads, self.neurons)).transpose(1, 2)
        if self.layout == "einsum":
            return torch.einsum("btd,hdn->bhtn", v, self.decoder_x)
        return v.unsqueeze(1) @ self.decoder_x

    def answer(self, a):
        """[B, H, T, D] by decoder_y: [B, H, T, N]."""
        if self.layout == "merged":
            lanes, heads, length, _ = a.shape
            rows = a.transpose(0, 1).reshape(heads, lanes * length, -1)  # the weights are read once for all lanes
            return torch.bmm(rows, self.decoder_y).unflatten(1, (lanes, length)).transpose(0, 1)
        if self.layout == "einsum":
            return torch.einsum("bhtd,hdn->bhtn", a, self.decoder_y)
        return a @ self.decoder_y

    def collect(self, y):
        """[B, H, T, N] by encoder: [B, T, D]."""
        if self.layout == "einsum":
            return torch.einsum("bhtn,hnd->btd", y, self.encoder.unflatten(0, (self.heads, self.neurons)))
        return y.transpose(1, 2).flatten(2) @ self.encoder

    # The read of a window from an empty memory, in three forms.

    def read(self, q, v):
        """sum over s < t of (q_t . q_s) v_s, from [B, H, T, N] and [B, T, D]: [B, H, T, D]."""
        return {"parallel": self.scores, "blocks": self.blocks, "chunked": self.chunks}[self.form](q, v)

    @staticmethod
    def scores(q, v):
        return (q @ q.mT).tril(-1) @ v.unsqueeze(1)

    def blocks(self, q, v):
        reads = []
        for start in range(0, q.shape[2], self.chunk):
            end = min(start + self.chunk, q.shape[2])
            scores = (q[:, :, start:end] @ q[:, :, :end].mT).tril(start - 1)
            reads.append(scores @ v[:, None, :end])
        return torch.cat(reads, 2)

    def chunks(self, q, v):
        rho, reads = None, []  # [B, H, N, D]
        for keys, values in zip(q.split(self.chunk, 2), v.split(self.chunk, 1)):
            read = self.scores(keys, values)
            reads.append(read if rho is None else read + keys @ rho)
            written = keys.mT @ values.unsqueeze(1)
            rho = written if rho is None else rho + written
        return torch.cat(reads, 2)

    def forward(self, tokens):
        """Logits [B, T, V] of a window from an empty memory."""
        cos, sin = self.angles(torch.arange(tokens.shape[1], device=tokens.device))
        v = self.norm(self.embed[tokens])  # [B, T, D]
        for _ in range(self.levels):
            if self.recompute:
                v = checkpoint(self.level, v, cos, sin, use_reentrant=False)
            else:
                v = self.level(v, cos, sin)
        return v @ self.lm_head

    def level(self, v, cos, sin):
        x = F.relu(self.drive(v))  # [B, H, T, N]
        a = self.norm(self.read(self.rotate(x, cos, sin), v))
        y = F.dropout(F.relu(self.answer(a)) * x, self.dropout, self.training)
        return self.norm(v + self.norm(self.collect(y)))

    def step(self, token, rho, position):
        """Logits [V] after one more token [1] at a position [1]; rho [L, H, N, D] is read, then written in place."""
        cos, sin = self.angles(position)
        v = self.norm(self.embed[token]).unsqueeze(0)  # [1, 1, D]
        for memory in rho:
            x = F.relu(self.drive(v))  # [1, H, 1, N]
            q = self.rotate(x, cos, sin)[0].to(memory.dtype)
            a = self.norm(q @ memory).unsqueeze(0).to(v.dtype)  # [1, H, 1, D]
            memory.addcmul_(q.mT, v.to(memory.dtype))
            y = F.relu(self.answer(a)) * x
            v = self.norm(v + self.norm(self.collect(y)))
        return (v @ self.lm_head).flatten()

    def empty_state(self, dtype=None):
        shape = (self.levels, self.heads, self.neurons, self.width)
        return torch.zeros(shape, dtype=dtype or self.embed.dtype, device=self.embed.device)


# What a run needs.


def tokens_of(a, count):
    """The first tokens of the text, again and again if it is short, or random ones."""
    if a.text is None:
        tokens = torch.randint(0, VOCABULARY, (count,), generator=torch.Generator().manual_seed(1337))
    else:
        with open(a.text, "rb") as file:
            text = file.read(count)
        tokens = torch.tensor(list((text * (count // len(text) + 1))[:count]))
    return tokens.to(a.device)


def model_of(a):
    """The model; its weights in bf16 where they are to be rounded once, and not at each use."""
    model = Dragon(a).to(a.device)
    return model.to(torch.bfloat16) if a.precision == "bf16-weights" else model


def autocast(a):
    # Without the cache a graph of the device can be captured; weights are cast once a product, as they are without it.
    return torch.autocast(a.device, torch.bfloat16, enabled=a.precision == "bf16", cache_enabled=not a.graph)


def compiled(a, function):
    if a.compile == "no":
        return function
    torch.compiler.reset()  # one form after another would reach the limit of recompilations, and run as it is
    return torch.compile(function, mode=None if a.compile == "default" else a.compile)


def wait(a):
    if a.device == "cuda":
        torch.cuda.synchronize()


def timed(a, warm_up, rounds, work):
    """Median and best seconds of `work`, after some rounds that do not count."""
    seconds = []
    for done in range(warm_up + rounds):
        wait(a)
        start = time.perf_counter()
        work()
        wait(a)
        seconds.append(time.perf_counter() - start)
        print(f"{done - warm_up + 1:>6}/{rounds}  {seconds[-1]:.4g} s", file=sys.stderr, flush=True)
    return statistics.median(seconds[warm_up:]), min(seconds[warm_up:])


def train(a):
    model = model_of(a)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    window = tokens_of(a, a.batch * a.time + 1)
    inputs, targets = window[:-1].view(a.batch, a.time), window[1:].view(a.batch, a.time)
    forward = compiled(a, model)

    def step():
        with autocast(a):
            logits = forward(inputs)
        F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    median, best = timed(a, 3 if a.compile == "reduce-overhead" else 2, a.steps, step)
    return {"seconds_per_step": median, "best_seconds_per_step": best, "tokens_per_second": a.batch * a.time / median}


def windows_of(path, time):
    """The bytes of a file as windows that do not overlap: inputs and the byte after each, [windows, time] both."""
    with open(path, "rb") as file:
        text = torch.tensor(list(file.read()))
    count = (len(text) - 1) // time
    return text[: count * time].view(count, time), text[1 : count * time + 1].view(count, time)


def fit(a):
    """Every window once an epoch, in an order drawn anew, each with an empty memory."""
    model = model_of(a)
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.learning_rate, weight_decay=a.weight_decay, fused=True)
    inputs, targets = windows_of(a.text, a.time)
    forward, generator = compiled(a, model), torch.Generator().manual_seed(a.seed)
    start, processor, steps = time.perf_counter(), time.process_time(), 0
    for epoch in range(a.epochs):
        for rows in torch.randperm(len(inputs), generator=generator).split(a.batch):
            with autocast(a):
                logits = forward(inputs[rows].to(a.device))
            loss = F.cross_entropy(logits.float().flatten(0, 1), targets[rows].flatten().to(a.device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), a.clip)
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
            if steps % 100 == 0:
                print(f"{steps:>6}  {loss.item():.4f}  {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    seconds = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - processor}
    loss = loss_on(a, model.eval(), *windows_of(a.validation, a.time))
    tokens = a.epochs * inputs.numel()
    return {"val_loss": loss, "val_bits_per_byte": loss / math.log(2), "steps": steps, "tokens": tokens, **seconds}


@torch.no_grad()
def loss_on(a, model, inputs, targets):
    """Mean loss of all windows, nats a byte."""
    total = 0.0
    for some, wanted in zip(inputs.split(64), targets.split(64)):
        logits = model(some.to(a.device)).float().flatten(0, 1)
        total += F.cross_entropy(logits, wanted.flatten().to(a.device), reduction="sum").item()
    return total / targets.numel()


@torch.no_grad()
def prefill(a):
    model = model_of(a).eval()
    forward = compiled(a, model)
    prompt = tokens_of(a, a.tokens).view(1, -1)

    def read():
        with autocast(a):
            forward(prompt)

    median, best = timed(a, 2 if a.compile == "reduce-overhead" else 1, a.steps, read)
    return {"seconds_per_prompt": median, "best_seconds_per_prompt": best, "tokens_per_second": a.tokens / median}


def captured(a, model, step, rho):
    """A step as a graph of the device, replayed: one launch a token."""
    token, position = (torch.zeros(1, dtype=torch.int64, device=a.device) for _ in range(2))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), autocast(a):
        for _ in range(3):
            step(token, rho, position)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), autocast(a):
        logits = step(token, rho, position)

    def replay(next_token, _, next_position):
        token.copy_(next_token)
        position.copy_(next_position)
        graph.replay()
        return logits

    rho.zero_()
    return replay


@torch.no_grad()
def decode(a):
    """Time does not depend on what the state holds, so it is filled by a few tokens and set to its position."""
    model = model_of(a).eval()
    rho, warm_up = model.empty_state(torch.float32), 8
    step = compiled(a, model.step)
    if a.graph:
        step = captured(a, model, step, rho)
    tokens = iter(enumerate(tokens_of(a, warm_up + a.tokens).split(1)))
    first = torch.tensor([a.context - warm_up], device=a.device)

    def next_token():
        done, token = next(tokens)
        with autocast(a):
            step(token, rho, first + done).argmax().item()

    median, best = timed(a, warm_up, a.tokens, next_token)
    return {"seconds_per_token": median, "best_seconds_per_token": best, "tokens_per_second": 1.0 / median}


# Whether all forms are one function.


def small(a, **more):
    """A model of four chunks and a piece, in all else as it was asked for."""
    sizes = dict(levels=2, d_model=32, heads=a.heads, neurons=64 * a.heads, dropout=0.0, chunk=9, device="cpu")
    return argparse.Namespace(**{**vars(a), **sizes, "precision": "f32", "graph": False, **more})


def scaled(model):
    """Weights far from where every norm sees nothing but its epsilon."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(10.0)
    return model


def outcome(a, form, layout, dtype):
    """Logits of a window, and the gradients of every weight, as the plain layout has them."""
    model = scaled(Dragon(a, form, layout)).to(dtype).eval()
    window = tokens_of(a, 41).view(1, -1)
    logits = compiled(a, model)(window[:, :-1])
    F.cross_entropy(logits[0], window[0, 1:]).backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    if layout == "merged":
        gradients["decoder_x"] = gradients["decoder_x"].unflatten(1, (a.heads, -1)).transpose(0, 1)
    return {"logits": logits.detach(), **gradients}


@torch.no_grad()
def one_by_one(a, layout, dtype):
    """Logits of the same window, by the recurrent form."""
    model = scaled(Dragon(a, layout=layout)).to(dtype).eval()
    rho, step = model.empty_state(), compiled(a, model.step)
    tokens = tokens_of(a, 41)[:-1].split(1)
    return {"logits": torch.stack([step(token, rho, torch.tensor([at])).clone() for at, token in enumerate(tokens)])[None]}


def compared(a, cases, dtype, most):
    """The largest difference of any case from the plain form, as a share of the largest value."""
    plain, differences = outcome(small(a, compile="no", recompute=False), "parallel", "heads", dtype), {}
    for name, case in cases.items():
        got = case()
        apart = lambda key: ((got[key] - plain[key]).abs().max() / plain[key].abs().max()).item()
        differences[name] = max(map(apart, got))
        if not differences[name] < most:
            sys.exit(f"{name} differs from the plain form by {differences[name]:.2g} of the largest value")
    return max(differences.values())


def cases_of(a, forms, layouts, dtype):
    cases = {f"{f}, {l}": functools.partial(outcome, a, f, l, dtype) for f in forms for l in layouts}
    return {**cases, **{f"recurrent, {l}": functools.partial(one_by_one, a, l, dtype) for l in layouts}}


def check(a):
    plain = small(a, compile="no")
    cases = cases_of(plain, FORMS, LAYOUTS, torch.float64)
    cases["recomputed"] = lambda: outcome(small(a, compile="no", recompute=True), "parallel", "heads", torch.float64)
    figures = {"difference": compared(plain, cases, torch.float64, 1e-9)}
    if a.compile != "no":
        cases = {**cases_of(small(a), FORMS, ["merged"], torch.float32), **cases_of(small(a), ["parallel"], LAYOUTS, torch.float32)}
        figures["difference_compiled"] = compared(a, cases, torch.float32, 1e-3)
    return figures


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["train", "prefill", "decode", "fit", "check"])
    sizes = dict(levels=4, d_model=128, heads=4, neurons=4096, batch=8, time=256, steps=6, context=256, tokens=64, epochs=3, seed=1337)
    for name, default in dict(**sizes, chunk=256, threads=2).items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--form", choices=FORMS, default="parallel")
    p.add_argument("--layout", choices=LAYOUTS, default="heads")
    p.add_argument("--precision", choices=["f32", "tf32", "bf16", "bf16-weights"], default="f32", help="bf16: autocast")
    p.add_argument("--compile", nargs="?", const="default", default="no", choices=["no", "default", "reduce-overhead"])
    p.add_argument("--recompute", action="store_true", help="levels are computed again in the backward pass")
    p.add_argument("--graph", action="store_true", help="decode: a step as a CUDA graph")
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--text", metavar="FILE", help="bytes to read; else random ones")
    p.add_argument("--validation", metavar="FILE", help="fit: the text to report the loss of")
    for name, default in dict(learning_rate=1e-3, weight_decay=0.1, clip=1.0).items():
        p.add_argument("--" + name.replace("_", "-"), type=float, default=default, help="fit")
    a = p.parse_args()
    if a.precision == "bf16-weights" and a.what == "train":
        p.error("--precision bf16-weights: prefill and decode")
    if a.what == "fit" and not (a.text and a.validation):
        p.error("fit: --text and --validation")
    if a.graph and (a.device != "cuda" or a.what != "decode"):
        p.error("--graph: decode --device cuda")
    return a


def main():
    a = arguments()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    if a.precision == "tf32":
        torch.set_float32_matmul_precision("high")
    if a.what != "check":
        compared(a, cases_of(small(a, compile="no"), [a.form], [a.layout], torch.float64), torch.float64, 1e-9)
    before = memory("VmRSS")
    figures = {"train": train, "prefill": prefill, "decode": decode, "fit": fit, "check": check}[a.what](a)
    about = {
        "torch": torch.__version__,
        "threads": a.threads,
        "device": torch.cuda.get_device_name() if a.device == "cuda" else "cpu",
        "precision": a.precision,
        "form": a.form,
        "layout": a.layout,
        "compiled": a.compile,
        "graph": a.graph,
        "recomputed": a.recompute,
        "peak_memory_bytes": memory("VmHWM"),
        "memory_before_bytes": before,  # of the interpreter and the library
        "device_memory_bytes": torch.cuda.max_memory_reserved() if a.device == "cuda" else None,
    }
    print(json.dumps({**figures, **about}))


if __name__ == "__main__":
    main()
