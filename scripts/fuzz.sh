#!/usr/bin/env bash
# Every fuzz target for some seconds each, one after the other; prints a table. Needs a nightly compiler and cargo-fuzz.
#
#     scripts/fuzz.sh [SECONDS] [TARGET...]
#
# New inputs go to fuzz/found/, which is not kept; FUZZ_KEEP=1 puts a smallest set with the same coverage into
# fuzz/corpus/, which the stable tests replay.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds="${1:-60}"
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd fuzz/fuzz_targets && ls ./*.rs | sed 's|^\./||; s|\.rs$||')
builds="${FUZZ_TARGET_DIR:-${CARGO_TARGET_DIR:-$PWD/fuzz/target}}"
host="$(rustc +nightly -vV | sed -n 's/^host: //p')"

# Without a sanitizer: what is looked for are panics, overflows, hangs and memory, and no code of ours is unsafe here.
cargo +nightly fuzz build -s none --target-dir "$builds"
programs="$builds/$host/release"

mkdir -p fuzz/found fuzz/artifacts
row() { printf '%-12s %14s %8s %8s %9s %8s\n' "$@"; }
row target executions seconds crashes peak-RSS corpus
failed=0
for target in "${targets[@]}"; do
    found="fuzz/found/$target" artifacts="fuzz/artifacts/$target/" log="fuzz/found/$target.log"
    mkdir -p "$found" "$artifacts" "fuzz/corpus/$target"
    seeds=("fuzz/corpus/$target")
    [ ! -d "attacks/$target" ] || seeds+=("attacks/$target")
    [ "$target" != burnpack ] || seeds+=(attacks/model attacks/state)
    options=(-rss_limit_mb=1024 -malloc_limit_mb=512 -timeout=10 -max_len=16384 -artifact_prefix="$artifacts")
    crashes=0
    nice -n 10 "$programs/$target" "${options[@]}" -max_total_time="$seconds" -print_final_stats=1 \
        "$found" "${seeds[@]}" > "$log" 2>&1 || crashes=1
    stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -n 1; }
    row "$target" "$(stat number_of_executed_units)" "$seconds" "$crashes" "$(stat peak_rss_mb) MB" \
        "$(find "$found" -type f | wc -l)"
    [ "$crashes" -eq 0 ] || { failed=1; grep -a -m 3 'panicked at\|ERROR\|SUMMARY' -A 1 "$log" || true; }
    if [ -n "${FUZZ_KEEP:-}" ] && [ "$crashes" -eq 0 ]; then
        kept="$(mktemp -d)"
        "$programs/$target" -merge=1 -max_len=4096 "$kept" "fuzz/corpus/$target" "$found" "${seeds[@]}" >> "$log" 2>&1
        # The smallest files of the set: enough to replay, little enough to keep.
        find "fuzz/corpus/$target" -type f ! -name sound -delete
        find "$kept" -type f -printf '%s %p\n' | sort -n | awk -v most=16000 '{ sum += $1; if (sum > most) exit; print $2 }' \
            | xargs -r -I{} cp {} "fuzz/corpus/$target/"
        rm -rf "$kept"
    fi
done
exit "$failed"
