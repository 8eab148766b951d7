#!/usr/bin/env bash
# Builds target/helm: Helm in the version that go.mod pins. Does nothing if it is up to date.
#
# With --optional WHAT, a missing Go is not an error: it prints that WHAT is skipped.
set -euo pipefail

readonly NAMES=(helm)
readonly BINARY=helm
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tools/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../build.sh"

end_if_up_to_date
find_go "$@"
path=helm.sh/helm/v4
version=$(sed -n "s|^\t$path \(v[0-9.]*\).*|\1|p" "$module/go.mod")

say "building $version with $go: the first build takes 2 to 5 minutes on 2 cores and 2 GB of disk, later builds take seconds"
compile "-s -w -X $path/internal/version.version=$version" "$path/cmd/helm"
put_in_place
