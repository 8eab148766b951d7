#!/usr/bin/env bash
# Makes target/cert-manager: cert-manager's controllers and injector in one program, and the definitions that they want in
# crds. Does nothing when that is up to date.
#
# With --optional WHAT a missing Go is no failure: one line says that WHAT is left out.
set -euo pipefail

readonly NAMES=(cert-manager)
readonly BINARY=cert-manager
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tests/support/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/build.sh"

end_if_up_to_date
find_go "$@"
path=github.com/cert-manager/cert-manager
version=$(sed -n "s|^\t$path \(v[0-9.]*\)\$|\1|p" "$module/go.mod")

say "building $version with $go: the first time that takes 2 to 5 minutes on 2 cores and 2 GB of disk, later seconds"
compile '-s -w'
source=$(cd "$module" && go list -m -f '{{.Dir}}' "$path")
mkdir "$work/crds"
install -m 644 "$source"/deploy/crds/*.yaml "$work/crds"
# Where the program is, these are: it goes before them and comes after them.
rm -rf "${out:?}/$BINARY" "$out/crds"
mv "$work/crds" "$out/crds"
put_in_place
