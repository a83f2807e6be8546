# SPDX-License-Identifier: MIT
"""What the tests of the report share: what failed, and pages of made up documents."""

import json
import subprocess
import sys
import time
from pathlib import Path

import make_results
from browser import PATIENCE

write_page, path, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print("FAILED:", what, file=sys.stderr)


def until(browser, expression):
    end = time.monotonic() + PATIENCE
    while not browser.ask(expression):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


# ---- documents and pages ----


def make(kind):
    """The document, and the file of its page."""
    doc = json.loads(json.dumps(make_results.KINDS[kind]()))
    source, page = directory / f"{kind}.json", directory / f"{kind}.html"
    source.write_text(json.dumps(doc))
    subprocess.run([write_page, source, page], check=True)
    return doc, page


def open_all(browser):
    """Everything is unfolded, and every plot has been drawn."""
    browser.ask("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    return browser.ask(
        """(async () => {
        document.documentElement.style.scrollBehavior = 'auto';
        for (const canvas of document.querySelectorAll('canvas')) {
            canvas.scrollIntoView();
            for (let i = 0; !Chart.getChart(canvas) && i < 200; i++)
                await new Promise((done) => setTimeout(done, 10));
        }
        scrollTo(0, 0);
        return [...document.querySelectorAll('canvas')].every((c) => Chart.getChart(c));
    })()"""
    )


def clean(browser, page, what):
    check(browser.problems == [], f"{what}: the console says {browser.problems}")
    check(browser.requests == [page.as_uri()], f"{what}: it asked for {browser.requests}")
