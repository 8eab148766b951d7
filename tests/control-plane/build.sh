#!/usr/bin/env bash
# Makes target/control-plane: etcd, kube-apiserver and kubectl in one directory, as KUBEBUILDER_ASSETS means it. Does
# nothing when that is up to date, or when KUBEBUILDER_ASSETS is set, which wins.
#
# With --optional WHAT a missing Go is no failure: one line says that WHAT is left out.
set -euo pipefail

readonly NAMES=(etcd kube-apiserver kubectl)
# As in go.mod.
readonly GO_MINOR=26
readonly WANTS="install Go 1.$GO_MINOR or later, or set KUBEBUILDER_ASSETS"
# Often enough to see that it goes on, rarely enough for a log that is kept.
readonly PROGRESS_SECONDS=30

say() { echo "control-plane: $*"; }

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

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    complete "$KUBEBUILDER_ASSETS" ||
        fail "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS must be a directory of three executables: ${NAMES[*]}"
    say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS is used"
    exit
fi

module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$module/../.." && pwd)
out=target/control-plane
cd "$root"

up_to_date() {
    local file
    complete "$out" || return 1
    for file in build.sh go.mod go.sum main.go; do
        [ "$out/kubernetes" -nt "$module/$file" ] || return 1
    done
}

if up_to_date; then
    say "$out is up to date"
    exit
fi

# Otherwise Go fetches another Go when go.mod asks for a later one than is installed.
export GOTOOLCHAIN=local
go=$(go env GOVERSION 2>/dev/null) || go=
go_minor=$(sed -n 's/.*go1\.\([0-9]*\).*/\1/p' <<<"$go")
if [ "${go_minor:-0}" -lt "$GO_MINOR" ]; then
    wants="Go is ${go:-not installed}: $WANTS"
    [ "${1:-}" = --optional ] || fail "$wants"
    if complete "$out"; then
        say "$out is older than its sources and used as it is. $wants"
    else
        say "${2:?what is left out} left out. $wants"
    fi
    exit
fi

export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
# With the new JSON library of Go 1.27 Kubernetes serves a corrupt /openapi/v2, and kubectl validates nothing.
[ "$go_minor" -lt 27 ] || export GOEXPERIMENT=nojsonv2

# kubectl cannot parse the version of a server that was built without one.
version=$(sed -n 's/^\tk8s\.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$module/go.mod")
IFS=. read -r major minor _ <<<"${version#v}"
variables=k8s.io/component-base/version
flags="-s -w -X $variables.gitVersion=$version -X $variables.gitMajor=$major -X $variables.gitMinor=$minor"

mkdir -p "$out"
# Next to its place, so that what is complete is moved there in one step, and what is not never is there.
work=$(mktemp -d "$out/build.XXXXXX")
build=
clean() {
    # make passes on a signal that the terminal has sent already.
    trap '' INT TERM HUP
    [ -z "$build" ] || { kill -- "-$build" && wait "$build"; } 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

say "building $version with $go: the first time that takes 5 to 8 minutes on 2 cores and 4 GB of disk, later seconds"
# A process group of its own, so that the compilers stop with it; its temporary files where they are removed with ours.
set -m
(
    cd "$module"
    GOTMPDIR="$root/$work" exec go build -v -trimpath -buildvcs=false -ldflags "$flags" -o "$root/$work/kubernetes" .
) >"$work/log" 2>&1 &
build=$!
set +m
next=$PROGRESS_SECONDS
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

for name in "${NAMES[@]}"; do
    ln -sfn kubernetes "$out/$name"
done
mv -f "$work/kubernetes" "$out/kubernetes"
say "$out made in $SECONDS s, $(du -m "$out/kubernetes" | cut -f 1) MB"
