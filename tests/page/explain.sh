#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# explain.sh WRITE_PAGE POLLUX: the page of `pollux explain` in a real browser, without a screen. It
# draws every model of a made up document and of a real run, loses no call, keeps its labels apart,
# is played by keyboard and explains each step, in both themes (explain_test.py).
set -u
here=$(cd "$(dirname "$0")" && pwd)
write_page=$1
pollux=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/pollux-explain-XXXXXX")
trap 'rm -rf "$work"' EXIT

skip()
{
    echo "skipped: $*" >&2
    exit 77
}

# The interpreter itself: what is found first may be a script that looks for it.
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) || skip "python3 is missing"
browser=$(cd "$here" && "$python" -B -c 'import browser; print(browser.find() or "")')
[ -n "$browser" ] || skip "no Chromium here; on Debian: apt-get install chromium"
timeout 280 "$python" -B "$here/explain_test.py" "$write_page" "$browser" "$work" "$pollux"
