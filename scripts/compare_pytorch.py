#!/usr/bin/env python3
"""Runs this project and PyTorch in turn (A B A B ...) and writes docs/performance.md. Called by compare_pytorch.sh.

A row is a piece of work; its first run is ours, and each other run is compared with it: figures are medians over the
rounds, a ratio is the median of the rounds' ratios, so that a machine whose speed drifts does not decide. A row that
is measured replaces its earlier figures in docs/performance.jsonl, of which docs/performance.md is made.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASELINE = ROOT / "scripts/pytorch_baseline.py"
HOME = pathlib.Path(os.environ["DRAGON_BENCH_DIR"])
PYTHON = os.environ["DRAGON_BENCH_PYTHON"]
TEXT = os.environ.get("DRAGON_BENCH_TEXT")
TARGET = pathlib.Path(os.environ.get("DRAGON_BENCH_TARGET", ROOT / "target"))
DRAGON = os.environ.get("DRAGON_BENCH_DRAGON", str(TARGET / "release/dragon"))
THREADS = os.environ.get("DRAGON_BENCH_THREADS", "2")

SMALL = "--levels 4 --d-model 128 --heads 4 --neurons 4096"
WIDE = "--levels 4 --d-model 128 --heads 4 --neurons 8192"
PAPER = "--levels 6 --d-model 256 --heads 4 --neurons 32768"
QUICK = "--levels 2 --d-model 32 --heads 4 --neurons 512"


class Skipped(Exception):
    """A row that cannot be measured here, and why."""


# Commands, as a person would type them.


def dragon(what):
    return f"dragon bench {what} --threads {THREADS} --json"


def pytorch(what):
    return f"python scripts/pytorch_baseline.py {what} --threads {THREADS}"


def torch_modes(what, a):
    """PyTorch's ways to do the same: f32 and bf16, each as it is and compiled."""
    modes = {"PyTorch f32": pytorch(what), "PyTorch bf16": pytorch(f"{what} --precision bf16")}
    if not a.no_compile:
        modes["PyTorch f32 compiled"] = pytorch(f"{what} --compile")
        modes["PyTorch bf16 compiled"] = pytorch(f"{what} --precision bf16 --compile")
    return modes


def our_modes(what):
    return {"ours f32": dragon(what), "ours bf16": dragon(f"{what} --precision bf16")}


def trained(neurons, a):
    """A model trained on the text, kept for the next time: the options that measure it."""
    if TEXT is None:
        raise Skipped("it needs a text to train on and to read: set DRAGON_BENCH_TEXT to a file")
    steps, width = (20, 32) if a.quick else (a.train_steps, 128)
    run = HOME / f"runs/d{width}-n{neurons}-{steps}"
    if not (run / "checkpoint/last").exists():
        print(f"training {run.name} on {TEXT}", file=sys.stderr)
        settings = [
            "dataset.type=text", f"dataset.paths={json.dumps([os.path.abspath(TEXT)])}", "sequence.block_size=256",
            f"model.d_model={width}", f"model.n_neurons={neurons}", "model.n_levels=4", "model.dropout=0.1",
            "optimizer.learning_rate=1e-3", "schedule.type=constant", "evaluation.every=1000000",
            "evaluation.sample_every=0", f"--max-steps={steps}", f"--out={run}",
        ]
        subprocess.run([DRAGON, "train", *settings], check=True, stdout=subprocess.DEVNULL)
    return f"--weights {run} --text {TEXT}"


def text_option():
    return f" --text {TEXT}" if TEXT else ""


# Rows: name -> (title, function of the arguments that gives the runs, the first of them ours).


def train_random(a):
    size = f"{QUICK} --batch 2 --time 64" if a.quick else f"{SMALL} --batch 8 --time 256"
    what = f"train {size} --steps {a.steps or 6}"
    return {**our_modes(what), **torch_modes(what, a)}


def train_trained(a):
    batch = "--batch 2 --time 64" if a.quick else "--batch 8 --time 256"
    rounds = f"--steps {a.steps or 6}"
    ours = our_modes(f"train {trained(512 if a.quick else 4096, a)} {batch} {rounds}")
    return {**ours, **torch_modes(f"train {QUICK if a.quick else SMALL} {batch}{text_option()} {rounds}", a)}


def train_paper(a):
    size = f"{QUICK} --batch 1 --time 128" if a.quick else f"{PAPER} --batch 1 --time 512"
    what = f"train {size} --steps {a.steps or 3}"
    return {**our_modes(what), **torch_modes(what, a)}


def decode_trained(a):
    rounds = f"--context {200 if a.quick else 2000} --tokens {a.steps or 256}"
    ours = {"ours f32": dragon(f"decode {trained(512 if a.quick else 8192, a)} {rounds}")}
    return {**ours, **torch_modes(f"decode {QUICK if a.quick else WIDE}{text_option()} {rounds}", a)}


def decode_paper(a):
    what = f"decode {QUICK if a.quick else PAPER} --context 256 --tokens {a.steps or 32}"
    return {"ours f32": dragon(what), **torch_modes(what, a)}


def decode_context(a):
    size, tokens = QUICK if a.quick else SMALL, a.steps or 512
    at = lambda context: dragon(f"decode {size} --context {context} --tokens {tokens}")
    return {"ours at 100": at(100), "ours at 100,000": at(100_000)}


def prefill(a):
    what = f"prefill {QUICK if a.quick else SMALL} --tokens {512 if a.quick else 8192} --steps {a.steps or 3}"
    return {"ours f32": dragon(f"{what} --form chunked"), **torch_modes(what, a)}


def prefill_forms(a):
    what = f"prefill {QUICK if a.quick else SMALL} --tokens {512 if a.quick else 8192} --steps {a.steps or 3}"
    return {form: dragon(f"{what} --form {form}") for form in ("chunked", "parallel")}


ROWS = {
    "train-random": ("Training, 4 levels, D128, n4096, 8 x 256 tokens, random weights", train_random),
    "train-trained": ("Training, the same model once trained", train_trained),
    "train-paper": ("Training, paper size (6 levels, D256, n32768), 1 x 512 tokens, random weights", train_paper),
    "decode-trained": ("Decoding, 4 levels, D128, n8192, trained, context 2,000", decode_trained),
    "decode-paper": ("Decoding, paper size, random weights", decode_paper),
    "decode-context": ("Decoding after 100 and after 100,000 tokens, 4 levels, D128, n4096", decode_context),
    "prefill": ("Reading a prompt of 8,192 tokens, 4 levels, D128, n4096, random weights", prefill),
    "prefill-forms": ("The same prompt with the memory after it (chunked), and as one window (which picks its form by length)", prefill_forms),
}


# Measuring.


def figures(command):
    """The JSON object on a command's last line; None where our program does not know the precision asked for."""
    words = command.split()
    program = {"dragon": [DRAGON], "python": [PYTHON]}[words[0]]
    run = subprocess.run([*program, *words[1:]], cwd=ROOT, capture_output=True, text=True)
    if run.returncode == 2 and "invalid value 'bf16' for '--precision" in run.stderr:
        return None
    if run.returncode:
        sys.exit(f"failed ({run.returncode}): {command}\n{run.stderr[-3000:]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def measure(name, a):
    title, runs_of = ROWS[name]
    runs = runs_of(a)
    row = {"row": name, "title": title, **about(), "load": round(os.getloadavg()[0], 1), "rounds": a.rounds}
    seen = {label: [] for label in runs}
    for done in range(a.rounds):
        for label, command in runs.items():
            got = figures(command) if done == 0 or seen[label] else None
            if got is None:
                continue
            seen[label].append(got)
            print(f"{name} {done + 1}/{a.rounds}  {label:24} {got['tokens_per_second']:.4g} tokens/s", flush=True)
    ours = next(iter(runs))
    row["runs"] = [summary(label, runs[label], seen[label], seen[ours]) for label in runs if seen[label]]
    row["machine"] = seen[ours][-1]["machine"]
    row["versions"] = {"burn_dragon": seen[ours][-1]["version"], "python": platform.python_version()}
    row["versions"].update({"torch": got[-1]["torch"] for got in seen.values() if got and "torch" in got[-1]})
    return row


def summary(label, command, seen, ours):
    median = lambda key: statistics.median(got[key] for got in seen) if seen[0].get(key) is not None else None
    second = next(key for key in seen[0] if key.startswith("seconds_per_"))
    kept = ["tokens_per_second", second, "peak_memory_bytes", "memory_before_bytes"]
    kept += ["x_density", "y_density", "peak_share", "bandwidth_share"]
    ratios = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(ours, seen)]
    shown = command.replace(str(HOME), "$DRAGON_BENCH_DIR").replace(TEXT or "\0", "$DRAGON_BENCH_TEXT")
    return {
        "label": label,
        "command": shown,
        "figures": {key: median(key) for key in kept if key in seen[0]},
        "each_tokens_per_second": [got["tokens_per_second"] for got in seen],
        "ours_is": statistics.median(ratios),
    }


def about():
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    dirty = "+" if git("status", "--porcelain", "--untracked-files=no", "--", "crates", "Cargo.lock") else ""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "commit": git("rev-parse", "--short", "HEAD") + dirty,
    }


# Writing.

HEADER = """# Performance

Made by `scripts/compare_pytorch.sh`; do not edit. Figures are medians over rounds in which the programs ran in turn,
each alone, on {threads} threads; *ours is* is the median over rounds of our speed over theirs. Load is the
machine's one-minute average before the row began, which the row before may account for; above the number of threads,
other work was running, and the figures say little. Fewer than 3 rounds are a trial, not a result.

- **PyTorch** is [`scripts/pytorch_baseline.py`](../scripts/pytorch_baseline.py): plain tensor operations, fused AdamW,
  and huge pages for its memory (`GLIBC_TUNABLES=glibc.malloc.hugetlb=1`), without which it is up to twice as slow.
  bf16 is autocast; compiled is `torch.compile`. It decodes with the state carried, not by reading all again. Where our
  model is trained, it has random weights of the same shape: its operations are dense and take the same time.
- **Ours** is `dragon bench`, as built by `cargo build --release`. Training steps are whole: batch, forward with
  dropout 0.1, loss, backward, clip, AdamW. Densities are the shares of active x and y: a speed that sparsity gives
  holds at that density.
- *Of peak* is the share of the f32 multiply-adds that the machine reaches in registers, counting the model's
  arithmetic (forward once, backward twice as much; in decoding, of active neurons). *Of bandwidth* is the share of
  what the machine reads from a buffer as large as what the work comes back to, counting the bytes it cannot avoid.
- Memory is the most that the process held; PyTorch's own libraries, loaded, are in brackets.

Trained models: `dragon train` on tiny Shakespeare, 8 x 256 tokens a step; the folder after `--weights` tells the
width, the neurons and the steps. Again:
`DRAGON_BENCH_TEXT=input.txt scripts/compare_pytorch.sh [--only ROW] [--rounds N]`.
"""


def digits(value):
    for limit, places in ((9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{places}f}"
    return f"{value:,.0f}"


def seconds(value):
    scale, unit = (1e6, "us") if value < 1e-3 else (1e3, "ms") if value < 1 else (1, "s")
    return f"{digits(value * scale)} {unit}"


def share(value):
    return "" if value is None else f"{digits(100 * value)} %"


def mebibytes(figures):
    peak, library = figures.get("peak_memory_bytes"), figures.get("memory_before_bytes")
    if peak is None:
        return ""
    return f"{peak / 2**20:,.0f} MiB" + ("" if library is None else f" ({library / 2**20:,.0f})")


def table(row):
    unit = next(key for key in row["runs"][0]["figures"] if key.startswith("seconds_per_"))
    lines = [f"| run | tokens/s | {unit.replace('seconds_per_', 'a ')} | ours is | of peak | of bandwidth | memory |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for run in row["runs"]:
        f = run["figures"]
        ratio = "" if run is row["runs"][0] else f"{digits(run['ours_is'])}x"
        cells = [run["label"], digits(f["tokens_per_second"]), seconds(f[unit]), ratio]
        cells += [share(f.get("peak_share")), share(f.get("bandwidth_share")), mebibytes(f)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def section(row):
    ours, machine, versions = row["runs"][0]["figures"], row["machine"], row["versions"]
    peaks = f"{machine['flops_per_second'] / 1e9:,.0f} GFLOP/s f32 ({machine['instructions']})"
    if machine["bf16_flops_per_second"]:
        peaks += f", {machine['bf16_flops_per_second'] / 1e9:,.0f} GFLOP/s bf16 ({machine['bf16_instructions']})"
    reads = f"{machine['memory_bytes_per_second'] / 1e9:.1f} GB/s from memory"
    disturbed = row["load"] > machine["threads"] + 1
    trial = " **Disturbed by other work: not a result.**" if disturbed else ""
    trial = " **A trial: not a result.**" if row["rounds"] < 3 and not disturbed else trial
    rounds = f"{row['rounds']} round{'s' if row['rounds'] > 1 else ''}"
    parts = [
        f"## {row['title']}",
        f"Density: x {share(ours['x_density'])}, y {share(ours['y_density'])}.{trial}",
        table(row),
        f"{row['date']} UTC, commit {row['commit']}, {rounds}, load {row['load']};"
        f" {', '.join(f'{name} {version}' for name, version in versions.items())}.\n"
        f"{machine['cpu']}, {machine['threads']} threads: {peaks}, {reads}.",
        "```console\n" + "\n".join(f"$ {run['command']}" for run in row["runs"]) + "\n```",
    ]
    return "\n\n".join(parts)


def write(rows, a, folder, name):
    rows = [rows[row] for row in ROWS if row in rows]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pages = [HEADER.format(threads=THREADS), *(section(row) for row in rows)]
    (folder / f"{name}.md").write_text("\n".join(page.rstrip("\n") + "\n" for page in pages))


def main():
    p = argparse.ArgumentParser(prog="compare_pytorch.sh", description=__doc__)
    p.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help=f"may repeat: {', '.join(ROWS)}")
    p.add_argument("--rounds", type=int, default=3, help="rounds of each row (3)")
    p.add_argument("--steps", type=int, help="steps, prompts or tokens of each run; else as many as suit the row")
    p.add_argument("--train-steps", type=int, default=2000, help="steps of the trained models (2000)")
    p.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes minutes to begin")
    p.add_argument("--quick", action="store_true", help="tiny sizes, to see that all runs; written where cargo builds")
    p.add_argument("--render", action="store_true", help="measure nothing, write the page again")
    a = p.parse_args()
    folder, name = (TARGET, "performance-quick") if a.quick else (ROOT / "docs", "performance")
    kept = folder / f"{name}.jsonl"
    rows = {}
    if kept.exists():
        rows = {row["row"]: row for row in map(json.loads, kept.read_text().splitlines())}
    for row in [] if a.render else a.only or ROWS:
        try:
            rows[row] = measure(row, a)
        except Skipped as why:
            print(f"{row} skipped: {why}")
            continue
        write(rows, a, folder, name)
    write(rows, a, folder, name)
    print(f"written: {os.path.relpath(folder / name, ROOT)}.md")


main()
