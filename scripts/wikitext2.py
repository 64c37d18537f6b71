#!/usr/bin/env python3
"""The small WikiText-2 recipe here and in PyTorch, at equal tokens; prints the table of docs/results/language.md.

    DRAGON_BENCH_PYTHON=python-with-torch scripts/wikitext2.py TRAIN VALIDATION [--seeds 1,2] [--sides ours,ours-bf16,pytorch]

TRAIN and VALIDATION are raw texts (wiki.valid.raw, wiki.test.raw, where the training part cannot be had). Each finished run
is kept in --dir and not made again. Both sides: config/language/results/wikitext2_small.toml, every window once an epoch,
validation in windows of 128 bytes, each with an empty memory. Seconds are those of the whole program.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from programs import ROOT, released

RECIPE = ROOT / "config/language/results/wikitext2_small.toml"
SIDES = {"ours": "burn_dragon, f32", "ours-bf16": "burn_dragon, bf16", "pytorch": "PyTorch, f32"}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("train", type=pathlib.Path)
    p.add_argument("validation", type=pathlib.Path)
    p.add_argument("--seeds", default="1,2")
    p.add_argument("--sides", default="ours,pytorch")
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--dragon", help="the program; else that of the release profile")
    p.add_argument("--python", default=os.environ.get("DRAGON_BENCH_PYTHON", sys.executable))
    p.add_argument("--dir", type=pathlib.Path, default=pathlib.Path.home() / ".cache/burn_dragon_wikitext2")
    a = p.parse_args()
    a.dragon = a.dragon or released("dragon")
    a.train, a.validation = a.train.resolve(), a.validation.resolve()
    return a


def timed(command):
    """The last line of a program as JSON, with its seconds on the clock and on the processors."""
    print(" ".join(map(str, command)), file=sys.stderr, flush=True)
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True, text=True)
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    return {**figures, "wall_seconds": time.perf_counter() - start, "processor_seconds": processor}


def ours(a, seed, run, precision):
    data = [f'dataset.paths=["{a.train}"]', "dataset.validation.type=text", f'dataset.validation.paths=["{a.validation}"]']
    settings = [f"training.seed={seed}", f"training.epochs={a.epochs}", f"training.precision={precision}"]
    trained = timed([a.dragon, "train", "-c", RECIPE, *data, *settings, "--out", run, "--json"])
    read = timed([a.dragon, "eval", run, "--memory", "reset", "--block-size", 128, "--json"])
    kept = ("wall_seconds", "processor_seconds")
    return {"val_bits_per_byte": read["bits_per_byte"], "steps": trained["steps"], **{key: trained[key] for key in kept}}


def pytorch(a, seed):
    sizes = ["--levels", 2, "--d-model", 128, "--heads", 4, "--neurons", 4096, "--batch", 8, "--time", 128]
    recipe = ["--dropout", 0.05, "--learning-rate", 1e-3, "--weight-decay", 0.01, "--clip", 1.0, "--epochs", a.epochs, "--seed", seed]
    form = ["--layout", "merged", "--compile"]
    texts = ["--text", a.train, "--validation", a.validation]
    return timed([a.python, ROOT / "scripts/pytorch_baseline.py", "fit", *sizes, *recipe, *form, *texts])


def figures_of(a, side, seed):
    kept = a.dir / f"{side}-{a.epochs}-s{seed}.json"
    if not kept.exists():
        precision = "bf16" if side.endswith("bf16") else "f32"
        made = pytorch(a, seed) if side == "pytorch" else ours(a, seed, a.dir / f"{side}-{a.epochs}-s{seed}", precision)
        kept.write_text(json.dumps(made))
    return json.loads(kept.read_text())


def spread(values, digits):
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def main():
    a = arguments()
    a.dir.mkdir(parents=True, exist_ok=True)
    seeds, sides = a.seeds.split(","), a.sides.split(",")
    made = {side: [] for side in sides}
    for seed in seeds:  # in turn, so that both sides have the same neighbours
        for side in sides:
            made[side].append(figures_of(a, side, seed))
    print("| | bits per byte | steps | seconds | processor seconds | seeds |\n|---|--:|--:|--:|--:|--:|")
    for side, runs in made.items():
        of = lambda key, digits: spread([run[key] for run in runs], digits)
        print(f"| {SIDES[side]} | {of('val_bits_per_byte', 4)} | {runs[0]['steps']:,} | {of('wall_seconds', 0)} | {of('processor_seconds', 0)} | {len(runs)} |")


main()
