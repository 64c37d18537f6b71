#!/usr/bin/env bash
# Kills a training with SIGKILL, half of the time inside a save, resumes it, and asks each time what was lost.
#
#     scripts/kill_storm.sh [KILLS] [SEED]      # 10 kills, seed 1; ends with 1 if anything was wrong
#
#   DRAGON      the program; else that of the release profile, in CARGO_TARGET_DIR or target/, built if it is not there
#   STORM_DIR   where runs are kept, on the disk that is asked; else a temporary folder, removed when all went well
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dragon="${DRAGON:-$(released dragon)}"
[ -x "$dragon" ] || cargo build --release --locked -p burn_dragon_cli
exec python3 scripts/kill_storm.py "$(realpath "$dragon")" "${1:-10}" "${2:-1}"
