#!/usr/bin/env bash
# Whether the root of the repository holds anything that nobody meant to be there: a core dump, a fuzzer's finding, a note.
# What git ignores (target/, runs/) does not count.
#
#     scripts/root_files.sh      # ends with 1 and the names, if there are any
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

known=(.ci .gitignore CHANGELOG.md CONTRIBUTING.md Cargo.lock Cargo.toml LICENSE-APACHE LICENSE-MIT README.md attacks
    clippy.toml config crates deny.toml docs examples fuzz rustfmt.toml scripts)

unknown="$(git ls-files --cached --others --exclude-standard | cut -d / -f 1 | sort -u \
    | grep -vxF "$(printf '%s\n' "${known[@]}")" || true)"
[ -z "$unknown" ] && exit 0
printf 'unknown at the root (say in scripts/root_files.sh what it is, or remove it):\n%s\n' "$unknown" >&2
exit 1
