#!/usr/bin/env bash
# This project and PyTorch on the same work, in turn; writes docs/performance.md. See --help, and:
#
#   DRAGON_BENCH_TEXT    a text to train on and to read (tiny Shakespeare); without it, rows of trained models are left out
#   DRAGON_BENCH_DIR     where PyTorch and the trained models are kept, outside the repository
#   DRAGON_BENCH_PYTHON  a Python that has torch; else one is made in DRAGON_BENCH_DIR
#   DRAGON_BENCH_DRAGON  the program; else it is built
#   DRAGON_BENCH_THREADS threads on both sides (2)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export DRAGON_BENCH_DIR="${DRAGON_BENCH_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/burn_dragon_bench}"
export DRAGON_BENCH_PYTHON="${DRAGON_BENCH_PYTHON:-$DRAGON_BENCH_DIR/venv/bin/python}"
mkdir -p "$DRAGON_BENCH_DIR"

if ! "$DRAGON_BENCH_PYTHON" -c 'import torch' 2>/dev/null; then
    printf 'no torch for %s: installing it into %s/venv\n' "$DRAGON_BENCH_PYTHON" "$DRAGON_BENCH_DIR" >&2
    python3 -m venv "$DRAGON_BENCH_DIR/venv"
    export DRAGON_BENCH_PYTHON="$DRAGON_BENCH_DIR/venv/bin/python"
    "$DRAGON_BENCH_PYTHON" -m pip install --quiet torch setuptools
fi
if [ -z "${DRAGON_BENCH_DRAGON:-}" ]; then
    cargo build --release --locked -p burn_dragon_cli --bin dragon
    DRAGON_BENCH_DRAGON="$(released dragon)"
    export DRAGON_BENCH_DRAGON
fi
# What is compared must be the model: all forms of the baseline are one function, compiled or not.
compile=(--compile)
case " $* " in *' --no-compile '* | *' --render '*) compile=() ;; esac
"$DRAGON_BENCH_PYTHON" scripts/pytorch_baseline.py check "${compile[@]}" >/dev/null
DRAGON_BENCH_TARGET="$(target_dir)" exec "$DRAGON_BENCH_PYTHON" scripts/compare_pytorch.py "$@"
