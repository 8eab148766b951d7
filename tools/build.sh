# shellcheck shell=bash
# Builds a program that tests use from published Go modules. MODULE/build.sh sources this file after it has set:
#   NAMES   the executables that target/MODULE must have
#   BINARY  the one of them that is compiled
#   WANTS   what to do if Go is missing or too old
set -euo pipefail

# As in each go.mod.
readonly GO_MINOR=26
# Shows progress without filling the log of CI.
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
    for file in "$module"/{build.sh,go.mod,go.sum,*.go} "$root/tools/build.sh"; do
        # A module without its own sources builds the program of another module.
        [ ! -e "$file" ] || [ "$out/$BINARY" -nt "$file" ] || return 1
    done
}

end_if_up_to_date() {
    if up_to_date; then
        say "$out is up to date"
        exit
    fi
}

# Sets go and go_minor. If Go is missing or too old, this fails; with --optional WHAT, it prints that WHAT is skipped, and
# exits with 0.
find_go() {
    # Otherwise Go downloads another toolchain if go.mod requires a later version than the installed one.
    export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
    go=$(go env GOVERSION 2>/dev/null) || go=
    go_minor=$(sed -n 's/.*go1\.\([0-9]*\).*/\1/p' <<<"$go")
    [ "${go_minor:-0}" -lt "$GO_MINOR" ] || return 0
    # shellcheck disable=SC2153 # The script that sources this one sets WANTS.
    local wants="Go is ${go:-not installed}: $WANTS"
    [ "${1:-}" = --optional ] || fail "$wants"
    if complete "$out"; then
        say "$out is older than its sources and used as it is. $wants"
    else
        say "${2:?} skipped. $wants"
    fi
    exit
}

clean() {
    # make passes on a signal that the terminal has already sent.
    trap '' INT TERM HUP
    [ -z "$build" ] || { kill -- "-$build" && wait "$build"; } 2>/dev/null || true
    rm -rf "$work"
}

# compile LDFLAGS [PACKAGE]: compiles $work/$BINARY from the module, or from PACKAGE, which it pins. $work is on the same
# file system as $out, so that put_in_place can rename: an incomplete program is never in $out.
compile() {
    mkdir -p "$out"
    work=$(mktemp -d "$out/build.XXXXXX")
    build=
    trap clean EXIT
    trap 'exit 130' INT TERM HUP
    # Its own process group, so that clean stops the compilers too, and temporary files in $work, so that clean removes them.
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

# Moves the compiled program to $out.
put_in_place() {
    mv -f "$work/$BINARY" "$out/$BINARY"
    say "$out made in $SECONDS s, $(du -m "$out/$BINARY" | cut -f 1) MB"
}
