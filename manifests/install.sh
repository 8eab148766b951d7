#!/usr/bin/env bash
# Installs the webhook with an image that the cluster can pull, and waits until it is armed: `make install IMAGE=NAME` runs
# it. Run again, it upgrades. kubectl is all that it wants, and no file of the checkout is changed.
set -euo pipefail

readonly NAME=clusterprofile-webhook
readonly DEFINITION=clusterprofiles.multicluster.x-k8s.io
# For each thing that is waited for: a slow registry takes a minute, and a Pod that goes 15 s.
readonly TIMEOUT=${TIMEOUT:-180s}

manifests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image=${1:-}

say() { echo "install: $*"; }

fail() {
    echo "install: $*" >&2
    exit 1
}

[ -n "$image" ] || fail "an image must be named: make install IMAGE=registry.example/$NAME:0.1.0"
# It becomes part of a manifest.
[[ $image =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] || fail "IMAGE must be the name of an image, not \"$image\""
command -v kubectl >/dev/null || fail "kubectl is missing"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$manifests" "$work/manifests"
cat >"$work/kustomization.yaml" <<END
resources:
- manifests/base
patches:
- target:
    kind: Deployment
  patch: |-
    - op: replace
      path: /spec/template/spec/containers/0/image
      value: "$image"
END

say "into the cluster of kubectl's context $(kubectl config current-context)"

# A hub has the definition from its cluster manager, which keeps it as its own is: that one stays. The dot tells one without
# our label from none. Where asking fails, nothing is applied.
part_of='{.metadata.labels.app\.kubernetes\.io/part-of}.'
owner=$(kubectl get customresourcedefinition "$DEFINITION" --ignore-not-found --output "jsonpath=$part_of")
case $owner in
'' | "$NAME.") kubectl apply -k "$manifests/crd" ;;
*) say "ClusterProfile is defined by somebody else: that stays as it is" ;;
esac
kubectl wait --for=condition=Established --timeout="$TIMEOUT" "customresourcedefinition/$DEFINITION"

say "the webhook, with $image"
kubectl apply -k "$work"

say "waiting until its Pods are ready"
kubectl rollout status --namespace "$NAME" --timeout="$TIMEOUT" "deployment/$NAME" || {
    kubectl get pods --namespace "$NAME" --output wide || true
    kubectl get events --namespace "$NAME" --field-selector type=Warning || true
    kubectl logs --namespace "$NAME" --selector "app.kubernetes.io/name=$NAME" --prefix --tail=5 || true
    fail "not every Pod became ready within $TIMEOUT; above is what is known of them. Where none was before, nothing is refused
meanwhile; else those that were there go on. ErrImagePull: can the cluster pull $image, and has it such an image for its nodes'
CPUs? Then run this again, or \`make uninstall\`"
}

say "waiting until it is armed: until it was seen to deny, it lets pass what it cannot review"
kubectl wait --for=jsonpath='{.webhooks[0].failurePolicy}'=Fail --timeout="$TIMEOUT" "validatingwebhookconfiguration/$NAME" || {
    kubectl logs --namespace "$NAME" --selector "app.kubernetes.io/name=$NAME" --prefix --tail=5 || true
    fail "not armed within $TIMEOUT; its log says why (above, or kubectl logs --namespace $NAME deployment/$NAME). Most often the
API server does not reach the Pods' port 8443. Meanwhile nothing is refused; it goes on trying by itself"
}
say "armed: from now on ClusterProfiles are reviewed"
