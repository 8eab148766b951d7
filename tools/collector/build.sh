#!/usr/bin/env bash
# Builds target/collector: the OpenTelemetry collector's receiver, which writes the spans that it receives to a file. Does
# nothing if it is up to date.
#
# With --optional WHAT, a missing Go is not an error: it prints that WHAT is skipped.
set -euo pipefail

readonly NAMES=(collector)
readonly BINARY=collector
readonly WANTS="install Go 1.26 or later"
# shellcheck source=tools/build.sh
source "$(dirname "${BASH_SOURCE[0]}")/../build.sh"

end_if_up_to_date
find_go "$@"
version=$(sed -n 's|^\tgo.opentelemetry.io/collector/receiver/otlpreceiver \(v[0-9.]*\)$|\1|p' "$module/go.mod")

say "building $version with $go: the first build takes 1 to 2 minutes on 2 cores and 0.5 GB of disk, later builds take seconds"
compile '-s -w'
put_in_place
