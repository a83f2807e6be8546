#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Built where sys/sdt.h is, the program has probes for perf, bpftrace and SystemTap, each with its five
# arguments (docs/explain.md names them).
# shellcheck source=tests/cli/common.bash
. "$(dirname "$0")/common.bash"

command -v readelf >/dev/null || { echo "skipped: binutils is not installed"; exit 77; }
grep -qs '^PLX_HAVE_SDT:INTERNAL=1$' "$(dirname "$pollux")/CMakeCache.txt" ||
    { echo "skipped: built without sys/sdt.h"; exit 77; }

notes=$(readelf -nW "$pollux" 2>/dev/null)
for probe in event callback; do
    echo "$notes" | grep -A 2 'Provider: pollux' | grep "Name: $probe$" >/dev/null ||
        fail "no probe pollux:$probe"
    echo "$notes" | grep -A 2 "Name: $probe$" | grep -E 'Arguments:( [^ ]+@[^ ]+){5}' >/dev/null ||
        fail "pollux:$probe does not have five arguments"
done
finish
