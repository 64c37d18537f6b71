#!/usr/bin/env python3
"""Puts deliberate faults into the code, one at a time, and asks the tests whether they see them.

    scripts/mutants.py                      # all of scripts/mutants/*.toml
    scripts/mutants.py kernel train         # those of some files
    scripts/mutants.py kernel -k decoder_y  # those whose name holds a text
    scripts/mutants.py --check              # only whether each still fits the code; nothing is built

A file holds a list of

    [[mutant]]
    name = "the dropout seed is the same in all micro-steps"
    file = "crates/burn_dragon_train/src/step.rs"
    find = "u64::from(micro))"              # stands there once
    replace = "0)"
    test = "-p burn_dragon_language --test whole_trainer"   # arguments of `cargo test`
    caught_by = "a_step_is_what_plain_arithmetic_says"      # a test that fails; part of its name is enough
    # or, for a fault that changes nothing that can be observed:
    equivalent = "why no test can see it"

A mutant is caught if its code compiles and the named test fails. One that does not compile is an error of the list. The
file is put back whatever happens. The exit code is 1 if a mutant lives that is not called equivalent, or one does not fit.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "scripts" / "mutants"
REQUIRED = {"name", "file", "find", "replace"}
KNOWN = REQUIRED | {"test", "caught_by", "equivalent"}


def mutants(crates, part):
    paths = [LISTS / f"{crate}.toml" for crate in crates] or sorted(LISTS.glob("*.toml"))
    for path in paths:
        for mutant in tomllib.loads(path.read_text()).get("mutant", []):
            if part in mutant.get("name", ""):
                yield path.stem, mutant


def misfit(mutant):
    """What is wrong with an entry, or None."""
    if missing := REQUIRED - mutant.keys():
        return f"lacks {', '.join(sorted(missing))}"
    if unknown := mutant.keys() - KNOWN:
        return f"has unknown keys: {', '.join(sorted(unknown))}"
    if "equivalent" not in mutant and not {"test", "caught_by"} <= mutant.keys():
        return "has neither test and caught_by nor equivalent"
    path = ROOT / mutant["file"]
    if not path.is_file():
        return f"{mutant['file']} is no file"
    times = path.read_text().count(mutant["find"])
    return None if times == 1 else f"`find` stands {times} times in {mutant['file']}"


def judge(mutant, timeout):
    """One word on a mutant, and what there is to see."""
    path = ROOT / mutant["file"]
    original = path.read_text()
    try:
        path.write_text(original.replace(mutant["find"], mutant["replace"]))
        built = cargo(mutant, ["--no-run"], timeout)
        if built.returncode != 0:
            return "does not compile", built.stderr[-2000:]
        try:
            ran = cargo(mutant, ["--no-fail-fast"], timeout)
        except subprocess.TimeoutExpired:
            return "caught", "by the time limit"
        failed = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED", ran.stdout, re.M)
        if ran.returncode == 0:
            return "lives", ""
        if any(mutant.get("caught_by", "") in name for name in failed):
            return "caught", ", ".join(failed)
        return "caught by others", ", ".join(failed) or ran.stderr[-2000:]
    finally:
        path.write_text(original)


def cargo(mutant, more, timeout):
    command = ["cargo", "test", "--locked", "--quiet" if "--no-run" in more else "--color=never"]
    words = shlex.split(mutant["test"])
    split = words.index("--") if "--" in words else len(words)
    command += words[:split] + more + words[split:]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("crates", nargs="*", help="lists to take; all without")
    parser.add_argument("-k", dest="part", default="", help="only mutants whose name holds this")
    parser.add_argument("--check", action="store_true", help="only whether each mutant fits the code")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for one build or one test run")
    asked = parser.parse_args()
    chosen = list(mutants(asked.crates, asked.part))
    counts, started = {}, time.time()
    for crate, mutant in chosen:
        problem = misfit(mutant)
        if problem:
            verdict, seen = "does not fit", problem
        elif asked.check:
            verdict, seen = "fits", ""
        elif "equivalent" in mutant and "test" not in mutant:
            verdict, seen = "equivalent", mutant["equivalent"]
        else:
            verdict, seen = judge(mutant, asked.timeout)
            if verdict == "lives" and "equivalent" in mutant:
                verdict, seen = "equivalent", mutant["equivalent"]
        counts[verdict] = counts.get(verdict, 0) + 1
        if verdict != "fits":
            print(f"{crate:12} {verdict:16} {mutant.get('name')}" + (f"  [{seen}]" if seen else ""), flush=True)
    print(json.dumps({"mutants": len(chosen), "seconds": round(time.time() - started), **counts}))
    bad = {"lives", "does not fit", "does not compile"}
    return 1 if bad & counts.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
