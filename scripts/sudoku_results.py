#!/usr/bin/env python3
"""Runs of the sudoku family beside their ablations, and their table, as in docs/results/sudoku.md.

    scripts/sudoku_results.py                             # the default run and its ablations, two seeds each
    scripts/sudoku_results.py base last stablemax         # some of them
    scripts/sudoku_results.py --seeds 1-3 base training.max_steps=200

Each row is the default run (config/sudoku/base.toml) with the settings of an ablation. What is given as KEY=VALUE goes to each
run. A finished run is kept in --dir, under a hash of its configuration and settings, and not made again. A figure is the mean over
the seeds ± their sample deviation.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from programs import ROOT, released
from results import numbers, spread

BASE = ROOT / "config/sudoku/base.toml"
ABLATIONS = {
    "base": ("**the default run**", []),
    "last": ("loss of the last level alone", ["loss.levels=last"]),
    "fixed": ("no levels before those with a loss", ["loss.free_levels=0"]),
    "stablemax": ("stablemax", ["loss.kind=stablemax"]),
    "symmetries": ("a new symmetry each time a puzzle is shown", ["dataset.augment=symmetries"]),
    "carried": ("memories carried with a factor of 0.5", ["model.decay=0.5"]),
    "places": ("rows, columns and boxes embedded", ["model.places=embedded"]),
    "cells": (
        "cells as tokens, their places embedded",
        ["model.tokens=cells", "model.places=embedded", "model.n_heads=3", "model.n_neurons=48"],
    ),
    "hard_first": ("hard puzzles first", ["dataset.order=hard_first"]),
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("words", nargs="*", metavar="NAME|KEY=VALUE", help=f"among {', '.join(ABLATIONS)}; or a setting")
    p.add_argument("--seeds", type=numbers, default="1-2")
    p.add_argument("--jobs", type=int, default=1, help="runs at a time, each with one thread")
    p.add_argument("--dragon", help="the program; else that of the release profile")
    p.add_argument("--dir", type=pathlib.Path, default=pathlib.Path.home() / ".cache/burn_dragon_sudoku")
    a = p.parse_intermixed_args()
    a.settings = [word for word in a.words if "=" in word]
    a.names = [word for word in a.words if "=" not in word] or list(ABLATIONS)
    if unknown := [name for name in a.names if name not in ABLATIONS]:
        p.error(f"{', '.join(unknown)}: expected names among {', '.join(ABLATIONS)}")
    a.dragon = a.dragon or released("dragon")
    return a


def run(a, name, seed):
    """The last line of a run as JSON, with its seconds; None, with a message, if it failed."""
    settings = [*ABLATIONS[name][1], f"training.seed={seed}", *a.settings]
    key = hashlib.sha256(json.dumps([BASE.read_text(), settings]).encode()).hexdigest()[:12]
    kept = a.dir / f"{name}-{seed}-{key}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    out = a.dir / "runs" / kept.stem
    shutil.rmtree(out, ignore_errors=True)
    command = [a.dragon, "train", "sudoku", "-c", BASE, *settings, "--out", out, "--json"]
    start = time.monotonic()
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        print(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr[-2000:]}", file=sys.stderr)
        return None
    figures = json.loads(done.stdout.strip().splitlines()[-1]) | {"seconds_of_all": time.monotonic() - start}
    print(f"{kept.stem}: {100 * figures['solved']:.1f} % solved, {figures['seconds_of_all']:.0f} s", file=sys.stderr, flush=True)
    kept.write_text(json.dumps(figures))
    shutil.rmtree(out)
    return figures


def main():
    a = arguments()
    (a.dir / "runs").mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        runs = {name: list(pool.map(lambda seed: run(a, name, seed), a.seeds)) for name in a.names}
    print(f"| {len(a.seeds)} seeds | cells right | puzzles solved |\n|---|--:|--:|")
    for name, made in runs.items():
        if made := [figures for figures in made if figures is not None]:
            cells, solved = (spread([figures[key] for figures in made]) for key in ("cell_accuracy", "solved"))
            print(f"| {ABLATIONS[name][0]} | {cells} | {solved} |")
    sys.exit(1 if any(None in made for made in runs.values()) else 0)


if __name__ == "__main__":
    main()
