#!/usr/bin/env bash
# Builds target/cert-manager: cert-manager's controllers and injector in one program, with their CRDs in crds. Does nothing if
# it is up to date.
#
# With --optional WHAT, a missing Go is not an error: it prints that WHAT is skipped.
set -euo pipefail

readonly NAMES=(cert-manager)
readonly BINARY=cert-manager
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tools/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../build.sh"

end_if_up_to_date
find_go "$@"
path=github.com/cert-manager/cert-manager
version=$(sed -n "s|^\t$path \(v[0-9.]*\)\$|\1|p" "$module/go.mod")

say "building $version with $go: the first build takes 2 to 5 minutes on 2 cores and 2 GB of disk, later builds take seconds"
compile '-s -w'
source=$(cd "$module" && go list -m -f '{{.Dir}}' "$path")
mkdir "$work/crds"
install -m 644 "$source"/deploy/crds/*.yaml "$work/crds"
# The program marks a complete build: it is removed before the CRDs and put in place after them.
rm -rf "${out:?}/$BINARY" "$out/crds"
mv "$work/crds" "$out/crds"
put_in_place
