#!/usr/bin/env python3
"""Steps of training by sequence mixer, beside PyTorch: the same model, loss, optimiser and batch, in turn (A B A B ...).

Ours are steps of `dragon bench train --mixer KIND`. PyTorch has each mixer in tensor operations, in the form that a good user
would try, which is compared with the recurrence token by token in f64 before anything is timed. A figure is the median over the
rounds, a ratio the median of the rounds' ratios. Beside the time of a step stands the time of the processor, over all threads,
which another program on the machine changes less; it includes the two steps before those that are timed.

    compare_mixers.py gated_delta rwkv8

    DRAGON_BENCH_PROGRAM  the program (that of the release profile)
    DRAGON_BENCH_PYTHON   a Python that has torch (this one)
    DRAGON_BENCH_THREADS  threads on both sides (2)

**To add a mixer**: a class with its parameters (`__init__`), its form (`read`), its recurrence (`plain`), its positions, and its
name in MIXERS.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

from programs import released

PYTHON = os.environ.get("DRAGON_BENCH_PYTHON", sys.executable)
THREADS = os.environ.get("DRAGON_BENCH_THREADS", "2")
WARM_UP = 2


class GatedDelta:
    """A write replaces what its key read, and memory fades. In chunks of 64 tokens; scores of all chunks at once."""

    positions = "rotary"
    chunk = 64

    def __init__(self, torch, heads, width, neurons):
        self.torch = torch
        self.parameters = {
            "gates": torch.randn(width, 2 * heads) * 0.02,
            "gate_bias": torch.cat((torch.full((heads,), -4.0), torch.zeros(heads))),
            "log_rate": torch.rand(heads) * 2.7,
        }

    def operands(self, q, v, weights):
        """Unit keys [B, H, T, N], values [B, 1, T, D], logarithms of the decay and shares that writes replace, [B, H, T]."""
        functional = self.torch.nn.functional
        k = q * (q.square().sum(-1, keepdim=True) + 1e-6).rsqrt()
        decay, beta = (v @ weights["gates"] + weights["gate_bias"]).transpose(1, 2).chunk(2, 1)
        return k, v.unsqueeze(1), -functional.softplus(decay) * weights["log_rate"].exp()[:, None], beta.sigmoid()

    def read(self, q, v, weights):
        torch = self.torch
        k, v, log_decay, beta = self.operands(q, v, weights)
        parts = lambda x, axis: x.unflatten(axis, (-1, self.chunk))
        k, v, beta = parts(k, 2), parts(v, 2), parts(beta, 2).unsqueeze(-1)
        sums = parts(log_decay, 2).cumsum(-1).unsqueeze(-1)  # [B, H, chunks, C, 1]
        scores = (k @ k.mT) * (sums - sums.mT).tril().exp().tril(-1)
        among, recalled = scores * beta, sums.exp()
        written, kept = (sums[..., -1:, :] - sums).exp(), sums[..., -1:, :].exp()
        rho, reads = k.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1]), []
        each = (x.unbind(2) for x in (k, v, beta, scores, among, recalled, written, kept))
        for k, v, beta, scores, among, recalled, written, kept in zip(*each):
            before = (k @ rho) * recalled
            update = torch.linalg.solve_triangular(among, beta * (v - before), upper=False, unitriangular=True)
            reads.append(before + scores @ update)
            rho = rho * kept + k.mT @ (update * written)
        return torch.cat(reads, 2)

    def plain(self, q, v, weights):
        k, v, log_decay, beta = self.operands(q, v, weights)
        rho, reads = 0.0 * (k[:, :, 0, :, None] * v[:, :, 0, None]), []
        for t in range(k.shape[2]):
            rho = rho * log_decay[:, :, t, None, None].exp()
            read = k[:, :, t, None] @ rho
            rho = rho + k[:, :, t, :, None] * (beta[:, :, t, None, None] * (v[:, :, t, None] - read))
            reads.append(read)
        return self.torch.cat(reads, 2)


class Rwkv8:
    """Means of what neurons saw, each with a decay of its own. In chunks of 16 tokens, so that powers of a decay are bounded."""

    positions = "none"
    chunk = 16

    def __init__(self, torch, heads, width, neurons):
        self.torch = torch
        decay = 0.995 - 0.22 * torch.arange(neurons) / (neurons - 1) - 0.03 * torch.arange(heads)[:, None] / max(heads - 1, 1)
        self.parameters = {"decay_logits": decay.logit()}

    def read(self, q, v, weights):
        torch = self.torch
        log = torch.nn.functional.logsigmoid(weights["decay_logits"]).clamp(min=-5.0)[:, None]  # [H, 1, N]
        steps = torch.arange(self.chunk, dtype=q.dtype)[:, None]
        fades, grows = (log * steps).exp(), (-log * (steps + 1)).exp()  # d^i, d^-(j + 1)
        last, whole = (log * (self.chunk - 1 - steps)).exp(), (log * self.chunk).exp()
        w = q / (q.sum(-1, keepdim=True) + 1e-6)
        rho, z, reads = 0.0 * (q[:, :, 0, :, None] * v[:, None, 0, None]), 0.0 * q[:, :, :1], []
        for q, w, v in zip(q.split(self.chunk, 2), w.split(self.chunk, 2), v.unsqueeze(1).split(self.chunk, 2)):
            keys = q * grows
            seen = keys.cumsum(2)
            p = w * fades / ((z + seen - keys) * fades + 1e-6)
            reads.append(p @ rho + (p @ keys.mT).tril(-1) @ v)
            rho = whole.mT * rho + (q * last).mT @ v
            z = whole * (z + seen[:, :, -1:])
        return torch.cat(reads, 2)

    def plain(self, q, v, weights):
        decay = weights["decay_logits"].sigmoid()
        rho, z, reads = 0.0 * (q[:, :, 0, :, None] * v[:, None, 0, None]), 0.0 * q[:, :, 0], []
        for t in range(q.shape[2]):
            now = q[:, :, t]
            w = now / (now.sum(-1, keepdim=True) + 1e-6)
            reads.append((w / (z + 1e-6)).unsqueeze(2) @ rho)
            z = decay * z + now
            rho = decay[..., None] * rho + now[..., None] * v[:, None, t, None]
        return self.torch.cat(reads, 2)


class Block:
    """A block of `mixers_torch.py`, which reads the stream alone: the same for all heads."""

    positions = "none"
    kind = None

    def __init__(self, torch, heads, width, neurons):
        import mixers_torch

        self.torch, self.block = torch, mixers_torch.BLOCKS[self.kind](width)
        self.parameters = {name: weight.detach() for name, weight in self.block.named_parameters()}

    def read(self, q, v, weights):
        return self.torch.func.functional_call(self.block, dict(weights.items()), (v,)).unsqueeze(1)

    def plain(self, q, v, weights):
        forward, self.block.forward = self.block.forward, self.block.plain
        read = self.read(q, v, weights)
        self.block.forward = forward
        return read


def block(kind):
    """The class of a block."""
    return type(kind, (Block,), {"kind": kind})


MIXERS = {"gated_delta": GatedDelta, "rwkv8": Rwkv8, **{kind: block(kind) for kind in ("mamba1", "mamba2", "mamba3")}}


def check(torch, mixer):
    """The form that is timed against the recurrence, values and gradients, f64."""
    mixer = mixer(torch, 2, 6, 8)
    weights = {name: weight.double().requires_grad_() for name, weight in mixer.parameters.items()}
    q = torch.rand(2, 2, 128, 8, dtype=torch.float64).requires_grad_()
    v = torch.randn(2, 128, 6, dtype=torch.float64).requires_grad_()
    found = []
    for form in (mixer.read, mixer.plain):
        read = form(q, v, weights)
        gradients = torch.autograd.grad((read * torch.arange(6)).sum(), [q, v, *weights.values()], allow_unused=True)
        found.append([read, *(gradient for gradient in gradients if gradient is not None)])
    apart = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(*found))
    if apart > 1e-9:
        sys.exit(f"PyTorch: the two forms of {type(mixer).__name__} are {apart:e} apart")


def torch_run(args):
    """Steps in PyTorch; prints a JSON object."""
    import pytorch_baseline  # starts this process again, with huge pages
    import torch

    torch.set_num_threads(int(THREADS))
    torch.manual_seed(1)
    kind = MIXERS[args.torch]
    check(torch, kind)

    class Mixed(pytorch_baseline.Dragon):
        """A dragon with another read."""

        def __init__(self, a):
            super().__init__(a, form="parallel", layout="heads")
            self.mixer = kind(torch, a.heads, a.d_model, a.neurons // a.heads)
            self.learnt = torch.nn.ParameterDict(self.mixer.parameters)

        def rotate(self, x, cos, sin):
            return x if self.mixer.positions == "none" else super().rotate(x, cos, sin)

        def read(self, q, v):
            return self.mixer.read(q, v, self.learnt)

    a = argparse.Namespace(
        **vars(args), d_model=args.width, dropout=0.1, chunk=256, recompute=False, form="parallel", layout="heads", seed=1
    )
    model = Mixed(a)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    window = torch.randint(0, 256, (a.batch * a.time + 1,))
    inputs, targets = window[:-1].view(a.batch, a.time), window[1:].view(a.batch, a.time)
    seconds, spent = [], time.process_time()
    for _ in range(WARM_UP + a.steps):
        start = time.perf_counter()
        torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "seconds": statistics.median(seconds[WARM_UP:]),
        "spent": (time.process_time() - spent) / len(seconds),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


def torch(args, mixer):
    """Steps in PyTorch, in a process of its own."""
    command = [PYTHON, __file__, "--torch", mixer]
    for name in ("width", "heads", "neurons", "levels", "batch", "time", "steps"):
        command += [f"--{name}", str(getattr(args, name))]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])


def ours(args, mixer):
    """Steps of the program."""
    program = os.environ.get("DRAGON_BENCH_PROGRAM") or released("dragon")
    command = [
        program, "bench", "train", "--json", "--mixer", mixer, "--positions", MIXERS[mixer].positions, "--threads", THREADS,
        "--d-model", str(args.width), "--heads", str(args.heads), "--neurons", str(args.neurons),
        "--levels", str(args.levels), "--batch", str(args.batch), "--time", str(args.time), "--steps", str(args.steps),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{process.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(process.stdout.splitlines()[-1])
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": found["seconds_per_step"],
        "spent": spent / (WARM_UP + args.steps),
        "memory": found["peak_memory_bytes"],
    }


def main():
    """Runs both sides of each mixer in turn and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mixers", nargs="*", choices=[*MIXERS, []], default=[])
    for name, size in (("width", 128), ("heads", 4), ("neurons", 4096), ("levels", 4), ("batch", 8), ("time", 256)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", choices=MIXERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch:
        return torch_run(args)
    print(f"{args.levels} levels, width {args.width}, {args.neurons} neurons, {args.batch} x {args.time} tokens, f32, {THREADS} threads")
    print(f"{'':24}{'ms a step':>11}{'ours is':>9}{'ms of processor':>17}{'ours is':>9}{'peak MiB':>10}")
    for mixer in args.mixers or MIXERS:
        forms = {"ours": ours, "PyTorch": torch}
        rounds = [{name: run(args, mixer) for name, run in forms.items()} for _ in range(args.rounds)]
        for name in forms:
            median = lambda key: statistics.median(one[name][key] for one in rounds)
            faster = lambda key: statistics.median(one[name][key] / one["ours"][key] for one in rounds)
            print(
                f"{mixer:14}{name:10}{1e3 * median('seconds'):11.0f}{faster('seconds'):8.2f}x"
                f"{1e3 * median('spent'):17.0f}{faster('spent'):8.2f}x{median('memory') / 2**20:10.0f}"
            )


if __name__ == "__main__":
    main()
