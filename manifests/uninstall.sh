#!/usr/bin/env bash
# Removes the webhook, however it was installed with these manifests, and what is left of it where that was interrupted:
# `make uninstall` runs it. ClusterProfiles and their definition stay. kubectl is all that it wants.
set -euo pipefail

readonly NAME=clusterprofile-webhook
readonly DEFINITION=clusterprofiles.multicluster.x-k8s.io
# For each deletion: a Pod may take a minute to end.
readonly TIMEOUT=${TIMEOUT:-180s}

manifests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "uninstall: $*"; }

command -v kubectl >/dev/null || {
    echo "uninstall: kubectl is missing" >&2
    exit 1
}

remove() { kubectl delete --ignore-not-found --timeout="$TIMEOUT" -k "$1"; }

say "from the cluster of kubectl's context $(kubectl config current-context)"

# First, and while Pods still answer: without these, nobody is called, and no write is held up by what goes next.
say "its registrations"
remove "$manifests/base/webhooks"

# Only where they are defined can they be asked for; where asking fails, nothing more is deleted.
profiles=
defined=$(kubectl get customresourcedefinition "$DEFINITION" --ignore-not-found --output name)
if [ -n "$defined" ]; then
    profiles=$(kubectl get "$DEFINITION" --namespace "$NAME" --output name)
fi

say "everything else"
if [ -z "$profiles" ]; then
    remove "$manifests/base"
else
    say "the namespace $NAME stays: there are ClusterProfiles in it"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    ln -s "$manifests" "$work/manifests"
    cat >"$work/kustomization.yaml" <<END
resources:
- manifests/base
patches:
- target:
    kind: Namespace
  patch: |-
    apiVersion: v1
    kind: Namespace
    metadata:
      name: any
    \$patch: delete
END
    remove "$work"
fi
say "done: ClusterProfiles and their definition are as before"
