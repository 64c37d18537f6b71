#!/usr/bin/env python3
"""Exactness and speed on a GPU; writes docs/performance_gpu.md. Called by gpu.sh.

Parts, each with its share of the time; what one part leaves over is the next one's, and what a part has no time for is
listed on the page: logits of the official fixtures in all forms; losses of a short training run beside the processor's;
training, prefill and decoding at four sizes, beside PyTorch on the same card in turn.
"""
import argparse
import array
import datetime
import importlib.util
import json
import lzma
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import bench_table as table_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = pathlib.Path(os.environ["DRAGON_GPU_DIR"])
FIXTURES = os.environ.get("DRAGON_FIXTURES")

# Largest difference of a logit from the f64 oracle, as a share of the largest logit: products may be in TF32.
LOGITS = 5e-3
# Largest difference of a step's loss from the processor's, as a share of it.
LOSSES = 1e-2

# Seconds of each part.
PARTS = {"logits": 40, "losses": 30, "train": 230, "prefill": 70, "decode": 80}

# name -> levels, width, heads, neurons; lanes and tokens of a training step; tokens of a prompt.
SIZES = {
    "paper size (6 levels, D256, n32768)": ((6, 256, 4, 32768), (32, 512), 8192),
    "22 M (8 levels, D512, n14336)": ((8, 512, 8, 14336), (8, 256), 8192),
    "small (4 levels, D128, n4096)": ((4, 128, 4, 4096), (8, 256), 8192),
    "wide (4 levels, D128, n8192)": ((4, 128, 4, 8192), (32, 256), 8192),
}
TINY = {"tiny (2 levels, D32, n128)": ((2, 32, 2, 128), (2, 32), 64)}

OURS = {"ours bf16": "--precision bf16", "ours f32": ""}
# Generation draws on the device; tokens that are given, one by one, are what PyTorch's forms do.
OURS_DECODING = {"ours f32, drawn there": "--draw", "ours f32": ""}
MERGED = "--layout merged"
CHUNKED = f"{MERGED} --form chunked --chunk 1024"
# What a good user of PyTorch would try, the first first where time is short.
THEIRS = {
    "train": {
        "PyTorch bf16": f"--precision bf16 {MERGED}",
        "PyTorch bf16 compiled": f"--precision bf16 {MERGED} --compile",
        "PyTorch tf32": f"--precision tf32 {MERGED}",
        "PyTorch bf16 compiled, graphs": f"--precision bf16 {MERGED} --compile reduce-overhead",
        "PyTorch f32": "",
    },
    "prefill": {
        "PyTorch bf16-weights chunked": f"--precision bf16-weights {CHUNKED}",
        "PyTorch tf32 chunked": f"--precision tf32 {CHUNKED}",
        "PyTorch bf16 parallel": f"--precision bf16 {MERGED}",
        "PyTorch bf16-weights chunked, compiled": f"--precision bf16-weights {CHUNKED} --compile",
    },
    "decode": {
        "PyTorch bf16-weights graph": f"--precision bf16-weights {MERGED} --graph",
        "PyTorch f32 graph": f"{MERGED} --graph",
        "PyTorch bf16-weights": f"--precision bf16-weights {MERGED}",
        "PyTorch f32": MERGED,
    },
}


class Part:
    """A part of the work: until when it may last, what came of it, what was left out and why."""

    def __init__(self, name, ends, place):
        self.name, self.ends, self.place, self.left_out = name, ends, place, []

    def seconds(self):
        return self.ends - time.monotonic()

    def run(self, words):
        """What a command prints, or nothing, with the reason in `left_out`."""
        shown = shown_as(words, self.place)
        if self.seconds() < 2:
            return self.leave(shown, "no time was left for it")
        process = subprocess.Popen(
            [str(word) for word in words], cwd=self.place.folder, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        try:
            out, err = process.communicate(timeout=self.seconds())
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return self.leave(shown, "its time was out")
        if process.returncode:
            lines = [line for line in err.splitlines() if line.strip()]
            return self.leave(shown, f"it ended with {process.returncode}: {lines[-1][:300] if lines else 'and said nothing'}")
        return out

    def object(self, words):
        out = self.run(words)
        return None if out is None else {**json.loads(out.strip().splitlines()[-1]), "command": shown_as(words, self.place)}

    def leave(self, shown, why):
        self.left_out.append((shown, why))
        print(f"  left out: {shown}: {why}", flush=True)


class Place:
    """Where commands run: a folder whose cubecl.toml keeps tuned kernels for the next time."""

    def __init__(self, a):
        self.folder = HOME / ("dry-run" if a.dry_run else "runs")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        cache = HOME / "tuned"
        settings = f"[environment.path]\ndirectory = {json.dumps(str(cache))}\n\n[compilation]\ncache = true\n"
        if a.dry_run:  # nothing is to be fast
            settings += '\n[autotune]\nlevel = "minimal"\n\n[autotune.bench]\nmin_samples = 1\nmax_samples = 1\n'
        (self.folder / "cubecl.toml").write_text(settings)
        self.dragon = self.program(pathlib.Path(os.environ["DRAGON_GPU_DRAGON"]).resolve())

    def program(self, given):
        if given.suffix != ".xz":
            return given
        unpacked = self.folder / "dragon"
        unpacked.write_bytes(lzma.decompress(given.read_bytes()))
        unpacked.chmod(0o755)
        return unpacked


def shown_as(words, place):
    """A command as a person would type it."""
    names = {str(place.dragon): "dragon", sys.executable: "python"}
    shown = [names.get(str(word), str(word)) for word in words]
    return " ".join(shown).replace(str(ROOT) + "/", "").replace(str(FIXTURES), "$DRAGON_FIXTURES")


# Exactness.


def tensor(path, name):
    """Values and shape of a tensor of floats or doubles in a .safetensors file."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(data[8:start])[name]
    first, last = entry["data_offsets"]
    return array.array({"F32": "f", "F64": "d"}[entry["dtype"]], data[start + first : start + last]), entry["shape"]


def logits(part, a):
    """Rows: fixture, form, largest difference."""
    if FIXTURES is None:
        part.leave("logits of the official fixtures", "DRAGON_FIXTURES is not set")
        return []
    rows = []
    for fixture in ["tiny"] if a.dry_run else ["tiny", "small", "paper_init"]:
        folder, out = pathlib.Path(FIXTURES) / fixture, part.place.folder / "logits.safetensors"
        expected, shape = tensor(folder / "expected.safetensors", "logits_f64")
        largest = max(map(abs, expected))
        for form in ["parallel", "chunked", "recurrent"]:
            chunk = ["--chunk", "16"] if form == "chunked" else []
            words = [part.place.dragon, "forward", folder / "weights.safetensors", folder / "expected.safetensors"]
            words += ["--model-config", folder / "meta.json", "--form", form, *chunk, "--out", out, "--backend", a.backend]
            if part.run(words) is None:
                continue
            got, got_shape = tensor(out, "logits")
            assert got_shape == shape, f"{fixture}: logits {got_shape}, expected {shape}"
            apart = max(abs(x - y) for x, y in zip(got, expected)) / largest
            rows.append((fixture, form, apart))
            print(f"  {fixture}, {form}: {apart:.2g}", flush=True)
    return rows


def losses(part, a):
    """Losses of each step, on the device and on the processor."""
    seen = {}
    for where, backend in [("device", a.backend), ("processor", "cpu")]:
        out = part.place.folder / f"losses-{where}"
        settings = ["training.log_every=1", "dataset.train_bytes=400000", "dataset.validation_tales=2", "evaluation.sample_every=0"]
        settings += ["training.batch_size=2", "model.n_neurons=128", "model.d_model=32"] if a.dry_run else []
        steps = 4 if a.dry_run else 30
        words = [part.place.dragon, "train", "-c", ROOT / "config/language/base.toml", *settings]
        if part.run([*words, "--max-steps", steps, "--out", out, "--backend", backend]) is None:
            return []
        lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
        seen[where] = {line["step"]: line["loss"] for line in lines if "loss" in line}
    pairs = [(step, seen["device"][step], loss) for step, loss in seen["processor"].items()]
    print(f"  {len(pairs)} steps, at most {worst_loss(pairs):.2g} apart", flush=True)
    return pairs


def worst_loss(pairs):
    return max(abs(ours - theirs) / theirs for _, ours, theirs in pairs)


# Speed.


def speeds(part, a):
    """Size -> label -> figures."""
    tables = {}
    torch = importlib.util.find_spec("torch") is not None
    if not torch:
        part.leave(f"PyTorch, {part.name}", f"{sys.executable} has no torch")
    sizes = TINY if a.dry_run else SIZES
    for number, (size, shape) in enumerate(sizes.items()):
        end = part.ends
        part.ends = time.monotonic() + part.seconds() * (0.4 if number == 0 and len(sizes) > 1 else 1 / (len(sizes) - number))
        runs = dict(ours(part.name, shape, a, part.place))
        runs.update(theirs(part.name, shape, a) if torch else {})
        seen = tables.setdefault(size, {})
        for label, words in runs.items():
            if (got := part.object(words)) is not None:
                seen[label] = got
                print(f"  {part.name}, {size}, {label}: {got['tokens_per_second']:.4g} tokens/s", flush=True)
        part.ends = end
    return tables


def sized(what, shape, a):
    (levels, width, heads, neurons), (lanes, length), prompt = shape
    words = ["--levels", levels, "--d-model", width, "--heads", heads, "--neurons", neurons]
    steps = 2 if a.dry_run else 8
    own = {
        "train": ["--batch", lanes, "--time", length, "--steps", steps],
        "prefill": ["--tokens", prompt, "--steps", steps],
        "decode": ["--context", 256, "--tokens", 4 if a.dry_run else 128],
    }
    return [*words, *own[what]]


def ours(what, shape, a, place):
    for label, options in (OURS_DECODING if what == "decode" else OURS).items():
        words = [place.dragon, "bench", what, *sized(what, shape, a), "--backend", a.backend, "--json", *options.split()]
        yield label, words


def theirs(what, shape, a):
    device = "cpu" if a.dry_run else "cuda"
    for label, options in THEIRS[what].items():
        if a.dry_run and ("--compile" in options or "--graph" in options):
            continue
        words = [sys.executable, ROOT / "scripts/pytorch_baseline.py", what, *sized(what, shape, a), "--device", device]
        # What levels hold for the backward pass would fill a card at this size.
        recompute = ["--recompute"] if what == "train" and shape[1][0] * shape[1][1] * shape[0][3] > 1 << 28 else []
        yield label, [*words, *options.split(), *recompute]


# The page.


def card(a):
    try:
        words = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        name, driver = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0].split(", ")
        return f"{name}, driver {driver}"
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return f"the first device of {a.backend}"


def about(a, tables):
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    dirty = "+" if git("status", "--porcelain", "--untracked-files=no", "--", "crates", "Cargo.lock") else ""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
    figures = [got for table in tables.values() for seen in table.values() for got in seen.values()]
    versions = sorted({f"torch {got['torch']}" for got in figures if "torch" in got})
    machines = [got["machine"] for got in figures if "machine" in got]
    commit = git("rev-parse", "--short", "HEAD") or a.commit
    lines = [f"{date} UTC, commit {commit}{dirty}; {card(a)}; {', '.join(versions) or 'no PyTorch'}."]
    if machines:
        best = lambda key: max((m[key] for m in machines if m.get(key)), default=None)
        f32, bf16, copied = map(best, ("flops_per_second", "bf16_flops_per_second", "memory_bytes_per_second"))
        products = f"{f32 / 1e12:.1f} TFLOP/s in f32" + (f", {bf16 / 1e12:.0f} in bf16" if bf16 else "")
        lines.append(f"Through Burn at best: a square product {products}; a copy {copied / 1e9:,.0f} GB/s, read and written.")
    return "\n".join(lines)


def speed_table(seen):
    unit = next(key for key in next(iter(seen.values())) if key.startswith("seconds_per_"))
    head = ["run", "tokens/s", unit.replace("seconds_per_", "a "), "ours is", "of f32 peak", "on the device"]
    rows = []
    for label, got in seen.items():
        base = table_of.base_of(label, seen) if any(map(table_of.is_ours, seen)) else label
        ratio = "" if base == label else f"{table_of.digits(seen[base]['tokens_per_second'] / got['tokens_per_second'])}x"
        held = got.get("device_memory_bytes")
        cells = [label, table_of.digits(got["tokens_per_second"]), table_of.seconds(got[unit]), ratio, table_of.peak(got)]
        rows.append([*cells, "" if held is None else f"{held / 2**20:,.0f} MiB"])
    return table_of.columns(head, rows)


HEADER = """# Performance on a GPU

Made by `scripts/gpu.sh`; do not edit. One round: each program alone, in turn, on the same card; figures are medians over
the steps, prompts or tokens of a run, each timed until the device had done all its work. *Ours is* our speed over theirs,
ours being the run of the same precision, or the first one. *Of f32 peak* counts the model's arithmetic, without what is
computed twice, beside a large square product through Burn. PyTorch is
[`scripts/pytorch_baseline.py`](../scripts/pytorch_baseline.py), whose forms [performance.md](performance.md) describes;
*graph* is a CUDA graph.
"""


def page(a, rows, pairs, tables, parts):
    blocks = [HEADER.rstrip(), about(a, tables)]
    if a.dry_run:
        blocks.insert(1, f"**A dry run of the script on `{a.backend}`, at tiny sizes: not a result.**")
    if rows:
        cells = [[fixture, form, f"{apart:.2g}"] for fixture, form, apart in rows]
        asked = f"Largest difference from the f64 oracle, as a share of the largest logit; at most {LOGITS:g} is asked."
        table = table_of.columns(["fixture", "form", "difference"], cells)
        blocks += ["## Logits of the official fixtures", asked, table]
    if pairs:
        step, got, expected = pairs[-1]
        apart = f"losses differ by {worst_loss(pairs):.2g} of their size at most ({LOSSES:g} is asked)"
        ends = f"at step {step} {got:.5f} and {expected:.5f}"
        said = f"{len(pairs)} steps on the device and on the processor, with one seed: {apart}; {ends}."
        blocks += ["## A short training run", said]
    for what, table in tables.items():
        for size, seen in table.items():
            if seen:
                commands = "\n".join(f"$ {got['command']}" for got in seen.values())
                blocks += [f"## {what}, {size}", speed_table(seen), f"```console\n{commands}\n```"]
    left = [f"- `{shown}`: {why}" for part in parts for shown, why in part.left_out]
    if left:
        blocks += ["## Left out", "\n".join(left)]
    return "\n\n".join(blocks) + "\n"


def wrong(rows, pairs, parts):
    """What is not as exact as was asked, or not known to be."""
    found = [f"{fixture}, {form}: logits differ by {apart:.2g}" for fixture, form, apart in rows if not apart <= LOGITS]
    if pairs and not worst_loss(pairs) <= LOSSES:
        found.append(f"losses differ by {worst_loss(pairs):.2g}")
    exact = [part for part in parts if part.name in ("logits", "losses")]
    found += [f"{shown}: {why}" for part in exact for shown, why in part.left_out if shown.startswith("dragon ")]
    return found


def arguments():
    p = argparse.ArgumentParser(prog="gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--backend", choices=["cuda", "wgpu", "cpu"], help="backend (cuda; wgpu in a dry run)")
    whole = sum(PARTS.values())
    p.add_argument("--budget", type=int, help=f"seconds for all parts ({whole}; {4 * whole} in a dry run, whose device is slow)")
    p.add_argument("--only", action="append", choices=PARTS, help="may repeat")
    p.add_argument("--out", type=pathlib.Path, help="page to write (docs/performance_gpu.md)")
    p.add_argument("--commit", default="unknown", help="commit of the program, where git does not say it")
    p.add_argument("--dry-run", action="store_true", help="tiny sizes, to see that all runs; no result")
    a = p.parse_args()
    a.backend = a.backend or ("wgpu" if a.dry_run else "cuda")
    a.budget = a.budget or (4 * whole if a.dry_run else whole)
    a.out = a.out or (HOME / "performance_gpu-dry-run.md" if a.dry_run else ROOT / "docs/performance_gpu.md")
    return a


def main():
    a = arguments()
    place, ends, parts = Place(a), time.monotonic(), []
    rows, pairs, tables = [], [], {}
    wanted = [name for name in PARTS if name in (a.only or PARTS)]
    for name in wanted:
        ends += a.budget * PARTS[name] / sum(PARTS[other] for other in wanted)
        part = Part(name, ends, place)
        parts.append(part)
        print(f"{name}: {part.seconds():.0f} s", flush=True)
        if name == "logits":
            rows = logits(part, a)
        elif name == "losses":
            pairs = losses(part, a)
        else:
            tables[name] = speeds(part, a)
        a.out.write_text(page(a, rows, pairs, tables, parts))
    print(f"written: {a.out}")
    if found := wrong(rows, pairs, parts):
        sys.exit("\n".join(found))


main()
