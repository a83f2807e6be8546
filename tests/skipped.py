#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""skipped.py BUILD_DIR CTEST_OUTPUT: lists what ctest's last run skipped, with the reasons.

ctest shows nothing of what a passed or skipped test printed. Here a reason is a line with the word
"skip" or "skipped", for a whole test or for one case of a test that passed. Status 1: a test was
skipped and gave no reason.
"""

import re
import sys
from pathlib import Path

tests = Path(sys.argv[1], "Testing/Temporary/LastTest.log").read_text(errors="replace")
summary = Path(sys.argv[2]).read_text(errors="replace")

lines = []
explained = set()
for name, output in re.findall(
    r"^\d+/\d+ Testing: (.*?)\n.*?^Output:\n-+\n(.*?)<end of output>", tests, re.M | re.S
):
    for line in output.splitlines():
        if re.search(r"\bskip(ped)?\b", line, re.I):
            lines.append(f"  {name}: {line.strip()}")
            explained.add(name)

silent = set(re.findall(r"Test +#\d+: (\S+) .*\*\*\*Skipped", summary)) - explained
lines += [f"  {name}: skipped without a reason" for name in sorted(silent)]
if lines:
    print("", "Skipped:", *lines, sep="\n")
sys.exit(1 if silent else 0)
