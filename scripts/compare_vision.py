#!/usr/bin/env python3
"""Pictures a second in training, beside PyTorch: the same encoder, loss, optimiser and batch, in turn (A B C A B C ...).

Ours are training runs of `dragon train vision` on pictures that it draws, with augmentation; PyTorch trains on pictures that are
in memory already, eager and compiled. A figure is the median over the rounds, a ratio the median of the rounds' ratios. Beside
the pictures a second stands the time of the processor for a picture, over all threads, which another program on the machine
changes less. Peak memory is that of the whole process.

    DRAGON_BENCH_PROGRAM  the program (that of the release profile)
    DRAGON_BENCH_PYTHON   a Python that has torch (this one)
    DRAGON_BENCH_THREADS  threads on both sides (2)
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from programs import released

PROGRAM = os.environ.get("DRAGON_BENCH_PROGRAM") or released("dragon")
PYTHON = os.environ.get("DRAGON_BENCH_PYTHON", sys.executable)
THREADS = os.environ.get("DRAGON_BENCH_THREADS", "2")
SIZE, PATCH, CHANNELS, CLASSES = 32, 4, 3, 16
EPS = 1e-5


def torch_run(args):
    """One training in PyTorch; prints a JSON object."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(int(THREADS))
    torch.manual_seed(1)
    d, heads, n, levels, batch = args.width, args.heads, args.neurons, args.levels, args.batch
    side = SIZE // PATCH

    def norm(x):
        return functional.layer_norm(x, x.shape[-1:], eps=EPS)

    class Encoder(torch.nn.Module):
        """Two convolutions, learnt positions, levels with a full read, a classifier."""

        def __init__(self):
            super().__init__()
            half = max(d // 2, 16)
            self.first = torch.nn.Conv2d(CHANNELS, half, 4, 2, 1, bias=False)
            self.second = torch.nn.Conv2d(half, d, 4, 2, 1, bias=False)
            drawn = lambda *shape: torch.nn.Parameter(torch.randn(*shape) * 0.05)
            self.rows, self.columns = drawn(side, 1, d), drawn(1, side, d)
            self.decoder_x, self.decoder_y = drawn(heads, d, n // heads), drawn(heads, d, n // heads)
            self.encoder, self.head = drawn(n, d), drawn(d, CLASSES)
            self.bias = torch.nn.Parameter(torch.zeros(CLASSES))

        def forward(self, pixels, targets):
            x = self.first((pixels - 0.5) * 4.0)
            x = functional.gelu(norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
            v = self.second(x).permute(0, 2, 3, 1) + self.rows + self.columns
            v = norm(v.reshape(len(pixels), side * side, d))
            loss = 0.0
            for _ in range(levels):
                x = torch.relu(v.unsqueeze(1) @ self.decoder_x)  # [B, H, T, N]
                memory = x.transpose(2, 3) @ v.unsqueeze(1)  # [B, H, N, D]
                y = torch.relu(norm(x @ memory) @ self.decoder_y) * x
                u = y.transpose(1, 2).reshape(len(pixels), side * side, n) @ self.encoder
                v = norm(v + norm(u))
                loss = loss + functional.cross_entropy(v.mean(1) @ self.head + self.bias, targets)
            return loss / levels

    model = Encoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    forward = torch.compile(model) if args.torch == "compiled" else model
    pixels, targets = torch.rand(batch, CHANNELS, SIZE, SIZE), torch.randint(CLASSES, (batch,))

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16"):
            loss = forward(pixels, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(3):
        step()
    start, spent = time.perf_counter(), time.process_time()
    for _ in range(args.steps):
        step()
    pictures = args.steps * batch
    print(json.dumps({
        "rate": pictures / (time.perf_counter() - start),
        "spent": (time.process_time() - spent) / pictures,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


def ours(args):
    """One training by the program."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [
            f"model.d_model={args.width}", f"model.n_heads={args.heads}", f"model.n_neurons={args.neurons}",
            f"model.n_levels={args.levels}", "model.evaluation_levels=1", "model.colours=rgb", "model.image_size=32",
            "dataset.count=4000", "dataset.validation_count=16", "evaluation.every=0", "evaluation.batches=1",
            "probe.pictures=32", "probe.pictures_between=32", "training.log_every=1000",
            f"training.precision={args.precision}", f"training.batch_size={args.batch}", f"training.max_steps={args.steps}",
        ]
        command = [PROGRAM, "train", "vision", "--out", f"{folder}/run", "--json", *settings]
        environment = {**os.environ, "RAYON_NUM_THREADS": THREADS}
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(command, stdout=output, stderr=errors, text=True, env=environment)
            # Of this process alone: what all children had at most includes PyTorch.
            _, status, used = os.wait4(process.pid, 0)
            output.seek(0)
            errors.seek(0)
            if status != 0:
                sys.exit(f"{' '.join(command)}\n{errors.read()}")
            summary = json.loads(output.read().splitlines()[-1])
        rate = summary.get("pictures_per_second") or summary["units_per_second"]
        spent = used.ru_utime + used.ru_stime
        return {"rate": rate, "spent": spent / (args.steps * args.batch), "memory": used.ru_maxrss * 1024}


def torch(args, form):
    """One training in PyTorch, in a process of its own."""
    command = [PYTHON, __file__, "--torch", form]
    for name in ("width", "heads", "neurons", "levels", "batch", "steps", "precision"):
        command += [f"--{name}", str(getattr(args, name))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main():
    """Runs all forms in turn and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--neurons", type=int, default=512)
    parser.add_argument("--levels", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--torch", choices=("eager", "compiled"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch:
        return torch_run(args)
    forms = {"ours": ours, "eager": lambda args: torch(args, "eager"), "compiled": lambda args: torch(args, "compiled")}
    rounds = [{name: run(args) for name, run in forms.items()} for _ in range(args.rounds)]
    print(f"{args.levels} levels, width {args.width}, {args.neurons} neurons, batch {args.batch}, {args.precision}, {THREADS} threads")
    print(f"{'':10}{'pictures/s':>12}{'ours is':>9}{'ms of processor a picture':>27}{'ours is':>9}{'peak MiB':>10}")
    for name in forms:
        median = lambda key: statistics.median(one[name][key] for one in rounds)
        faster = statistics.median(one["ours"]["rate"] / one[name]["rate"] for one in rounds)
        less = statistics.median(one[name]["spent"] / one["ours"]["spent"] for one in rounds)
        print(f"{name:10}{median('rate'):12.0f}{faster:8.2f}x{1e3 * median('spent'):27.2f}{less:8.2f}x{median('memory') / 2**20:10.0f}")


if __name__ == "__main__":
    main()
