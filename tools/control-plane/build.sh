#!/usr/bin/env bash
# Builds target/control-plane: etcd, kube-apiserver and kubectl in one directory. Does nothing if it is up to date, or if
# KUBEBUILDER_ASSETS names another directory with them.
#
# With --optional WHAT, a missing Go is not an error: it prints that WHAT is skipped.
set -euo pipefail

readonly NAMES=(etcd kube-apiserver kubectl)
readonly BINARY=kubernetes
readonly WANTS="install Go 1.26 or later, or set KUBEBUILDER_ASSETS"
# shellcheck source=tools/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../build.sh"

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    complete "$KUBEBUILDER_ASSETS" ||
        fail "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS must be a directory of three executables: ${NAMES[*]}"
    say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS is used"
    exit
fi

end_if_up_to_date
find_go "$@"
# With the new JSON library of Go 1.27, Kubernetes serves a corrupt /openapi/v2, and kubectl skips its validation.
[ "$go_minor" -lt 27 ] || export GOEXPERIMENT=nojsonv2

# kubectl cannot parse the version of a server that was built without one.
version=$(sed -n 's/^\tk8s\.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$module/go.mod")
IFS=. read -r major minor _ <<<"${version#v}"
variables=k8s.io/component-base/version
flags="-s -w -X $variables.gitVersion=$version -X $variables.gitMajor=$major -X $variables.gitMinor=$minor"

say "building $version with $go: the first build takes 5 to 8 minutes on 2 cores and 4 GB of disk, later builds take seconds"
compile "$flags"
for name in "${NAMES[@]}"; do
    ln -sfn "$BINARY" "$out/$name"
done
put_in_place
