#!/usr/bin/env bash
# Makes target/collector: the OpenTelemetry collector's receiver, which writes what it receives. Does nothing when that is up
# to date.
#
# With --optional WHAT a missing Go is no failure: one line says that WHAT is left out.
set -euo pipefail

readonly NAMES=(collector)
readonly BINARY=collector
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tests/support/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/build.sh"

end_if_up_to_date
find_go "$@"
version=$(sed -n 's|^\tgo.opentelemetry.io/collector/receiver/otlpreceiver \(v[0-9.]*\)$|\1|p' "$module/go.mod")

say "building $version with $go: the first time that takes 1 to 2 minutes on 2 cores and 0.5 GB of disk, later seconds"
compile '-s -w'
put_in_place
