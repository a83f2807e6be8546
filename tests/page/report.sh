#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# report.sh WRITE_PAGE: the report of `pollux compare` in a real browser, without a screen. It draws
# in both themes and on a phone, its figures are the document's, nothing leaves the file, and all of
# it can be reached by keyboard (page_test.py).
set -u
here=$(cd "$(dirname "$0")" && pwd)
write_page=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/pollux-page-XXXXXX")
trap 'rm -rf "$work"' EXIT

skip()
{
    echo "SKIP: $*" >&2
    exit 77
}

# The interpreter itself: what is found first may be a script that looks for it.
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) || skip "python3 is missing"
browser=$(cd "$here" && "$python" -B -c 'import browser; print(browser.find() or "")')
[ -n "$browser" ] || skip "no Chromium here; on Debian: apt-get install chromium"
timeout 280 "$python" -B "$here/page_test.py" "$write_page" "$browser" "$work"
