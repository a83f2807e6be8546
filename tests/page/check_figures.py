# SPDX-License-Identifier: MIT
"""The figures on the page are the document's: in tables, in plots, and in words."""

from figures import Document, METRICS, agree
from make_results import CALLS
from pages import check, open_all

FIGURES = """[...document.querySelectorAll('[data-figure]')].map((node) => {
    const copy = node.cloneNode(true);
    const apart = copy.querySelector('.interval');
    copy.querySelectorAll('.sign, .unseen, .interval').forEach((n) => n.remove());
    return {of: JSON.parse(node.dataset.figure), text: copy.textContent,
            interval: apart && apart.textContent};
})"""
CHARTS = """[...document.querySelectorAll('canvas')].map((c) => {
    const {labels, datasets} = Chart.getChart(c).data;
    return {labels, datasets: datasets.map((d) => ({label: d.label, data: d.data}))};
})"""
BADGES = """[...document.querySelectorAll('table[id^=standings-]')].map((table) => ({
    workload: table.closest('details').querySelector('h3').textContent,
    rows: [...table.tBodies[0].rows].map((row) => [row.cells[0].textContent,
        ...[...row.querySelectorAll('.badge')].map((b) => b.lastChild.textContent)])}))"""


def test_figures(browser, doc, page, plots=True):
    known = Document(doc)
    browser.window(1280, 800)
    browser.open(page)
    if plots:
        open_all(browser)
    seen = set()
    for found in browser.ask(FIGURES):
        expected = known.value(*found["of"])
        seen.add(tuple(found["of"]))
        check(agree(found["text"], expected), f"{found['of']}: {found['text']!r} is not {expected}")
        if found["interval"]:
            workload, arm, key = found["of"]
            standing = known.standing(workload, key.partition(".")[0], arm)
            low, high = found["interval"].split(" to ")
            check(
                agree(low, standing["low"]) and agree(high, standing["high"]),
                f"{found['of']}: {found['interval']!r} is not of {standing}",
            )
    for (workload, arm), cell in known.cells.items():
        keys = [k for k in cell["median"] if k != "calls"] + [f"calls.{k}" for k in CALLS]
        missing = [k for k in keys if (workload, arm, k) not in seen]
        if cell["state"] == "ok":
            check(not missing, f"{workload}, {arm}: not on the page: {missing}")
    check_badges(browser, known)
    if plots:
        check_charts(browser, known)


def check_badges(browser, known):
    tables = browser.ask(BADGES)
    check(
        [t["workload"] for t in tables] == list(known.workloads),
        "not every workload has its standings",
    )
    for table in tables:
        rows = {row[0]: row[1:] for row in table["rows"]}
        for arm in known.arms:
            cell = known.cells[table["workload"], arm]
            standings = [known.standing(table["workload"], metric, arm) for metric in METRICS]
            expected = {
                "ok": [s["verdict"] for s in standings if s],
                "excluded": ["EXCLUDED"],
                "invalid": ["INVALID"],
                "empty": ["NOT MEASURED"],
            }[cell["state"]]
            check(
                rows.get(arm) == expected,
                f"{table['workload']}, {arm}: {rows.get(arm)}, not {expected}",
            )
    words = browser.ask(
        """Object.fromEntries([...document.querySelectorAll('.workload')].map((d) =>
        [d.querySelector('h3').textContent, d.querySelector('.badge').lastChild.textContent]))"""
    )
    expected = {name: known.outcome(name) for name in known.workloads}
    check(words == expected, f"headlines {words}, not {expected}")


def check_charts(browser, known):
    drawn = browser.ask(CHARTS)
    bars = [c for c in drawn if c["labels"]]
    lines = [c for c in drawn if not c["labels"]]
    expected = known.charts()
    for (kind, name), values in expected.items():
        if kind == "bars":
            check(
                any(dict(zip(c["labels"], c["datasets"][0]["data"])) == values for c in bars),
                f"no bars are those of {name}",
            )
        else:
            check(
                any(
                    {d["label"]: [p["y"] for p in d["data"]] for d in c["datasets"]} == values
                    for c in lines
                ),
                f"no lines are those of the sweep's {name}",
            )
    spectrum = lines[-1]["datasets"]
    first = known.first_spectrum()
    for line in spectrum:
        at = {p["x"]: p["y"] for p in line["data"] if p.get("marked")}
        for x in (2, 10, 100, 1000):
            check(
                at.get(x) == known.value(first, line["label"], f"latency.{1 - 1 / x}"),
                f"the spectrum of {line['label']} at 1 in {x}: {at.get(x)}",
            )
