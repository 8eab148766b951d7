#!/usr/bin/env bash
# Runs the end-to-end stories beside busy processes: `make stress`.
#
# LOAD (20) is the number of busy processes, HARMED (10) the number of runs of the story `harmed`, OTHERS (2) the number of runs
# of all other stories. Each run must end within LIMIT (20m). Each failure is printed with its story, at once and at the end.
set -euo pipefail

load=${LOAD:-20} harmed=${HARMED:-10} others=${OTHERS:-2} limit=${LIMIT:-20m}
logs=target/stress
mkdir -p "$logs"
cargo test --locked --quiet --test e2e --no-run

busy=()
end() { kill "${busy[@]}" 2>/dev/null || true; }
trap end EXIT
trap 'exit 130' INT TERM
for ((number = 0; number < load; number++)); do
    (trap - INT TERM EXIT; while :; do :; done) &
    busy+=($!)
done

failures=()
# run NAME ARGUMENT...: runs the tests that the arguments select, and records the failed ones.
run() {
    local name=$1 log=$logs/$1.log started=$SECONDS failed code=0
    shift
    timeout --kill-after=30s "$limit" cargo test --locked --quiet --test e2e -- "$@" >"$log" 2>&1 || code=$?
    failed=$(sed -n 's/^---- \(.*\) ----$/\1/p' "$log")
    if ((code == 124 || code == 137)); then failed+=" (not done within $limit)"; fi
    if ((code)); then
        failures+=("$name: ${failed:-exit code $code}, see $log")
        echo "stress: $name FAILED after $((SECONDS - started)) s: ${failed:-exit code $code}"
    else
        echo "stress: $name ok after $((SECONDS - started)) s"
    fi
}

for ((round = 1; round <= harmed; round++)); do
    run "harmed-$round" --exact manifests::harmed
done
# Without the case files, which wait for nothing. Two at a time, so that the load and not the stories keep the machine busy.
for ((round = 1; round <= others; round++)); do
    run "others-$round" --test-threads=2 --skip apiserver:: --skip crd:: --skip manifests::harmed
done

if ((${#failures[@]})); then
    printf 'stress: %s\n' "${failures[@]}"
    exit 1
fi
echo "stress: no story has failed beside a load of $load"
