#!/usr/bin/env python3
"""Compares `dragon plan` with the run that it plans: peak resident memory and time, shape by shape.

    scripts/plan.py [--dragon PROGRAM] [--rounds 2] [SHAPE...]

Plan and run take turns, since a machine is not equally busy at all times. A round that a busy machine distorted shows in
the spread of the ratios. Exit code 1 if a mean ratio misses the goal: memory 10 %, time 20 %.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from programs import released

# Runs of some tens of seconds: name, settings.
SHAPES = {
    "default": ["training.max_steps=700"],
    "d128": ["model.d_model=128", "model.n_neurons=8192", "model.n_levels=2", "training.max_steps=30"],
    "d256": [
        "model.d_model=256", "model.n_heads=4", "model.n_neurons=32768", "model.n_levels=2", "sequence.block_size=64",
        "training.batch_size=4", "training.max_steps=12", "evaluation.batches=1",
    ],
    "d256-large-batch": [
        "model.d_model=256", "model.n_heads=4", "model.n_neurons=32768", "model.n_levels=2", "sequence.block_size=64",
        "training.batch_size=16", "training.max_steps=4", "evaluation.batches=1",
    ],
}
# Held-out data is small, so that steps are most of a run.
COMMON = ["dataset.train_bytes=4000000", "dataset.validation_tales=30"]


def planned(dragon, settings):
    answer = subprocess.run([dragon, "plan", "--json", "--backend", "cpu", *settings], capture_output=True, text=True)
    if answer.returncode != 0:
        sys.exit(f"plan failed: {answer.stderr}")
    backend = json.loads(answer.stdout.splitlines()[-1])["backends"][0]
    return backend["memory"]["peak_bytes"], backend["time"]["seconds"], backend


def ran(dragon, settings):
    """Peak resident bytes and seconds of a whole run."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "run")
        started = time.monotonic()
        child = subprocess.Popen(
            [dragon, "train", "--backend", "cpu", "--out", out, *settings],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"train failed: {settings}")
        return usage.ru_maxrss * 1024, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=", ".join(SHAPES))
    parser.add_argument("--dragon", default=released("dragon"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", nargs="*", default=["f32", "bf16"])
    arguments = parser.parse_args()
    missed = False
    print(f"{'shape':18} {'':5} {'planned':>9} {'measured':>9} {'ratio':>6}   {'planned':>8} {'measured':>8} ratios")
    for name in arguments.shapes or SHAPES:
        for precision in arguments.precision:
            settings = [*COMMON, *SHAPES[name], f"training.precision={precision}"]
            memory, seconds = [], []
            for _ in range(arguments.rounds):
                bytes_planned, time_planned, _ = planned(arguments.dragon, settings)
                bytes_measured, time_measured = ran(arguments.dragon, settings)
                memory.append(bytes_planned / bytes_measured)
                seconds.append(time_planned / time_measured)
            print(
                f"{name:18} {precision:5} {bytes_planned / 1e6:7.0f}MB {bytes_measured / 1e6:7.0f}MB "
                f"{statistics.mean(memory):6.2f}   {time_planned:7.1f}s {time_measured:7.1f}s "
                + " ".join(f"{ratio:.2f}" for ratio in seconds),
                flush=True,
            )
            missed |= abs(statistics.mean(memory) - 1) > 0.1 or abs(statistics.mean(seconds) - 1) > 0.2
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
