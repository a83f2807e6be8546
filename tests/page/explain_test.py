#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""explain_test.py WRITE_PAGE BROWSER DIR POLLUX: the page of `pollux explain` in a browser that no
person sees.

WRITE_PAGE writes the page of a document; the documents are made_trace.py's and a real run's of
POLLUX. DIR is for files.
"""

import json
import subprocess
import sys

import made_trace
from browser import Browser
from check_access import FOCUSED, REACHABLE, STRUCTURE, TAB
from pages import check, clean, directory, failures, path, until, write_page

LEFT, RIGHT, HOME, END = (("ArrowLeft", 37), ("ArrowRight", 39), ("Home", 36), ("End", 35))
SPACE, HELP, ESCAPE, FOLLOW = ((" ", 32), ("?", 191), ("Escape", 27), ("m", 77))

SENTENCE = "document.getElementById('sentence').textContent"
COUNT = "document.getElementById('count').textContent"


def write(name, doc):
    source, page = directory / f"{name}.json", directory / f"{name}.html"
    source.write_text(json.dumps(doc))
    subprocess.run([write_page, "--explain", source, page], check=True)
    return page


def made(kind):
    doc = json.loads(json.dumps(made_trace.KINDS[kind]()))
    return doc, write(kind, doc)


def real(pollux):
    """The page as the command writes it, and the document in it. Whether all models behave is not
    asked here."""
    page = directory / "real.html"
    ran = subprocess.run(
        [pollux, "explain", "--html", page],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    check(page.exists(), f"pollux explain --html writes no page: {ran.stderr.decode()}")
    if not page.exists():
        return None, None
    text = page.read_text()
    mark = '<script type="application/json" id="results">'
    at = text.index(mark) + len(mark)
    return json.loads(text[at : text.index("</script>", at)]), page


def recorded(doc):
    return [m for m in doc["models"] if m["runs"] and m["events"]]


# ---- it draws ----

# What is wrong with the drawing of each scene, in each column.
DRAWING = """(() => {
    const wrong = [];
    for (const scene of scenes) for (const bars of [false, true]) {
        stage.bars = bars;
        showScene(scene);
        const say = (what) => wrong.push(`${scene.name}, ${bars ? 'bars' : 'labels'}: ${what}`);
        const expected = models.filter((m) => scene.spans.has(m)).length;
        const columns = document.querySelectorAll('#stage .column[data-model] svg.lanes');
        if (columns.length !== expected)
            say(`${columns.length} columns for ${expected} models`);
        const levels = new Map();
        for (const part of stage.parts) {
            const name = part.model.name;
            const shapes = part.svg.querySelectorAll('.item').length;
            if (shapes !== part.items.length)
                say(`${name}: ${shapes} shapes for ${part.items.length} items`);
            let free = -1;
            for (const label of bars ? [] : part.labels) {
                if (label.top < free - 0.5)
                    say(`${name}: the label ${label.lines[0]} overlaps the one above`);
                free = label.top + label.lines.length * 13;
            }
            let last = -1;
            for (const t of part.items.map((i) => part.clip(i.begin)).sort((a, b) => a - b)) {
                if (!(part.y(t) >= last))
                    say(`${name}: time runs backwards at ${t}`);
                last = part.y(t);
            }
            for (const text of part.svg.querySelectorAll('text')) {
                const box = text.getBBox();
                if (box.x < -1 || box.x + box.width > part.svg.width.baseVal.value + 1)
                    say(`${name}: "${text.textContent}" is not in its column`);
                if (/NaN|undefined|null|Infinity/.test(text.textContent))
                    say(`${name}: it says ${text.textContent}`);
            }
            if (/NaN|undefined|Infinity/.test(part.svg.innerHTML))
                say(`${name}: a place that is no number`);
            for (const {y, key} of part.steps.filter((s) => s.what === 'send').map((s, i) =>
                ({y: part.y(s.at), key: `${s.client} ${i}`}))) {
                if (levels.has(key) && Math.abs(levels.get(key) - y) > 1)
                    say(`${name}: step ${key} is not level with the others'`);
                levels.set(key, y);
            }
        }
    }
    return wrong.slice(0, 20);
})()"""

# Folding must not lose a call.
CALLS = """Object.fromEntries(models.map((m) => [m.name, itemsOf(m, {from: -Infinity, to: Infinity})
    .flatMap((i) => i.kind === 'call' ? i.events : []).reduce((n, e) => n + e.count, 0)]))"""


def test_draws(browser, doc, page, what):
    for theme, dark in (("light", False), ("dark", True)):
        for width in (1280, 800, 360):
            case = f"{what}, {theme}, {width} px"
            browser.window(width, 900)
            browser.prefer(color_scheme=theme, reduced_motion="reduce")
            browser.open(page)
            models = browser.ask("stage.parts.map((p) => p.model.name)")
            check(models == [m["name"] for m in recorded(doc)], f"{case}: the models are {models}")
            back = browser.ask(
                "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )
            check((sum(back) < 384) == dark, f"{case}: the background is {back}")
            wide = browser.ask("document.documentElement.scrollWidth")
            check(wide <= width, f"{case}: the page is {wide} px wide")
            clean(browser, page, case)
    browser.window(1280, 900)
    wrong = browser.ask(DRAWING)
    check(wrong == [], f"{what}: " + "; ".join(wrong))
    counted = browser.ask(CALLS)
    for model in recorded(doc):
        calls = sum(e["count"] for e in model["events"] if e["kind"] == "call")
        check(
            counted[model["name"]] == calls,
            f"{what}: {counted[model['name']]} of {calls} calls of {model['name']} are drawn",
        )
    clean(browser, page, what)


def test_marks(browser, page):
    """What the made up document has must be said as it is."""
    browser.window(1280, 900)
    browser.open(page)
    text = browser.ask(
        "showScene(scenes.find((s) => s.name === 'all')), "
        "document.getElementById('stage').textContent.replaceAll('\\u00a0', ' ')"
    )
    for words in (
        "recv #1 → EAGAIN × 1 423",
        "recv #1 → EAGAIN × 10",
        "send #2 → 4 096 of 65 536 B",
        "queue #2: 61 440 B",
        "submit recv #1",
        "done recv #1: 64 B",
        "on_data #1 (64 B)",
        "ECONNRESET",
        "waiting 30.0 ms",
        "copying ≤ 28.0 µs",
        "copying 7.00 µs",
        "busy polling",
        "a request waits",
        "left out",
    ):
        check(words in text, f"the drawing does not say {words!r}")
    check(
        "kqueue (only on BSD)" in browser.ask("document.getElementById('notices').textContent"),
        "it does not say which model is missing",
    )
    check(
        browser.ask("document.querySelectorAll('#facts-figures tbody tr').length") == 3,
        "the table of facts has not a row for each model",
    )


# ---- it is played ----


def test_playback(browser, page):
    browser.window(1280, 900)
    browser.prefer(reduced_motion="reduce")
    browser.open(page)
    veil = "stage.parts.map((p) => Number(p.veil.getAttribute('height')))"
    check(not any(browser.ask(veil)), "before the first step something is veiled")
    said = [browser.ask(SENTENCE)]
    for n in range(1, 4):
        browser.key(*RIGHT)
        said.append(browser.ask(SENTENCE))
        check(f"Step {n} of" in browser.ask(COUNT), f"step {n}: {browser.ask(COUNT)}")
    check(len(set(said)) == 4, f"Right does not change the explanation: {said}")
    check(all(browser.ask(veil)), "what is later is not veiled in every column")
    check(
        browser.ask("document.querySelectorAll('#meanwhile li').length") == 2,
        "what the others do at the same moment is not said",
    )
    browser.key(*LEFT)
    check(browser.ask(SENTENCE) == said[2], "Left does not go back")
    browser.key(*END)
    steps = browser.ask("play.steps.length")
    check(f"Step {steps} of {steps}" in browser.ask(COUNT), "End does not go to the end")
    scene = browser.ask("stage.scene.name")
    browser.key(*RIGHT)
    check(browser.ask("stage.scene.name") != scene, "after the last step no other scene comes")
    browser.key(*LEFT)
    check(browser.ask("stage.scene.name") == scene, "before the first step no other scene comes")
    browser.key(*HOME)
    check("Step 1 of" in browser.ask(COUNT), "Home does not go to the first step")
    browser.key(*FOLLOW)
    check("nonblocking" in browser.ask(COUNT), f"m does not follow another: {browser.ask(COUNT)}")
    browser.key(*ESCAPE)
    check(not any(browser.ask(veil)), "Escape does not show everything")

    browser.ask("document.getElementById('stage').focus()")
    browser.ask("play.pause = 50")
    browser.key(*SPACE)
    check(until(browser, "play.at >= 2"), "Space does not play")
    browser.key(*SPACE)
    at = browser.ask("play.at")
    browser.ask("new Promise((done) => setTimeout(done, 300))")
    check(browser.ask("play.at") == at, "Space does not pause")

    browser.key(*HELP)
    check(browser.ask("document.getElementById('help').open"), "? does not show the keys")
    browser.key(*ESCAPE)
    check(until(browser, "!document.getElementById('help').open"), "Escape leaves the help open")
    before = browser.ask(SENTENCE)
    browser.ask("document.querySelector('#buttons [aria-label=\"Next step\"]').click()")
    check(browser.ask(SENTENCE) != before, "the button does not step")
    clean(browser, page, "playback")


def test_plain_words(browser, doc, page, what):
    """Every step of every model says something."""
    browser.open(page)
    told = browser.ask(
        """models.flatMap((m) => scenes.filter((s) => s.spans.has(m)).flatMap((s) => {
            const part = sceneOf(s, m);
            layOut([part]);
            return playSteps(part).map((step) => step.sentence);
        }))"""
    )
    check(len(told) > len(recorded(doc)), f"{what}: only {len(told)} steps")
    for sentence in set(told):
        check(
            len(sentence) > 12
            and sentence.rstrip().endswith(".")
            and not any(w in sentence for w in ("undefined", "NaN", "null", "[object")),
            f"{what}: a step says {sentence!r}",
        )
    if what == "three":
        for sentence in (
            "The process calls recv on connection 1: nothing has arrived, so it is blocked in the "
            "call.",
            "Client A (connection 1) sends 64 bytes.",
        ):
            check(sentence in told, f"no step says {sentence!r}")


# ---- it can be reached, and it keeps to itself ----


def test_access(browser, page):
    browser.window(1280, 900)
    browser.open(page)
    reachable = browser.ask(REACHABLE)
    visited = []
    for _ in range(len(reachable) + 5):
        browser.key(*TAB)
        now = browser.ask(FOCUSED)
        if now["tag"] == "BODY" or now["at"] in visited:
            break
        check(now["visible"], f"the focus cannot be seen on {now}")
        visited.append(now["at"])
    check(visited == reachable, f"by Tab {len(visited)} of {len(reachable)} are reached in order")
    found = browser.ask(STRUCTURE)
    check(found.pop("tops") == 1, "not one heading above all")
    for name, wrong in found.items():
        check(not wrong, f"structure: {name}: {wrong}")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        n["role"]["value"]
        for n in nodes
        if not n.get("ignored")
        and n.get("role", {}).get("value")
        in ("image", "img", "link", "button", "checkbox", "radio", "combobox", "table", "region")
        and not n.get("name", {}).get("value")
    ]
    check(not nameless, f"without a name: {nameless}")


def test_hostile(browser):
    doc, page = made("hostile")
    browser.window(800, 900)
    browser.open(page)
    clean(browser, page, "hostile names")
    check(browser.ask("document.documentElement.scrollWidth") <= 800, "hostile names: too wide")
    check(
        browser.ask("document.querySelectorAll('main script, main b, main img').length") == 0,
        "a name became an element",
    )
    check("taken" not in browser.ask("document.title.replace(/'taken'/g, '')"), "a name ran")
    check(
        browser.ask("JSON.parse(document.getElementById('results').textContent)") == doc,
        "the document in the page is not the document",
    )
    text = browser.ask("document.body.textContent")
    for name in made_trace.HOSTILE:
        check(name in text, f"the name {name!r} is not shown as it is")
    wrong = browser.ask(DRAWING)
    check(wrong == [], "hostile: " + "; ".join(wrong))


def test_empty(browser):
    _, page = made("empty")
    browser.open(page)
    clean(browser, page, "empty")
    check("Nothing was recorded" in browser.ask("document.body.innerText"), "empty: it says not so")


def test_paper(browser, page):
    browser.window(1280, 900)
    browser.prefer(color_scheme="dark")
    browser.open(page)
    browser.key(*RIGHT)
    browser.ask(
        """addEventListener('beforeprint', () => {
        window.printed = {open: document.querySelectorAll('details:not([open])').length,
                          theme: document.documentElement.dataset.theme, at: play.at}; })"""
    )
    check(browser.paper().startswith(b"%PDF"), "it does not print")
    check(
        browser.ask("window.printed") == {"open": 0, "theme": "light", "at": -1},
        f"on paper: {browser.ask('window.printed')}",
    )
    check(
        until(browser, "document.documentElement.dataset.theme === 'dark'"),
        "after printing it is not as before",
    )
    browser.prefer()


def main():
    browser = Browser(path)
    try:
        doc, page = made("three")
        test_draws(browser, doc, page, "three")
        test_marks(browser, page)
        test_playback(browser, page)
        test_plain_words(browser, doc, page, "three")
        test_access(browser, page)
        test_paper(browser, page)
        doc, page = made("served")
        test_draws(browser, doc, page, "served")
        test_plain_words(browser, doc, page, "served")
        test_hostile(browser)
        test_empty(browser)
        doc, page = real(sys.argv[4])
        if doc:
            test_draws(browser, doc, page, "real")
            test_plain_words(browser, doc, page, "real")
    finally:
        browser.close()
    return 1 if failures else 0


sys.exit(main())
