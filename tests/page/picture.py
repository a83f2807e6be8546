#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""picture.py REPORT.html OUT.png [WIDTHxHEIGHT [light|dark [SECTION]]]: a picture of a report, as
the documentation shows it: 1280x900, light, from the top or from the section of that id."""

import sys
import time

from browser import Browser, find


def main(page, out, size="1280x900", theme="light", section=None):
    width, height = map(int, size.split("x"))
    browser = Browser(find())
    try:
        browser.window(width, height, scale=2 if width < 600 else 1)
        browser.prefer(color_scheme=theme, reduced_motion="reduce")
        browser.open(page)
        if section:
            browser.ask(f"document.getElementById({section!r}).scrollIntoView()")
        # Plots are drawn when they come into sight.
        time.sleep(1)
        browser.picture(out)
    finally:
        browser.close()


main(*sys.argv[1:])
