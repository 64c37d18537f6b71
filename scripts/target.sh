#!/usr/bin/env bash
# Where cargo puts what it builds. Scripts source this before they change their folder: a relative CARGO_TARGET_DIR is meant
# from where it was typed, as cargo means it.
#
#     source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
#     cd ...                     # into the repository
#     dragon="$(released dragon)"

for name in CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR; do
    case "${!name:-}" in
        '' | /*) ;;
        *) export "$name=$PWD/${!name}" ;;
    esac
done
unset name

# The folder of all builds, absolute: CARGO_TARGET_DIR, what .cargo/config.toml says, or target/.
target_dir() {
    cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# The path of a program in the folder of a profile, whether it is built or not.
built() { # FOLDER PROGRAM
    local folder
    folder="$(target_dir)" && [ -n "$folder" ] || return 1 # cargo has said why
    printf '%s/%s%s/%s\n' "$folder" "${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}" "$1" "$2"
}

# The path of a program of the release profile.
released() { # PROGRAM
    built release "$1"
}
