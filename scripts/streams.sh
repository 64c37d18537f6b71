#!/usr/bin/env bash
# What memory that is carried from window to window is good for; writes docs/results/streams.md and its plots.
#
#     scripts/streams.sh [gutenberg] [needle] [tales] [report]      # all of them unless said
#
# A run or an evaluation that is finished is not made again, and an interrupted run goes on where it stopped.
#
#   DRAGON_DATA_DIR       where gutenberg/ with the four novels is; without it that part is left out
#   DRAGON_STREAMS_DIR    where texts, runs and figures are kept, outside the repository
#   DRAGON_STREAMS_DRAGON the program; else it is built
#   STREAMS_SEEDS         training seeds of the novels ("1 2 3")
#   STREAMS_NOVEL_STEPS   steps of a run on the novels (800)
#   STREAMS_NEEDLE_STEPS  of a run on needles (10000)
#   STREAMS_TALES_STEPS   of a run on tales (7000)
#   STREAMS_NOVEL_BYTES   bytes of War and Peace to validate on (600000)
#   STREAMS_DISTANCES     of the needles (100,200,500,1000,2000,5000,10000,20000)
#   STREAMS_CASES         needles at each distance (64)
#   STREAMS_CARRY         settings that carry memory in training ("sequence.streams.order=in_order")
#   STREAMS_DECAY         settings that let it fade ("model.decay.type=standard"); empty leaves those runs out
#   STREAMS_DOCS          where to write (docs/results)
#
# A look at all of it in minutes:
#   STREAMS_SEEDS=1 STREAMS_NOVEL_STEPS=20 STREAMS_NEEDLE_STEPS=20 STREAMS_TALES_STEPS=20 STREAMS_NOVEL_BYTES=20000 \
#   STREAMS_DISTANCES=100,1000 STREAMS_CASES=4 STREAMS_DOCS=/tmp/streams DRAGON_STREAMS_DIR=/tmp/streams scripts/streams.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

home="${DRAGON_STREAMS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/burn_dragon_streams}"
seeds="${STREAMS_SEEDS:-1 2 3}"
novel_steps="${STREAMS_NOVEL_STEPS:-800}"
needle_steps="${STREAMS_NEEDLE_STEPS:-10000}"
tales_steps="${STREAMS_TALES_STEPS:-7000}"
distances="${STREAMS_DISTANCES:-100,200,500,1000,2000,5000,10000,20000}"
cases="${STREAMS_CASES:-64}"
read -r -a carry <<<"${STREAMS_CARRY-sequence.streams.order=in_order}"
read -r -a decay <<<"${STREAMS_DECAY-model.decay.type=standard}"
docs="${STREAMS_DOCS:-docs/results}"
dragon="${DRAGON_STREAMS_DRAGON:-$(released dragon)}"

# Runs `dragon ARGUMENTS... --json` and keeps its JSON in FILE, unless it is there.
keep() { # FILE ARGUMENTS...
    local file=$1
    shift
    [ -e "$file" ] && return
    printf '%s\n' "dragon $*" >&2
    "$dragon" "$@" --json | tail -n 1 >"$file.part"
    mv "$file.part" "$file"
}

# Refuses what was made with other settings before.
same() { # FILE SETTINGS
    if [ -e "$1" ] && [ "$(cat "$1")" != "$2" ]; then
        printf '%s\nis of other settings; remove what belongs to it, or use another DRAGON_STREAMS_DIR:\n%s\n%s\n' "$1" "$(cat "$1")" "$2" >&2
        exit 1
    fi
    printf '%s\n' "$2" >"$1"
}

# Trains runs/NAME with the settings of CONFIG, or goes on with it.
train() { # NAME CONFIG STEPS SETTINGS...
    local run="$home/runs/$1" config="config/language/$2" steps=$3
    shift 3
    same "$run.settings" "$(cat config/language/base.toml "$config" | sha256sum | cut -c1-16) $steps $*"
    if [ -e "$run/checkpoint/last" ]; then
        keep "$run.json" train --resume "$run"
    elif [ ! -e "$run.json" ]; then
        rm -rf "$run"
        keep "$run.json" train -c "$config" --out "$run" --max-steps "$steps" "$@"
    fi
}

# Evaluates runs/NAME; the figures are figures/FIGURES.json.
evaluate() { # FIGURES NAME ARGUMENTS...
    local figures=$1 name=$2
    shift 2
    same "$home/figures/$figures.settings" "$(cat "$home/runs/$name.settings") $*"
    keep "$home/figures/$figures.json" eval "$home/runs/$name" "$@"
}

# Three novels to learn, a fourth to read: the same streams of text with memory emptied after every 128 bytes (as many as
# a window has) or 2,048, with memory that is never emptied, and with one that fades; and, beside these, whole windows of
# 2,048 bytes, through which gradients reach back all the way.
gutenberg() {
    if [ -z "${DRAGON_DATA_DIR:-}" ]; then
        printf 'DRAGON_DATA_DIR is not set: the novels are left out\n' >&2
        return
    fi
    local texts="$home/texts" kind seed
    python3 scripts/streams.py texts "$DRAGON_DATA_DIR/gutenberg" "$texts" "${STREAMS_NOVEL_BYTES:-600000}"
    for kind in reset ${decay:+reset-decay decay} context; do
        for seed in $seeds; do novel "$kind" "$seed"; done
    done
    for kind in carried long; do novel "$kind" "${seeds%% *}"; done
}

novel() { # KIND SEED
    local name="novel-$1-$novel_steps-s$2" texts="$home/texts" settings memory
    settings=("dataset.paths=[\"$texts/don-quixote.txt\", \"$texts/moby-dick.txt\", \"$texts/pride-and-prejudice.txt\"]"
        "dataset.validation.type=text" "dataset.validation.paths=[\"$texts/war-and-peace.txt\"]" "training.seed=$2")
    case $1 in
        reset) settings+=(sequence.streams.max_context=128) ;;
        context) settings+=(sequence.streams.max_context=2048) ;;
        carried) settings+=(sequence.streams.persistent=1.0) ;;
        decay) settings+=(sequence.streams.persistent=1.0 "${decay[@]}") ;;
        reset-decay) settings+=(sequence.streams.max_context=128 "${decay[@]}") ;;
        long) settings+=(sequence.block_size=2048 training.batch_size=1) ;;
    esac
    train "$name" streams_gutenberg.toml "$novel_steps" "${settings[@]}"
    for memory in carried reset; do
        evaluate "$name.$memory" "$name" --memory "$memory" --by-position --block-size 128
    done
}

# A fact d bytes back: windows against streams, without and with decay; and what a sliding memory forgets.
needle() {
    local kind name settings memory
    local ask=(--needle --distances "$distances" --cases "$cases")
    for kind in window carried ${decay:+window-decay carried-decay through-decay}; do
        name="needle-$kind-$needle_steps"
        settings=(training.seed=1)
        case $kind in carried* | through*) settings+=("${carry[@]}") ;; esac
        case $kind in through*) settings+=(training.batch_size=1 sequence.streams.unroll=4 sequence.streams.backprop=4) ;; esac
        case $kind in *-decay) settings+=("${decay[@]}") ;; esac
        train "$name" needle.toml "$needle_steps" "${settings[@]}"
        evaluate "$name.carried" "$name" "${ask[@]}" --memory carried
        if [ "$kind" = carried ]; then
            evaluate "$name.sliding" "$name" "${ask[@]}" --memory sliding --context-window 1024
            evaluate "$name.reset" "$name" "${ask[@]}" --memory reset
        fi
    done
}

# The embedded tales, in windows shorter than a tale: without memory, with one, and with gradients through it.
tales() {
    local kind name settings memory
    for kind in window carried through; do
        name="tales-$kind-$tales_steps"
        settings=(training.seed=1)
        case $kind in
            carried) settings+=("${carry[@]}") ;;
            through) settings+=("${carry[@]}" training.batch_size=4 sequence.streams.unroll=4 sequence.streams.backprop=4) ;;
        esac
        train "$name" streams_tales.toml "$tales_steps" "${settings[@]}"
        for memory in carried reset; do
            evaluate "$name.$memory" "$name" --memory "$memory" --by-position
        done
    done
}

report() {
    mkdir -p "$docs"
    python3 scripts/streams.py report "$home/figures" "$docs" \
        "novel=$novel_steps" "needle=$needle_steps" "tales=$tales_steps"
}

if [ -z "${DRAGON_STREAMS_DRAGON:-}" ]; then
    cargo build --release --locked -p burn_dragon_cli --bin dragon
fi
mkdir -p "$home/runs" "$home/figures" "$home/texts"
[ $# -gt 0 ] || set -- gutenberg needle tales report
for part in "$@"; do
    case $part in
        gutenberg | needle | tales | report) "$part" ;;
        *)
            printf 'unknown part %s; there are: gutenberg needle tales report\n' "$part" >&2
            exit 2
            ;;
    esac
done
