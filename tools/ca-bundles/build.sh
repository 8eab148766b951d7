#!/usr/bin/env bash
# Builds target/ca-bundles: reads CA data with Go's own parser. Does nothing if it is up to date.
#
# With --optional WHAT, a missing Go is not an error: it prints that WHAT is skipped.
set -euo pipefail

readonly NAMES=(ca-bundles)
readonly BINARY=ca-bundles
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tools/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../build.sh"

end_if_up_to_date
find_go "$@"

say "building with $go: only the standard library, a few seconds"
compile '-s -w'
put_in_place
