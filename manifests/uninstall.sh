#!/usr/bin/env bash
# Removes the webhook, whichever of these manifests installed it, and can be repeated after an interruption. Run it with
# `make uninstall`. COMPONENTS names the components that it was installed with. ClusterProfiles and their definition stay.
# Requires only kubectl.
set -euo pipefail

readonly NAME=clusterprofile-webhook
readonly DEFINITION=clusterprofiles.multicluster.x-k8s.io
# Timeout of each deletion. A Pod may take a minute to stop.
readonly TIMEOUT=${TIMEOUT:-180s}

manifests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "uninstall: $*"; }

command -v kubectl >/dev/null || {
    echo "uninstall: kubectl is not installed" >&2
    exit 1
}

components=
for component in ${COMPONENTS:-}; do
    components+="${components:+, }manifests/components/$component"
done

remove() { kubectl delete --ignore-not-found --timeout="$TIMEOUT" -k "$1"; }

say "cluster of kubectl context $(kubectl config current-context)"

# First, while the Pods still serve: without these, the API server calls no webhook, so the next deletions block no writes.
say "removing the webhook configurations"
remove "$manifests/base/webhooks"

# ClusterProfiles can be listed only if they are defined. If the request fails, the script stops.
profiles=
defined=$(kubectl get customresourcedefinition "$DEFINITION" --ignore-not-found --output name)
if [ -n "$defined" ]; then
    profiles=$(kubectl get "$DEFINITION" --namespace "$NAME" --output name)
fi

say "removing everything else"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$manifests" "$work/manifests"
cat >"$work/kustomization.yaml" <<END
resources:
- manifests/base
components: [$components]
END
if [ -n "$profiles" ]; then
    say "keeping the namespace $NAME, which contains ClusterProfiles"
    cat >>"$work/kustomization.yaml" <<END
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
fi
remove "$work"
say "done; ClusterProfiles and their definition are unchanged"
