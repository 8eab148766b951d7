#!/usr/bin/env bash
# Builds the image of Containerfile with podman, buildah or docker. Pushes it if its name has a slash, because it then names a
# registry. Run it with `make image IMAGE=NAME [PLATFORMS=linux/amd64,linux/arm64]`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

image=${1:-}
platforms=${2:-}

fail() {
    echo "image: $*" >&2
    exit 1
}

[ -n "$image" ] || fail "no name given; run: make image IMAGE=registry.example/clusterprofile-webhook:0.1.0"
engine=
for engine in podman buildah docker ''; do
    ! command -v "$engine" >/dev/null || break
done
[ -n "$engine" ] || fail "podman, buildah or docker is required"

# For reproducible images.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
revision=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
build=(build --file Containerfile --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" --build-arg "REVISION=$revision"
    --build-arg "VERSION=$version" ${platforms:+--platform "$platforms"})

pushed() {
    if [[ $image == */* ]]; then "$@"; else echo "image: not pushed, because $image names no registry; the image is only on this machine"; fi
}

echo "image: building $image with $engine from revision $revision${platforms:+ for $platforms}"
case $engine in
docker)
    docker "${build[@]}" --tag "$image" .
    pushed docker push "$image"
    ;;
*)
    # podman and buildah of Debian 12 do not set BUILDPLATFORM. docker sets it itself.
    case $(uname -m) in x86_64) cpu=amd64 ;; aarch64) cpu=arm64 ;; *) cpu=$(uname -m) ;; esac
    build+=(--timestamp "$SOURCE_DATE_EPOCH" --build-arg "BUILDPLATFORM=linux/$cpu")
    if [ -z "$platforms" ]; then
        "$engine" "${build[@]}" --tag "$image" .
        pushed "$engine" push "$image"
    else
        # Images would be added to an existing list.
        "$engine" manifest rm "$image" >/dev/null 2>&1 || true
        "$engine" "${build[@]}" --manifest "$image" .
        pushed "$engine" manifest push --all "$image" "docker://$image"
    fi
    ;;
esac
