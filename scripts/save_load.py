#!/usr/bin/env python3
"""Seconds and peak memory of saving and loading the paper-size model (25,296,896 parameters, 101 MB), in one run:
torch.save / torch.load, safetensors, and burn_dragon's own files.

    python3 -m venv /tmp/torchenv && /tmp/torchenv/bin/pip install torch numpy safetensors
    /tmp/torchenv/bin/python scripts/save_load.py
    /tmp/torchenv/bin/python scripts/save_load.py --rounds 30    # torch.load and ours in turn, as the machine is shared

Medians of five. Memory is the highest resident memory beyond what was there before the action (Linux tells it). All
that burn_dragon writes is synced to disk and hashed, and what it reads is hashed and checked for finite values; the
others are measured as they are, and once more with a sync.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import safetensors.torch
import torch

V, D, H, N = 256, 256, 4, 8192
REPEATS = 5


def memory():
    of = {}
    for line in open("/proc/self/status"):
        key, _, rest = line.partition(":")
        if key in ("VmRSS", "VmHWM"):
            of[key] = int(rest.split()[0]) << 10
    return of["VmRSS"], of["VmHWM"]


def measure(what, path, action):
    seconds, peak = [], 0
    for _ in range(REPEATS):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the highest is from now on
        before, _ = memory()
        start = time.perf_counter()
        result = action()
        seconds.append(time.perf_counter() - start)
        peak = max(peak, memory()[1] - before)
        del result
    return {
        "what": what,
        "seconds": statistics.median(seconds),
        "peak_bytes": peak,
        "file_bytes": os.path.getsize(path),
    }


def synced(save, path):
    save()
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def pytorch(folder):
    torch.manual_seed(1)
    shapes = {
        "embed.weight": (V, D),
        "encoder": (H, D, N),
        "encoder_v": (H, D, N),
        "decoder": (H * N, D),
        "lm_head": (D, V),
    }
    state = {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}
    pt, st = os.path.join(folder, "weights.pt"), os.path.join(folder, "weights.safetensors")
    save_pt = lambda: torch.save(state, pt)
    save_st = lambda: safetensors.torch.save_file(state, st)
    rows = [
        measure("torch.save", pt if save_pt() is None else pt, save_pt),
        measure("torch.save, synced", pt, lambda: synced(save_pt, pt)),
        measure("safetensors save_file", st if save_st() is None else st, save_st),
        measure("safetensors save_file, synced", st, lambda: synced(save_st, st)),
    ]
    del state
    touch = lambda loaded: sum(float(tensor.sum()) for tensor in loaded.values())  # so that a mapped file is read too
    rows += [
        measure("torch.load, weights_only", pt, lambda: touch(torch.load(pt, weights_only=True))),
        measure("safetensors load_file", st, lambda: touch(safetensors.torch.load_file(st))),
    ]
    return rows


def test(name, environment):
    """Rows that a test of ours prints."""
    profile = [] if "--debug" in sys.argv else ["--release"]
    command = ["cargo", "test", *profile, "-p", "burn_dragon_exchange", "-p", "burn_dragon_cli"]
    command += ["--test", "save_load", "--", "--ignored", "--nocapture", name]
    done = subprocess.run(command, env=dict(os.environ, **environment), stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"what"')]


def in_turn(folder, rounds):
    """Medians of five loads by torch.load, not touched afterwards, and by ours, in turn; the median of their ratios."""
    pt, bpk = os.path.join(folder, "weights.pt"), os.path.join(folder, "model.bpk")
    pytorch(folder)
    test("one_round_of_loading", {"DRAGON_LOAD": bpk})  # writes the file
    ratios = []
    for _ in range(rounds):
        theirs = measure("torch.load, weights_only", pt, lambda: torch.load(pt, weights_only=True))["seconds"]
        ours = test("one_round_of_loading", {"DRAGON_LOAD": bpk})[0]["seconds"]
        ratios.append(ours / theirs)
        print(f"torch.load {1000 * theirs:5.1f} ms, ours {1000 * ours:5.1f} ms, ratio {ratios[-1]:.2f}", flush=True)
    low, _, high = statistics.quantiles(ratios, n=4)
    print(f"ratio: median {statistics.median(ratios):.2f}, quartiles {low:.2f} to {high:.2f}, {rounds} rounds")


def burn_dragon(folder):
    config = {
        "n_layer": 6,
        "n_embd": D,
        "n_head": H,
        "mlp_internal_dim_multiplier": H * N // D,
        "vocab_size": V,
        "rope_theta": 65536,
    }
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    return test("of_the_paper_size", {"DRAGON_SAVED_PT": os.path.join(folder, "weights.pt")})


def main():
    with tempfile.TemporaryDirectory() as folder:
        if "--rounds" in sys.argv:
            in_turn(folder, int(sys.argv[sys.argv.index("--rounds") + 1]))
            return
        rows = pytorch(folder) + burn_dragon(folder)
    print(f"torch {torch.__version__}, safetensors {safetensors.__version__}, {os.cpu_count()} cores")
    print(f"{'':32}  {'seconds':>8}  {'peak MB':>8}  {'file MB':>8}")
    for row in rows:
        print(
            f"{row['what']:32}  {row['seconds']:8.3f}  {row['peak_bytes'] / 1e6:8.1f}  {row['file_bytes'] / 1e6:8.1f}"
        )


if __name__ == "__main__":
    main()
