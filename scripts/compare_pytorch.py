#!/usr/bin/env python3
"""Runs this project and PyTorch in turn (A B A B ...) and writes docs/performance.md. Called by compare_pytorch.sh.

A row is a piece of work; its first run is ours, and each other run is compared with it: figures are medians over the
rounds, a ratio is the median of the rounds' ratios, so that a machine whose speed drifts does not decide. PyTorch runs in
every form that a good user would try; one that is far behind the best of its precision is run once. A row that is
measured replaces its earlier figures in docs/performance.jsonl, of which docs/performance.md is made.
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

import bench_table as table_of

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


def torch_modes(what, a, forms, precisions=("f32", "bf16")):
    """PyTorch's ways to do the same: each form in each precision. `forms`: name -> options; those that compile may be left out."""
    return {
        f"PyTorch {precision} {form}".strip(): pytorch(f"{what} --precision {precision} {options}".strip())
        for precision in precisions
        for form, options in forms.items()
        if not (a.no_compile and "--compile" in options)
    }


def train_forms(length):
    merged, blocks = "--layout merged", f"--form blocks --chunk {length // 4}"
    return {
        "": "", "einsum": "--layout einsum", "merged": merged, "merged, blocks": f"{merged} {blocks}",
        "compiled": "--compile", "merged, compiled": f"{merged} --compile",
        "merged, blocks, compiled": f"{merged} {blocks} --compile",
    }


def prefill_forms_of_torch(length):
    chunk = f"--form chunked --chunk {min(256, length // 2)}"
    coarse = f"--layout merged --form chunked --chunk {min(1024, length // 2)}"
    blocks = f"--layout merged --form blocks --chunk {min(1024, length // 2)}"
    return {
        "": "", "blocks": blocks, "chunked": chunk, "einsum, chunked": f"--layout einsum {chunk}",
        "merged, chunked": f"--layout merged {chunk}", "merged, long chunks": coarse,
        "compiled": "--compile", "merged, long chunks, compiled": f"{coarse} --compile",
    }


DECODE_FORMS = {
    "": "", "einsum": "--layout einsum", "merged": "--layout merged",
    "compiled": "--compile", "merged, compiled": "--layout merged --compile",
}
ROUNDED = ("f32", "bf16", "bf16-weights")  # bf16-weights: rounded once, not at each use as autocast does without gradients


def our_modes(what):
    return {"ours f32": dragon(what), "ours bf16": dragon(f"{what} --precision bf16")}


def our_decoding(what):
    rounded = f"{what} --precision bf16"
    return {
        "ours f32": dragon(what), "ours bf16 weights": dragon(rounded),
        "ours bf16 weights and memory": dragon(f"{rounded} --memory-precision bf16"),
    }


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
    return {**our_modes(what), **torch_modes(what, a, train_forms(64 if a.quick else 256))}


def train_trained(a):
    batch = "--batch 2 --time 64" if a.quick else "--batch 8 --time 256"
    rounds = f"--steps {a.steps or 6}"
    ours = our_modes(f"train {trained(512 if a.quick else 4096, a)} {batch} {rounds}")
    theirs = f"train {QUICK if a.quick else SMALL} {batch}{text_option()} {rounds}"
    return {**ours, **torch_modes(theirs, a, train_forms(64 if a.quick else 256))}


def train_paper(a):
    size = f"{QUICK} --batch 1 --time 128" if a.quick else f"{PAPER} --batch 1 --time 512"
    what = f"train {size} --steps {a.steps or 3}"
    return {**our_modes(what), **torch_modes(what, a, train_forms(128 if a.quick else 512))}


def decode_trained(a):
    rounds = f"--context {200 if a.quick else 2000} --tokens {a.steps or 256}"
    ours = our_decoding(f"decode {trained(512 if a.quick else 8192, a)} {rounds}")
    theirs = f"decode {QUICK if a.quick else WIDE}{text_option()} {rounds}"
    return {**ours, **torch_modes(theirs, a, DECODE_FORMS, ROUNDED)}


def decode_paper(a):
    what = f"decode {QUICK if a.quick else PAPER} --context 256 --tokens {a.steps or 32}"
    return {**our_decoding(what), **torch_modes(what, a, DECODE_FORMS, ROUNDED)}


def decode_context(a):
    size, tokens = QUICK if a.quick else SMALL, a.steps or 512
    at = lambda context: dragon(f"decode {size} --context {context} --tokens {tokens}")
    return {"ours at 100": at(100), "ours at 100,000": at(100_000)}


def prefill(a):
    length = 512 if a.quick else 8192
    what = f"prefill {QUICK if a.quick else SMALL} --tokens {length} --steps {a.steps or 3}"
    ours = our_modes(f"{what} --form chunked")
    return {**ours, **torch_modes(what, a, prefill_forms_of_torch(length), ROUNDED)}


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
    try:
        return table_of.last_object([*program, *words[1:]], command, ROOT)
    except table_of.Failed as failed:
        if "invalid value 'bf16' for '--precision" in str(failed):
            return None
        sys.exit(str(failed))


def measure(name, a):
    title, runs_of = ROWS[name]
    runs = runs_of(a)
    row = {"row": name, "title": title, **about(), "load": round(os.getloadavg()[0], 1), "rounds": a.rounds}
    seen = {label: [] for label in runs}
    left = list(runs)
    for done in range(a.rounds):
        for label in left:
            got = figures(runs[label])
            if got is None:
                continue
            seen[label].append(got)
            print(f"{name} {done + 1}/{a.rounds}  {label:42} {got['tokens_per_second']:.4g} tokens/s", flush=True)
        first = {label: got[0]["tokens_per_second"] for label, got in seen.items() if got}
        left = [label for label in first if not table_of.is_hopeless(label, first)]
    ours = next(iter(runs))
    row["runs"] = [summary(label, runs[label], seen[label]) for label in runs if seen[label]]
    row["machine"] = seen[ours][-1]["machine"]
    row["versions"] = {"burn_dragon": seen[ours][-1]["version"], "python": platform.python_version()}
    row["versions"].update({"torch": got[-1]["torch"] for got in seen.values() if got and "torch" in got[-1]})
    return row


def summary(label, command, seen):
    median = lambda key: statistics.median(got[key] for got in seen) if seen[0].get(key) is not None else None
    second = next(key for key in seen[0] if key.startswith("seconds_per_"))
    kept = ["tokens_per_second", second, "peak_memory_bytes", "memory_before_bytes"]
    kept += ["x_density", "y_density", "peak_share", "bf16_peak_share", "bandwidth_share"]
    shown = command.replace(str(HOME), "$DRAGON_BENCH_DIR").replace(TEXT or "\0", "$DRAGON_BENCH_TEXT")
    return {
        "label": label,
        "command": shown,
        "figures": {key: median(key) for key in kept if key in seen[0]},
        "each_tokens_per_second": [got["tokens_per_second"] for got in seen],
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
each alone, on {threads} threads; *ours is* is the median over rounds of our speed over theirs, ours being the run of the same
precision, or the first one. What we quote is beside the best of PyTorch's forms. A form marked * was far behind the best
of its precision in the first round, and not run again. Load is the machine's one-minute average before the row began, which
the row before may account for; above the number of threads, other work was running, and the figures say little. Fewer
than 3 rounds are a trial, not a result.

- **PyTorch** is [`scripts/pytorch_baseline.py`](../scripts/pytorch_baseline.py): tensor operations, fused AdamW, and huge
  pages for its memory (`GLIBC_TUNABLES=glibc.malloc.hugetlb=1`), without which it is up to twice as slow. Before it is
  timed, each form is shown to be the same function. *einsum* writes the products as `torch.einsum`, *merged* has the
  weights of all heads in one product, *blocks* leaves out blocks of scores that the mask hides, *chunked* carries a memory
  between chunks, *compiled* is `torch.compile`. bf16 is autocast, bf16-weights rounds the weights once. It decodes with
  the state carried, not by reading all again. Where our model is trained, it has random weights of the same shape: its
  operations are dense and take the same time.
- **Ours** is `dragon bench`, as built by `cargo build --release`. Training steps are whole: batch, forward with
  dropout 0.1, loss, backward, clip, AdamW. Densities are the shares of active x and y: a speed that sparsity gives
  holds at that density.
- *Of peak* is the share of the f32 multiply-adds that the machine reaches in registers, counting the model's
  arithmetic (forward once, backward twice as much; in decoding, of active neurons); of bf16, the share of its products
  of bf16. *Of bandwidth* is the share of what the machine reads from a buffer as large as what the work comes back to,
  counting the bytes it cannot avoid.
- Memory is the most that the process held; PyTorch's own libraries, loaded, are in brackets.

Trained models: `dragon train` on tiny Shakespeare, 8 x 256 tokens a step; the folder after `--weights` tells the
width, the neurons and the steps. Again:
`DRAGON_BENCH_TEXT=input.txt scripts/compare_pytorch.sh [--only ROW] [--rounds N]`.
"""


def table(row):
    unit = next(key for key in row["runs"][0]["figures"] if key.startswith("seconds_per_"))
    each = {run["label"]: run["each_tokens_per_second"] for run in row["runs"]}
    head = ["run", "tokens/s", unit.replace("seconds_per_", "a "), "ours is", "of peak", "of bandwidth", "memory"]
    lines = []
    for run in row["runs"]:
        label, f = run["label"], run["figures"]
        base = table_of.base_of(label, each)
        once = " *" if len(each[label]) < row["rounds"] else ""
        cells = [label + once, table_of.digits(f["tokens_per_second"]), table_of.seconds(f[unit])]
        cells.append("" if base == label else f"{table_of.digits(table_of.ratio(each[label], each[base]))}x")
        cells += [table_of.peak(f), table_of.share(f.get("bandwidth_share")), table_of.mebibytes(f)]
        lines.append(cells)
    return table_of.columns(head, lines)


def quoted(row):
    """How each of ours compares with the best of PyTorch."""
    each = {run["label"]: run["each_tokens_per_second"] for run in row["runs"]}
    best = table_of.best({run["label"]: run["figures"]["tokens_per_second"] for run in row["runs"]})
    parts = [
        f"{base} **{table_of.digits(table_of.ratio(each[label], each[base]))}x** ({label})"
        for base, label in best.items()
    ]
    return f"Beside the best of the PyTorch runs above: {', '.join(parts)}." if parts else None


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
        f"Density: x {table_of.share(ours['x_density'])}, y {table_of.share(ours['y_density'])}.{trial}",
        table(row),
        quoted(row),
        f"{row['date']} UTC, commit {row['commit']}, {rounds}, load {row['load']};"
        f" {', '.join(f'{name} {version}' for name, version in versions.items())}.\n"
        f"{machine['cpu']}, {machine['threads']} threads: {peaks}, {reads}.",
        "```console\n" + "\n".join(f"$ {run['command']}" for run in row["runs"]) + "\n```",
    ]
    return "\n\n".join(part for part in parts if part)


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
