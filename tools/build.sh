# shellcheck shell=bash
# What the scripts share that build a test's programs from published Go modules: sourced by MODULE/build.sh, which has said
# in NAMES which executables there must be, in BINARY which of them is built, and in WANTS what is wanted where it cannot be.
set -euo pipefail

# As in each go.mod.
readonly GO_MINOR=26
# Often enough to see that it goes on, rarely enough for a log that is kept.
readonly PROGRESS_SECONDS=30

module=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
root=$(cd "$module/../.." && pwd)
label=${module##*/}
out=target/$label
cd "$root"

say() { echo "$label: $*"; }

fail() {
    say "$*" >&2
    exit 1
}

complete() {
    local name
    for name in "${NAMES[@]}"; do
        { [ -f "$1/$name" ] && [ -x "$1/$name" ]; } || return 1
    done
}

up_to_date() {
    local file
    complete "$out" || return 1
    for file in "$module"/{build.sh,go.mod,go.sum,*.go} "$root/tests/support/build.sh"; do
        # A module without sources of its own builds another's program.
        [ ! -e "$file" ] || [ "$out/$BINARY" -nt "$file" ] || return 1
    done
}

end_if_up_to_date() {
    if up_to_date; then
        say "$out is up to date"
        exit
    fi
}

# Sets go and go_minor. With --optional WHAT a missing Go is no failure: one line says that WHAT is left out, and all ends.
find_go() {
    # Otherwise Go fetches another Go when go.mod asks for a later one than is installed.
    export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
    go=$(go env GOVERSION 2>/dev/null) || go=
    go_minor=$(sed -n 's/.*go1\.\([0-9]*\).*/\1/p' <<<"$go")
    [ "${go_minor:-0}" -lt "$GO_MINOR" ] || return 0
    # shellcheck disable=SC2153 # It is said by whoever sources this.
    local wants="Go is ${go:-not installed}: $WANTS"
    [ "${1:-}" = --optional ] || fail "$wants"
    if complete "$out"; then
        say "$out is older than its sources and used as it is. $wants"
    else
        say "${2:?what is left out} left out. $wants"
    fi
    exit
}

clean() {
    # make passes on a signal that the terminal has sent already.
    trap '' INT TERM HUP
    [ -z "$build" ] || { kill -- "-$build" && wait "$build"; } 2>/dev/null || true
    rm -rf "$work"
}

# Builds $work/$BINARY with these flags of the linker, from the module or from another package that it pins. $work is next to
# its place, so that what is complete is moved there in one step, and what is not never is there.
compile() {
    mkdir -p "$out"
    work=$(mktemp -d "$out/build.XXXXXX")
    build=
    trap clean EXIT
    trap 'exit 130' INT TERM HUP
    # A process group of its own, so that the compilers stop with it; its temporary files where they are removed with ours.
    set -m
    (
        cd "$module"
        GOTMPDIR="$root/$work" exec go build -v -trimpath -buildvcs=false -ldflags "$1" -o "$root/$work/$BINARY" "${2:-.}"
    ) >"$work/log" 2>&1 &
    build=$!
    set +m
    local next=$PROGRESS_SECONDS fetched compiled
    while kill -0 "$build" 2>/dev/null; do
        if [ "$SECONDS" -ge "$next" ]; then
            next=$((SECONDS + PROGRESS_SECONDS))
            fetched=$(grep -c '^go: downloading' "$work/log") || true
            compiled=$(grep -vc '^go: ' "$work/log") || true
            say "$SECONDS s: $fetched modules fetched, $compiled packages compiled"
        fi
        sleep 1
    done
    wait "$build" || {
        build=
        tail -n 20 "$work/log" >&2
        fail "the build failed"
    }
    build=
}

# Moves what was compiled to its place.
put_in_place() {
    mv -f "$work/$BINARY" "$out/$BINARY"
    say "$out made in $SECONDS s, $(du -m "$out/$BINARY" | cut -f 1) MB"
}
