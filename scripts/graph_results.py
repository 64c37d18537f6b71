#!/usr/bin/env python3
"""Runs of the graph family over seeds or folds, and their table, as in docs/results/graph.md.

    scripts/graph_results.py DATA cora citeseer mutag                     # ten seeds, or ten folds, of each
    scripts/graph_results.py DATA nci1 --over 1-3 --jobs 2                # some folds, in two processes
    scripts/graph_results.py DATA mutag --validation dataset.validation=inner model.n_levels=2    # to choose settings

DATA has `graph_cora` and `graph_citeseer` (nodes.tsv, edges.tsv), and `graph_tu/NAME` (NAME.txt, 10fold_idx/test_idx-K.txt). What
follows the names as KEY=VALUE goes to each run. A finished run is kept in --dir, under a hash of its configuration and settings,
and not made again. A figure is the mean over the runs ± their sample deviation. --validation leaves the test part out of the table.
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

from programs import ROOT, released
from results import numbers, spread

CONFIGS = ROOT / "config/graph"
NODES = {"cora": "graph_cora", "citeseer": "graph_citeseer"}
FOLDS = {"mutag": "MUTAG", "proteins": "PROTEINS", "nci1": "NCI1", "imdb_b": "IMDBBINARY"}
CONTROLS = {
    "gcn": "GCN",
    "gru": "GRU",
    "mlp": "MLP on the features alone",
    "untrained": "the model before its first step",
    "majority": "always the most frequent class",
}
MEMORIES = {
    "reset": "its memories emptied at each level",
    "wiped": "its memories emptied once, half-way",
    "never_written": "its memories never written",
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("words", nargs="+", metavar="NAME|KEY=VALUE", help=f"one of {', '.join([*NODES, *FOLDS])}; or a setting")
    p.add_argument("--over", type=numbers, default="1-10", help="seeds of the node sets, folds of the others")
    p.add_argument("--jobs", type=int, default=1, help="runs at a time, each with one thread")
    p.add_argument("--validation", action="store_true", help="no figures of the test part")
    p.add_argument("--dragon", help="the program; else that of the release profile")
    p.add_argument("--dir", type=pathlib.Path, default=pathlib.Path.home() / ".cache/burn_dragon_graph")
    a = p.parse_intermixed_args()
    a.settings = [word for word in a.words if "=" in word]
    a.names = [word for word in a.words if "=" not in word]
    if unknown := [name for name in a.names if name not in NODES and name not in FOLDS]:
        p.error(f"{', '.join(unknown)}: expected names among {', '.join([*NODES, *FOLDS])}")
    a.dragon, a.data = a.dragon or released("dragon"), a.data.resolve()
    return a


def data_of(a, name, number):
    """Settings of the data of a run."""
    if name in NODES:
        return [f"dataset.path={a.data / NODES[name]}", f"training.seed={number}"]
    folder = a.data / "graph_tu" / FOLDS[name]
    folds = [f"dataset.folds={folder / '10fold_idx'}", f"dataset.fold={number}"]
    return [f"dataset.path={folder / FOLDS[name]}.txt", *folds]


def key_of(a, name, number):
    """Name of a run: it changes with every file that its configuration can extend, and with its settings."""
    texts = [path.read_text() for path in sorted(CONFIGS.glob("*.toml")) if path.stem in ("base", "cora", "tu", name)]
    return f"{name}-{number}-{hashlib.sha256(json.dumps([texts, a.settings]).encode()).hexdigest()[:12]}"


def run(a, name, number):
    """The last line of a run as JSON; None, with a message, if it failed."""
    kept = a.dir / f"{key_of(a, name, number)}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    out = a.dir / "runs" / kept.stem
    shutil.rmtree(out, ignore_errors=True)
    settings = [*data_of(a, name, number), *a.settings]
    command = [a.dragon, "train", "graph", "-c", CONFIGS / f"{name}.toml", *settings, "--out", out, "--json"]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        print(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr[-2000:]}", file=sys.stderr)
        return None
    line = done.stdout.strip().splitlines()[-1]
    figures = json.loads(line)
    part = "" if figures.get("test_accuracy") is None or a.validation else f", test {figures['test_accuracy']:.3f}"
    print(f"{kept.stem}: validation {figures['val_accuracy']:.3f}{part}", file=sys.stderr, flush=True)
    kept.write_text(line)
    shutil.rmtree(out)
    return figures


def rows(runs):
    """Name, values on the validation part and values on the test part of each row."""
    def of(table, name):
        parts = ("label_accuracy", "test_label_accuracy")
        return [[run[table].get(f"{name}_{part}") for run in runs] for part in parts]

    yield "**the model**", [run["val_accuracy"] for run in runs], [run["test_accuracy"] for run in runs]
    for table, names in (("controls", CONTROLS), ("memories", MEMORIES)):
        for name, words in names.items():
            validation, test = of(table, name)
            if validation[0] is not None:
                yield words, validation, test


def table(a, name, runs):
    of = "seeds" if name in NODES else "folds"
    columns = ["validation", "test"] if runs[0].get("test_accuracy") is not None else ["fold"]
    columns = columns[:1] if a.validation else columns
    print(f"\n| {name}, {len(runs)} {of} | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}")
    for words, *parts in rows(runs):
        print(f"| {words} | {' | '.join(spread(values) for values in parts[:len(columns)])} |", flush=True)


def main():
    a = arguments()
    (a.dir / "runs").mkdir(parents=True, exist_ok=True)
    failed = False
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for name in a.names:
            made = list(pool.map(lambda number: run(a, name, number), a.over))
            failed |= None in made
            if runs := [figures for figures in made if figures is not None]:
                table(a, name, runs)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
