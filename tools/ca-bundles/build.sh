#!/usr/bin/env bash
# Makes target/ca-bundles: Go's own judge of CA data. Does nothing when that is up to date.
#
# With --optional WHAT a missing Go is no failure: one line says that WHAT is left out.
set -euo pipefail

readonly NAMES=(ca-bundles)
readonly BINARY=ca-bundles
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tests/support/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/build.sh"

end_if_up_to_date
find_go "$@"

say "building with $go: nothing but the standard library, seconds"
compile '-s -w'
put_in_place
