#!/usr/bin/env python3
"""Whether every crate can be packed and sent to a registry: packages.py

A crate must hold what it compiles in: no `include_str!`, `include_bytes!`, `include!` or `#[path]` may leave its folder. A
family's default configuration and its presets are therefore in its crate (`crates/burn_dragon_FAMILY/config/`), and the same bytes are
in `config/FAMILY/`, where people look for them. Then `cargo package` packs all crates together, without building them.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.compile(r'(?:include(?:_str|_bytes)?!\s*\(|#\[path\s*=)\s*"([^"]+)"')


def leaving(crate):
    """Files that a crate's sources name and that are not in it."""
    for source in sorted(crate.glob("src/**/*.rs")):
        for name in NAMED.findall(source.read_text()):
            file = (source.parent / name).resolve()
            if not file.is_relative_to(crate):
                yield f"{source.relative_to(ROOT)}: {name} is not in the crate"


def unlike(crate):
    """Configurations of a crate that are not those at the root."""
    family = crate.name.removeprefix("burn_dragon_")
    for ours in sorted(crate.glob("config/**/*.toml")):
        theirs = ROOT / "config" / family / ours.relative_to(crate / "config")
        if not theirs.is_file() or theirs.read_bytes() != ours.read_bytes():
            yield f"{ours.relative_to(ROOT)} and {theirs.relative_to(ROOT)} differ: copy one over the other"


def packed():
    """What `cargo package` has against the crates."""
    words = ["cargo", "package", "--workspace", "--exclude", "burn_dragon_testing", "--no-verify", "--allow-dirty", "--locked"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    for line in done.stderr.splitlines():
        if line.startswith("warning:") and not line.startswith("warning: ignoring test "):
            yield line
    if done.returncode != 0:
        yield done.stderr


def main():
    crates = sorted(path.parent for path in ROOT.glob("crates/*/Cargo.toml"))
    wrong = [line for crate in crates for check in (leaving, unlike) for line in check(crate)]
    wrong += packed()
    print("\n".join(wrong) if wrong else f"{len(crates) - 1} crates can be packed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
