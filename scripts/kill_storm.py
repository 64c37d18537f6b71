"""The storm of kill_storm.sh: kill_storm.py DRAGON KILLS SEED METHOD."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVERY, STEPS = 20, 400
SETTINGS = f"""model.d_model=32 model.n_neurons=256 model.n_levels=2 model.dropout=0.1
    training.batch_size=2 sequence.block_size=64 training.max_steps={STEPS} training.log_every=1
    sequence.streams.persistent=0.5 sequence.streams.max_context=200 schedule.warmup_steps=5
    evaluation.every=100 evaluation.batches=1 evaluation.sample_every=0 checkpoint.every={EVERY} checkpoint.keep=2
    dataset.train_bytes=60000 dataset.validation_tales=8 generation.max_tokens=8""".split()
FILES = ["model.bpk", "optimizer.bpk", "streams.bpk", "trainer.json"]

dragon, kills, seed, method = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
method, _, ema = method.partition("+")
SETTINGS.append(f"optimizer.method={method}")
if ema:
    assert ema == "ema", f"a method, or METHOD+ema; not +{ema}"
    SETTINGS.append("ema.decay=0.99")
    FILES.append("weights.bpk")
draw = random.Random(seed)
place = Path(tempfile.mkdtemp(prefix="kill_storm_", dir=os.environ.get("STORM_DIR")))


def start(run, resume):
    words = ["--resume", run.name] if resume else [*SETTINGS, "--out", run.name]
    log = open(place / "stderr.txt", "w")
    return subprocess.Popen([dragon, "train", *words], cwd=place, stdout=subprocess.DEVNULL, stderr=log)


def finished(process):
    """Its end was its own: then it must have been a good one."""
    said = (place / "stderr.txt").read_text()
    assert process.returncode == 0, f"exit code {process.returncode}:\n{said}"
    assert "passed over" not in said, said


def names(run):
    folder = run / "checkpoint"
    return os.listdir(folder) if folder.is_dir() else []


class Drafts:
    """Saves that are being made, those apart that an earlier kill left and nobody has swept yet."""

    def __init__(self, run):
        self.folder, self.old = run / "checkpoint", set()
        self.old = self.all()

    def all(self):
        try:
            entries = list(os.scandir(self.folder))
        except FileNotFoundError:
            return set()
        return {(entry.name, entry.inode()) for entry in entries if entry.name.endswith((".tmp", ".aside"))}

    def any(self):
        found = self.all()
        self.old &= found
        return bool(found - self.old)


def newest_verified(run):
    """The step of the newest checkpoint; every one that is visible must be whole."""
    steps = [int(name[5:]) for name in names(run) if re.fullmatch(r"step-\d+", name)]
    for step in steps:
        folder = run / f"checkpoint/step-{step:06}"
        said = subprocess.run([dragon, "verify", folder], capture_output=True, text=True)
        assert said.returncode == 0, f"{folder} is visible and not whole: {said.stdout}{said.stderr}"
    return max(steps, default=0)


def lines(run):
    """What the run told of itself, without the clock; a last line may be cut off."""
    path = run / "metrics.jsonl"
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return [{key: value for key, value in json.loads(line).items() if key != "time"} for line in whole]


def reached(run):
    return max((line["step"] for line in lines(run) if line["kind"] == "train"), default=0)


def begun(run):
    """What changes when a process has begun to train: run.json is replaced."""
    path = run / "run.json"
    return path.stat().st_ino if path.exists() else None


def resumed_at(run):
    steps = [entry["step"] for entry in json.loads((run / "run.json").read_text()).get("resumed_at", [])]
    return steps[-1] if steps else 0


def kill(process, drafts, inside, seconds):
    """Kills at a random moment, or at one inside one of the next saves; whether the process was still there."""
    until = time.monotonic() + draw.uniform(0, seconds)
    saves, lasted = draw.randint(1, 6), 0.0
    while process.poll() is None:
        if not inside and time.monotonic() >= until:
            break
        if inside and drafts.any():
            begun = time.monotonic()
            saves -= 1
            moment = begun + draw.uniform(0, lasted or 0.002)
            while drafts.any() and process.poll() is None and (saves > 0 or time.monotonic() < moment):
                pass
            if saves <= 0:
                break
            lasted = time.monotonic() - begun
        time.sleep(0.0002)
    process.kill()  # SIGKILL; nothing where it is over
    return process.wait() == -9


def storm():
    began = time.monotonic()
    whole = place / "whole"
    process = start(whole, False)
    process.wait()
    finished(process)
    seconds = time.monotonic() - began
    expected = {name: (whole / f"checkpoint/step-{STEPS:06}" / name).read_bytes() for name in FILES}
    done = inside = resumes = again = ends = most_lost = beyond = 0
    runs, resume = 1, False
    while True:
        run = place / f"run{runs}"
        told, before, newest = begun(run), reached(run), newest_verified(run)
        drafts, process = Drafts(run), start(run, resume)
        while process.poll() is None and begun(run) == told:
            time.sleep(0.001)  # before that a new run is not there yet
        if resume and begun(run) != told:
            resumes, again = resumes + (newest > 0), again + (newest == 0)
            step = resumed_at(run) if newest else 0
            assert step == newest, f"resumed at {step}, though {newest} verifies"
            assert step >= before // EVERY * EVERY - EVERY, f"{before - step} steps lost of {before}"
            most_lost, beyond = max(most_lost, before - step), beyond + (before - step > EVERY)
        left = seconds * (1 - newest / STEPS)
        killed = done < kills and kill(process, drafts, inside * 2 <= done, left)
        process.wait()
        if killed:
            done, inside = done + 1, inside + drafts.any()
            resume = True
            continue
        finished(process)
        for name in FILES:
            found = (run / f"checkpoint/step-{STEPS:06}" / name).read_bytes()
            assert found == expected[name], f"{name} differs from the uninterrupted run's"
        assert lines(run) == lines(whole), "metrics.jsonl differs from the uninterrupted run's"
        left_behind = [path for path in run.rglob("*") if path.name.endswith((".tmp", ".aside"))]
        assert not left_behind, left_behind
        ends += 1
        shutil.rmtree(run)
        if done >= kills:
            break
        runs, resume = runs + 1, False
    for what, figure in [
        ("method", method + " and an average of weights" * bool(ema)),
        ("kills", done),
        ("  of them inside a save", inside),
        ("resumes from a verified checkpoint", resumes),
        ("begun again, killed before the first one", again),
        ("runs ended bit-identical", f"{ends} of {runs}"),
        (f"most steps lost (interval {EVERY})", most_lost),
        ("  kills that lost more than one interval", beyond),
        ("seconds of the uninterrupted run", f"{seconds:.1f}"),
        ("seconds in all", f"{time.monotonic() - began:.0f}"),
    ]:
        print(f"{what:<42} {figure}")


try:
    storm()
except (AssertionError, OSError) as miss:
    sys.exit(f"MISS: {miss}\nseed {seed}; the runs are in {place}")
shutil.rmtree(place)
