#!/usr/bin/env bash
# On a machine with a GPU: exactness, speed beside PyTorch, memory; writes docs/performance_gpu.md. Under 8 minutes. See --help, and:
#
#   DRAGON_GPU_DRAGON  the program (also as .xz), carried from another machine; else it is built, without any LLVM
#   DRAGON_GPU_PYTHON  a Python that has torch (python3); without torch PyTorch is left out, and the page says so
#   DRAGON_GPU_DIR     where runs are made and tuned kernels are kept for the next time, outside the repository
#   DRAGON_FIXTURES    the official fixtures; without them that part is left out
#   CUDA_PATH          where CUDA's headers are, which kernels are compiled with (/usr/local/cuda)
#
# To carry: scripts/gpu.sh --build FILE writes the stripped program.
# A look at all of it without a GPU, in minutes, on lavapipe, written where cargo builds: scripts/gpu.sh --dry-run
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export DRAGON_GPU_DIR="${DRAGON_GPU_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/burn_dragon_gpu}"

build() { # FEATURES
    cargo build --config scripts/cuda/no-llvm.toml --release --locked -p burn_dragon_cli --bin dragon --features "$1"
    DRAGON_GPU_DRAGON="$(released dragon)"
    export DRAGON_GPU_DRAGON
}

if [ "${1:-}" = --build ]; then
    build cuda-nvrtc,gpu-cache
    strip -o "${2:?scripts/gpu.sh --build FILE}" "$DRAGON_GPU_DRAGON"
    exit
fi
case " $* " in
    *' --help '* | *' -h '*) ;;
    *' --dry-run '*) [ -n "${DRAGON_GPU_DRAGON:-}" ] || build wgpu,gpu-cache ;;
    *) [ -n "${DRAGON_GPU_DRAGON:-}" ] || build cuda-nvrtc,gpu-cache ;;
esac
exec "${DRAGON_GPU_PYTHON:-python3}" scripts/gpu.py "$@"
