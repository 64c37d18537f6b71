#!/usr/bin/env python3
"""Compares roll-outs on a grid, forward and backward: the fused local grid, its reference, and PyTorch, in turn.

    scripts/compare_grid.py [--rounds 5] [--threads 2] [--program EXAMPLE] [SIZE...]

A size is BxHxHEIGHTxWIDTHxNxDxSTEPS. Needs a Python with torch. Every subject is a process of its own and takes a round
after the others, since a machine is not equally busy at all times; the median counts. `cpu` is the mean processor time of a
round, of all threads, which a busy machine changes less. Before that, losses and gradients of all subjects are compared.
Neighbours are the 3 x 3 of a place, memory decays by 0.9 a step, about half of the queries are 0.

PyTorch has two forms of the sum over neighbours. slices: nine shifted slices of the padded grid. pool: `avg_pool2d` with
a divisor of 1 on the grid in the memory layout `channels_last`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

HUGE_PAGES = "glibc.malloc.hugetlb=1"
SIZES = ["1x4x16x16x96x96x4", "8x4x8x8x64x64x4", "4x4x8x8x32x32x4"]
SUBJECTS = ["fused", "reference", "torch slices", "torch pool"]


class Torch:
    """The roll-out in tensor operations of PyTorch."""

    def __init__(self, form, sizes):
        import torch

        self.torch, self.form = torch, form
        torch.set_num_threads(int(os.environ.get("RAYON_NUM_THREADS", "2")))
        self.b, self.h, self.height, self.width, self.n, self.d, self.steps = sizes
        places = self.height * self.width
        self.query = self.numbers([self.b, self.h, places, self.n], 1).clamp_min(0.0).requires_grad_()
        self.value = self.numbers([self.b, 1, places, self.d], 2).requires_grad_()
        self.rho = self.numbers([self.b, self.h, places, self.n, self.d], 3).requires_grad_()
        self.weights = self.numbers([self.b, self.h, places, self.d], 4)

    def numbers(self, shape, seed):
        count = 1
        for size in shape:
            count *= size
        index = self.torch.arange(count, dtype=self.torch.int64)
        hashed = (index * 2654435761 + seed * 1013904223) % 2**32
        return (hashed.double() / 2**31 - 1.0).float().reshape(shape)

    def nearby(self, rho):
        shape = rho.shape
        if self.form == "pool":
            grid = rho.reshape(self.b * self.h, self.height, self.width, self.n * self.d).permute(0, 3, 1, 2)
            pooled = self.torch.nn.functional.avg_pool2d(grid, 3, stride=1, padding=1, divisor_override=1)
            return pooled.permute(0, 2, 3, 1).reshape(shape)
        grid = rho.reshape(self.b * self.h, self.height, self.width, self.n * self.d)
        padded = self.torch.nn.functional.pad(grid, (0, 0, 1, 1, 1, 1))
        total = None
        for y in range(3):
            for x in range(3):
                part = padded[:, y : y + self.height, x : x + self.width]
                total = part if total is None else total + part
        return total.reshape(shape)

    def round(self):
        einsum = self.torch.einsum
        started = time.perf_counter()
        rho, total = self.rho, 0.0
        for _ in range(self.steps):
            total = total + einsum("bhpn,bhpnd->bhpd", self.query, self.nearby(rho)) * self.weights
            rho = 0.9 * rho + self.query.unsqueeze(-1) * self.value.unsqueeze(-2)
        loss = total.sum()
        number, middle = loss.item(), time.perf_counter()
        found = self.torch.autograd.grad(loss, [self.query, self.value, self.rho])
        ended = time.perf_counter()
        return middle - started, ended - middle, [number, *(part.double().norm().item() for part in found)]


def serve(form, sizes):
    """Answers each line of standard input with a round, as the example does."""
    subject = Torch(form, sizes)
    print(*subject.round()[2], flush=True)
    for _ in sys.stdin:
        forward, backward, _ = subject.round()
        with open("/proc/self/status") as lines:
            peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        print(forward, backward, peak, flush=True)


def start(subject, size, program, threads):
    words = size.split("x")
    own = {"RAYON_NUM_THREADS": str(threads), "GLIBC_TUNABLES": HUGE_PAGES, "OMP_WAIT_POLICY": "passive"}
    environment = {**os.environ, **own}
    if subject.startswith("torch"):
        command = [sys.executable, __file__, "--serve", subject.split()[1], size]
    else:
        command = [program, subject, *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def answer(child):
    line = child.stdout.readline()
    if not line:
        sys.exit("a subject ended without an answer")
    return [float(word) for word in line.split()]


def cpu(child):
    """Processor seconds of a process so far, user and system, in steps of a clock tick."""
    with open(f"/proc/{child.pid}/stat") as line:
        fields = line.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(size, arguments):
    children = {subject: start(subject, size, arguments.program, arguments.threads) for subject in SUBJECTS}
    results = {subject: answer(child) for subject, child in children.items()}
    for subject, numbers in results.items():
        for given, expected in zip(numbers, results["reference"]):
            if abs(given - expected) > 1e-3 * max(abs(expected), 1e-3 * results["reference"][1]):
                sys.exit(f"{size}: {subject} computes {numbers}, the reference {results['reference']}")
    rounds, before = {subject: [] for subject in SUBJECTS}, {s: cpu(child) for s, child in children.items()}
    for _ in range(arguments.rounds):
        for subject, child in children.items():
            child.stdin.write("\n")
            child.stdin.flush()
            rounds[subject].append(answer(child))
    rows = {}
    for subject, child in children.items():
        spent = (cpu(child) - before[subject]) / arguments.rounds
        child.stdin.close()
        child.wait()
        forward, backward = (statistics.median(part) for part in list(zip(*rounds[subject]))[:2])
        total = statistics.median(row[0] + row[1] for row in rounds[subject])
        rows[subject] = {
            "forward_ms": 1e3 * forward, "backward_ms": 1e3 * backward, "both_ms": 1e3 * total,
            "cpu_ms": 1e3 * spent, "least_ms": 1e3 * min(row[0] + row[1] for row in rounds[subject]),
            "peak_mb": rounds[subject][-1][2] / 1e6,
        }
    return rows


def show(size, rows):
    b, h, height, width, n, d, steps = map(int, size.split("x"))
    memory = 4e-6 * b * h * height * width * n * d
    print(f"\n{size}: {steps} steps, a memory of {memory:.1f} MB each")
    heads = ["forward", "backward", "both", "least", "cpu", "peak MB", "of fused", "in cpu"]
    print(f"{'':14}" + "".join(f"{head:>10}" for head in heads))
    for subject, row in rows.items():
        ratios = [row[key] / max(rows["fused"][key], 1e-9) for key in ("both_ms", "cpu_ms")]
        numbers = [row[key] for key in ("forward_ms", "backward_ms", "both_ms", "least_ms", "cpu_ms", "peak_mb")]
        cells = [f"{number:10.1f}" for number in numbers] + [f"{ratio:10.2f}" for ratio in ratios]
        print(f"{subject:14}" + "".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", help="the example grid_rollout; else it is built")
    parser.add_argument("--serve", metavar="FORM", help=argparse.SUPPRESS)
    parser.add_argument("sizes", nargs="*", default=SIZES)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, [int(word) for word in arguments.sizes[0].split("x")])
    if not arguments.program:
        command = ["cargo", "build", "--release", "--locked", "-p", "burn_dragon_kernel", "--example", "grid_rollout"]
        subprocess.run(command, check=True)
        from programs import released

        arguments.program = os.path.join(os.path.dirname(released("dragon")), "examples", "grid_rollout")
    found = {}
    for size in arguments.sizes:
        found[size] = compare(size, arguments)
        show(size, found[size])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
