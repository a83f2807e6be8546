#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""page_test.py WRITE_PAGE BROWSER DIR: the report in a browser that no person sees.

WRITE_PAGE writes the report of a document; the documents are make_results.py's. DIR is for files.
"""

import json
import sys
import time

import make_results
from browser import Browser, PATIENCE
from check_access import test_keyboard, test_structure
from check_figures import test_figures
from figures import Document
from pages import check, clean, directory, failures, make, open_all, path, until


# ---- it draws ----

BLANK = """[...document.querySelectorAll('canvas')].filter((c) => {
    const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height);
    const seen = new Set(new Uint32Array(data.buffer));
    return seen.size < 8;
}).length"""


def test_draws(browser, doc, page):
    known = Document(doc)
    for theme, dark in (("light", False), ("dark", True)):
        for width in (1280, 360):
            what = f"{theme}, {width} px"
            browser.window(width, 800)
            browser.prefer(color_scheme=theme)
            browser.open(page)
            check(open_all(browser), f"{what}: not all plots are drawn")
            # One spectrum besides, of the workload that is chosen.
            plots = browser.ask("document.querySelectorAll('canvas').length")
            check(
                plots == len(known.charts()) + 1,
                f"{what}: {plots} plots, not {len(known.charts()) + 1}",
            )
            check(browser.ask(BLANK) == 0, f"{what}: a plot is blank")
            back = browser.ask(
                "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )
            check((sum(back) < 384) == dark, f"{what}: the background is {back}")
            wide = browser.ask("document.documentElement.scrollWidth")
            check(wide <= width, f"{what}: the page is {wide} px wide")
            clean(browser, page, what)
    fields = browser.ask("document.querySelectorAll('#map svg .field').length")
    check(fields == 3 * 4, f"the map has {fields} fields, not 3 sizes x 4 numbers of connections")
    check(
        "not measured" in browser.ask("document.querySelector('#map svg').textContent"),
        "the map does not say what was not measured",
    )


def test_theme(browser, page):
    browser.window(1280, 800)
    browser.prefer(color_scheme="light")
    browser.open(page)
    until(browser, "document.querySelectorAll('canvas').length > 0")
    theme = "document.documentElement.dataset.theme"
    browser.ask("document.querySelector('#theme input:checked').focus()")
    for _ in range(2):
        browser.key("ArrowRight", 39)
    check(browser.ask(theme) == "dark", "the arrow keys do not choose the dark theme")
    browser.prefer(color_scheme="dark")
    browser.key("ArrowLeft", 37)
    check(browser.ask(theme) == "light", "what is chosen gives way to the system's theme")
    browser.key("ArrowLeft", 37)
    check(browser.ask(theme) == "dark", "auto does not follow the system")
    browser.prefer(reduced_motion="reduce")
    check(
        browser.ask("getComputedStyle(document.documentElement).scrollBehavior") == "auto",
        "it scrolls smoothly where motion is to be reduced",
    )
    browser.prefer()


# ---- it keeps to itself ----

ESCAPES = """Promise.all([
    fetch('http://127.0.0.1:9/').then(() => 'fetched', () => ''),
    new Promise((done) => {
        const image = new Image();
        image.onload = () => done('image');
        image.onerror = () => done('');
        image.src = 'http://127.0.0.1:9/a.png';
    }),
    new Promise((done) => {
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.append(script);
        done(window.ran ? 'script' : '');
    }),
    new Promise((done) => {
        const form = document.createElement('form');
        form.action = 'http://127.0.0.1:9/';
        document.body.append(form);
        form.submit();
        setTimeout(() => done(''), 100);
    }),
]).then((all) => all.filter(Boolean))"""


def test_keeps_to_itself(browser, page):
    browser.open(page)
    check(browser.ask(ESCAPES) == [], "the policy lets something through")
    refused = [p for p in browser.problems if "Content Security Policy" in p]
    check(len(refused) >= 4, f"the policy refused {refused}")


def test_hostile(browser):
    doc, page = make("hostile")
    browser.window(360, 800)
    browser.open(page)
    open_all(browser)
    check(
        browser.ask("document.documentElement.scrollWidth") <= 360,
        "hostile names: wider than a phone",
    )
    clean(browser, page, "hostile names")
    check(
        "taken" not in browser.ask("document.title.replace(/'taken'/g, '')"),
        "a name ran as a script",
    )
    check(
        browser.ask("document.querySelectorAll('img, b, main script, main i').length") == 0,
        "a name became an element",
    )
    check(
        browser.ask("JSON.parse(document.getElementById('results').textContent)") == doc,
        "the document in the page is not the document",
    )
    text = browser.ask("document.body.textContent")
    for name in make_results.HOSTILE + ["<img src=x onerror=alert(1)>"]:
        check(name in text, f"the name {name!r} is not shown as it is")
    for word in ("undefined", "NaN", "Infinity", "[object"):
        check(
            word not in browser.ask("document.querySelector('main').innerText"),
            f"the page says {word}",
        )


# ---- other documents ----


def test_others(browser):
    for kind, words in (
        ("partial", ["Partial.", "Quick.", "NO RESULT", "interrupted"]),
        ("one-arm", ["Only epoll has a figure", "ONE ARM"]),
        ("empty", ["Nothing was measured"]),
    ):
        doc, page = make(kind)
        browser.window(360, 800)
        browser.open(page)
        open_all(browser)
        clean(browser, page, kind)
        text = browser.ask("document.body.innerText")
        for word in words:
            check(word in text, f"{kind}: no {word!r} on the page")
        for word in ("undefined", "NaN", "Infinity", "[object"):
            check(word not in text, f"{kind}: the page says {word}")
        check(
            browser.ask("document.documentElement.scrollWidth") <= 360,
            f"{kind}: wider than a phone",
        )
        if kind == "partial":
            test_figures(browser, doc, page)


def without_plots(page):
    """The page of a program that was built without Chart.js."""
    html = page.read_text()
    at = html.index("Chart.js v")
    start = html.rindex("<script", 0, at)
    start = html.index(">", start) + 1
    bare = page.with_name("bare.html")
    bare.write_text(html[:start] + html[html.index("</script>", at) :])
    return bare


def test_without_plots(browser, doc, page):
    bare = without_plots(page)
    browser.open(bare)
    clean(browser, bare, "without Chart.js")
    check(
        "The plots are missing" in browser.ask("document.body.innerText"),
        "it does not say that plots are missing",
    )
    check(browser.ask("document.querySelectorAll('canvas').length") == 0, "there are empty plots")
    check(
        browser.ask("document.querySelector('#sweeps details').open"),
        "what stands for a plot is folded away",
    )
    test_figures(browser, doc, bare, plots=False)


# ---- on paper, and on the disk ----


def test_paper(browser, page):
    browser.window(1280, 800)
    browser.prefer(color_scheme="dark")
    browser.open(page)
    before = browser.ask("document.querySelectorAll('details[open]').length")
    browser.ask(
        """addEventListener('beforeprint', () => {
        window.printed = {open: document.querySelectorAll('details:not([open])').length,
                          theme: document.documentElement.dataset.theme,
                          drawn: [...document.querySelectorAll('canvas')]
                              .every((c) => Chart.getChart(c))}; })"""
    )
    check(browser.paper().startswith(b"%PDF"), "it does not print")
    check(
        browser.ask("window.printed") == {"open": 0, "theme": "light", "drawn": True},
        f"on paper: {browser.ask('window.printed')}",
    )
    check(
        until(browser, f"document.querySelectorAll('details[open]').length === {before}")
        and browser.ask("document.documentElement.dataset.theme") == "dark",
        "after printing it is not as before",
    )
    browser.prefer()


def test_saves(browser, doc, page):
    to = directory / "saved"
    to.mkdir()
    browser.open(page)
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(to))
    browser.ask("[...document.querySelectorAll('#repeat button')].pop().click()")
    end = time.monotonic() + PATIENCE
    while not (to / "results.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    saved = to / "results.json"
    check(
        saved.exists() and json.loads(saved.read_text()) == doc,
        "the saved document is not the document",
    )


def main():
    doc, page = make("full")
    has_plots = "Chart.js v" in page.read_text()
    browser = Browser(path)
    try:
        if not has_plots:
            print("skipped: the plots, this build has no Chart.js")
            test_figures(browser, doc, page, plots=False)
        else:
            test_draws(browser, doc, page)
            test_theme(browser, page)
            test_figures(browser, doc, page)
            test_keyboard(browser, page)
            test_structure(browser, page)
            test_hostile(browser)
            test_others(browser)
            test_without_plots(browser, doc, page)
            test_paper(browser, page)
            test_saves(browser, doc, page)
            test_keeps_to_itself(browser, page)
    finally:
        browser.close()
    return 1 if failures else 0


sys.exit(main())
