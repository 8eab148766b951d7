#!/usr/bin/env bash
# Installs or upgrades the webhook, with an image that the cluster can pull, and waits until it is armed. Run it with
# `make install IMAGE=NAME`. COMPONENTS names directories of manifests/components. Requires only kubectl, and changes no file of the
# checkout.
set -euo pipefail

readonly NAME=clusterprofile-webhook
readonly DEFINITION=clusterprofiles.multicluster.x-k8s.io
# Timeout of each wait. A slow registry takes a minute, and a stopping Pod 15 s.
readonly TIMEOUT=${TIMEOUT:-180s}

manifests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image=${1:-}

say() { echo "install: $*"; }

fail() {
    echo "install: $*" >&2
    exit 1
}

[ -n "$image" ] || fail "no image given; run: make install IMAGE=registry.example/$NAME:0.1.0"
# The name is inserted into a manifest.
[[ $image =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] || fail "IMAGE is not the name of an image: \"$image\""
command -v kubectl >/dev/null || fail "kubectl is not installed"

components=
for component in ${COMPONENTS:-}; do
    [ -f "$manifests/components/$component/kustomization.yaml" ] ||
        fail "COMPONENTS: no component \"$component\"; there are: $(cd "$manifests/components" && echo *)"
    components+="${components:+, }manifests/components/$component"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$manifests" "$work/manifests"
cat >"$work/kustomization.yaml" <<END
resources:
- manifests/base
components: [$components]
patches:
- target:
    kind: Deployment
  patch: |-
    - op: replace
      path: /spec/template/spec/containers/0/image
      value: "$image"
END

say "cluster of kubectl context $(kubectl config current-context)"

# On most hubs the cluster manager owns the definition, and it stays unchanged. The dot distinguishes a definition without our
# label from a missing one. If the request fails, the script stops.
part_of='{.metadata.labels.app\.kubernetes\.io/part-of}.'
owner=$(kubectl get customresourcedefinition "$DEFINITION" --ignore-not-found --output "jsonpath=$part_of")
case $owner in
'' | "$NAME.") kubectl apply -k "$manifests/crd" ;;
*) say "keeping the existing CustomResourceDefinition, which is not from these manifests" ;;
esac
kubectl wait --for=condition=Established --timeout="$TIMEOUT" "customresourcedefinition/$DEFINITION"

say "applying the webhook with image $image"
kubectl apply -k "$work"

say "waiting until the Pods are ready"
kubectl rollout status --namespace "$NAME" --timeout="$TIMEOUT" "deployment/$NAME" || {
    kubectl get pods --namespace "$NAME" --output wide || true
    kubectl get events --namespace "$NAME" --field-selector type=Warning || true
    kubectl logs --namespace "$NAME" --selector "app.kubernetes.io/name=$NAME" --prefix --tail=5 || true
    fail "not every Pod is ready after $TIMEOUT; see the Pods, Events and logs above. A new installation blocks no writes yet; in
an upgrade the old Pods keep serving. Common causes: with ErrImagePull, the cluster cannot pull $image, or it has no variant for
the CPUs of the nodes; with \"did not respond in time\" in the logs, the NetworkPolicy does not allow the port of the API
server, see docs/platforms.md. Correct the cause and run this again, or run \`make uninstall\`"
}

say "waiting until the webhook is armed; until then, writes pass if it cannot be called"
kubectl wait --for=jsonpath='{.webhooks[0].failurePolicy}'=Fail --timeout="$TIMEOUT" "validatingwebhookconfiguration/$NAME" || {
    # The leader logs the cause once. The newest lines are reviews of its own probe.
    kubectl logs --namespace "$NAME" --selector "app.kubernetes.io/name=$NAME" --prefix --tail=-1 | grep 'not armed' || true
    fail "not armed after $TIMEOUT. Writes still pass if the webhook cannot be called. The log above shows the cause, if the leader
found one. Common causes: audit is on, or the API server cannot reach the port of the Pods; docs/platforms.md shows what to set on
which platform. The webhook keeps trying"
}
say "done: the webhook is armed"
