#!/usr/bin/env bash
# Builds target/previous/clusterprofile-webhook: the previous release, from which `make prove-rollout` upgrades, with its
# manifests in target/previous/source. Does nothing if it is up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Until there is a tag: the last commit whose replicas do not prove themselves to the leader's probe.
readonly COMMIT=2f5ad8eb65947e93599cf53d271c0ee3c03f8729
readonly OUT=target/previous
readonly BINARY=$OUT/clusterprofile-webhook

if [ -x "$BINARY" ] && [ "$(cat "$OUT/commit" 2>/dev/null)" = "$COMMIT" ]; then
    exit
fi
git cat-file -e "$COMMIT^{commit}" 2>/dev/null || {
    echo "previous: commit $COMMIT is missing: fetch the whole history" >&2
    exit 1
}

echo "previous: building ${COMMIT:0:7}: one to four minutes, once"
rm -rf "$OUT/source"
mkdir -p "$OUT/source"
git archive "$COMMIT" | tar -x -C "$OUT/source"
# The same profile as the replicas of the proof.
cargo build --locked --quiet --manifest-path "$OUT/source/Cargo.toml" --target-dir "$OUT/build"
cp -f "$OUT/build/debug/clusterprofile-webhook" "$BINARY"
rm -rf "$OUT/build"
echo "$COMMIT" >"$OUT/commit"
