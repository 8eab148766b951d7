#!/usr/bin/env bash
# Makes target/helm: helm, whose version go.mod pins. Does nothing when that is up to date.
#
# With --optional WHAT a missing Go is no failure: one line says that WHAT is left out.
set -euo pipefail

readonly NAMES=(helm)
readonly BINARY=helm
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tests/support/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/build.sh"

end_if_up_to_date
find_go "$@"
path=helm.sh/helm/v4
version=$(sed -n "s|^\t$path \(v[0-9.]*\).*|\1|p" "$module/go.mod")

say "building $version with $go: the first time that takes 2 to 5 minutes on 2 cores and 2 GB of disk, later seconds"
compile "-s -w -X $path/internal/version.version=$version" "$path/cmd/helm"
put_in_place
