#!/usr/bin/env bash
# Kills a training with SIGKILL, half of the time inside a save, resumes it, and asks each time what was lost.
#
#     scripts/kill_storm.sh [KILLS] [SEED] [METHOD...]    # 10 kills, seed 1, adamw; ends with 1 if anything was wrong
#
#   METHOD      of [optimizer], with +ema for an average of weights beside it; `all`: every method, half of them with it
#
#   DRAGON      the program; else that of the release profile, in CARGO_TARGET_DIR or target/, built if it is not there
#   STORM_DIR   where runs are kept, on the disk that is asked; else a temporary folder, removed when all went well
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dragon="${DRAGON:-$(released dragon)}"
[ -x "$dragon" ] || cargo build --release --locked -p burn_dragon_cli
kills="${1:-10}" seed="${2:-1}"
methods=("${@:3}")
case "${methods[*]:-adamw}" in
    adamw) methods=(adamw) ;;
    all) methods=(adamw muon+ema schedule_free_adamw lion sgd+ema) ;;
esac
for method in "${methods[@]}"; do
    python3 scripts/kill_storm.py "$(realpath "$dragon")" "$kills" "$seed" "$method"
done
