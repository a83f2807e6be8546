# SPDX-License-Identifier: MIT
"""What the document says, and what a text of the page says, each worked out apart from the page."""

import math
import re

UNITS = {
    "ns": 1,
    "µs": 1e3,
    "ms": 1e6,
    "s": 1e9,
    "/s": 1,
    "k/s": 1e3,
    "M/s": 1e6,
    "B": 1,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "": 1,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "%": 0.01,
    "×": 1,
}
METRICS = {"cpu": "cpu_ns", "rate": "rate", "p99": "p99_ns"}


def read(text):
    """A text such as "3.71 µs" as (value, what may be rounded away); None for n/a. "+4.0 %" and
    "1.04×" are both the ratio 1.04."""
    text = text.replace("\u00a0", " ").strip()
    if text == "n/a":
        return None
    found = re.fullmatch(r"([+\u2212±<]?)([\d ]+?(?:\.\d+)?) ?([^\d. ]*)", text)
    if not found or found[3] not in UNITS:
        raise ValueError(f"not a figure: {text!r}")
    sign, digits, unit = found.groups()
    digits = digits.replace(" ", "")
    significant = len(digits.replace(".", "").lstrip("0"))
    if unit != "×" and (significant > 4 and "." in digits):
        raise ValueError(f"too many digits: {text!r}")
    decimals = len(digits.partition(".")[2])
    # Three digits of a larger number end in zeros that are not known.
    unsure = 0.5 * 10.0 ** (-decimals if decimals else max(0, significant - 3))
    value = float(digits)
    if sign == "<":
        return value / 2, value / 2
    if sign in ("+", "±"):
        return 1 + value / 100, unsure / 100
    if sign == "\u2212" and unit == "%":
        return 1 - value / 100, unsure / 100
    return (-value if sign == "\u2212" else value) * UNITS[unit], unsure * UNITS[unit]


def agree(text, expected):
    """Is the text this number, rounded?"""
    got = read(text)
    if expected is None or got is None:
        return expected is None and got is None
    value, unsure = got
    return abs(value - expected) <= unsure * 1.001 + abs(expected) * 1e-9


class Document:
    def __init__(self, doc):
        self.doc = doc
        self.workloads = {w["name"]: w for w in doc["workloads"]}
        self.cells = {(c["workload"], c["arm"]): c for c in doc["cells"]}
        self.contests = {(c["workload"], c["metric"]): c for c in doc["contests"]}
        self.arms = [a["name"] for a in doc["arms"] if not a["twin_of"] and a["runs"]]
        self.absent = [a["name"] for a in doc["arms"] if not a["runs"]]

    def standing(self, workload, metric, arm):
        return next(
            (s for s in self.contests[workload, metric]["standings"] if s["arm"] == arm), None
        )

    def value(self, workload, arm, key):
        """Of a cell's attribute data-figure, in the unit of the page's text."""
        head, _, tail = key.partition(".")
        if head == "latency":
            return self._latency(workload, arm, tail)
        if tail == "ratio":
            return self.standing(workload, head, arm)["ratio"]
        if tail == "value":
            head, tail = METRICS[head], ""
            number = self.standing(workload, key.partition(".")[0], arm)["value"]
        else:
            median = self.cells[workload, arm]["median"]
            number = (median["calls"] or {}).get(tail) if head == "calls" else median[head]
        # The CPU of an idle workload is ns in a second, shown as a share.
        if head in ("cpu_ns", "user_ns", "system_ns") and self.workloads[workload]["idle"]:
            number = None if number is None else number / 1e9
        return number

    def _latency(self, workload, arm, what):
        buckets = self.cells[workload, arm]["latency"]
        total = sum(n for _, _, n in buckets)
        if what == "count":
            return total
        if what == "most":
            return buckets[-1][1]
        rank = max(1, math.ceil(float(what) * total))
        for low, high, n in buckets:
            rank -= n
            if rank <= 0:
                return (low + high) / 2
        raise ValueError(what)

    def outcome(self, workload):
        """The word of a workload's headline."""
        verdicts = [s["verdict"] for s in self.contests[workload, "cpu"]["standings"]]
        if "BEST" not in verdicts:
            return "NO RESULT"
        return next(
            (
                word
                for verdict, word in (
                    ("TIE", "TIE"),
                    ("CANNOT TELL", "CANNOT TELL"),
                    ("LOSES", "WIN"),
                )
                if verdict in verdicts
            ),
            "ONE ARM",
        )

    def first_spectrum(self):
        """The workload whose latencies are shown at first."""
        names = [name for name, w in self.workloads.items() if not w["idle"]]
        return next((n for n in names if self.contests[n, "p99"]["held"]), names[0])

    def charts(self):
        """What is drawn on canvases: (kind, which) to {arm: [values]}."""
        found = {}
        sweep = sorted((w for w in self.doc["workloads"] if w["sweep"]), key=lambda w: w["at"])
        if len(sweep) > 1:
            for key in METRICS.values():
                found["sweep", key] = {
                    arm: [self.cells[w["name"], arm]["median"][key] for w in sweep]
                    for arm in self.arms
                }
        for name in self.workloads:
            values = {
                s["arm"]: s["value"]
                for metric in reversed(METRICS)
                for s in self.contests[name, metric]["standings"]
                if s["value"] is not None and self.contests[name, metric]["held"]
            }
            if self.contests[name, "cpu"]["held"]:
                values = {
                    s["arm"]: s["value"]
                    for s in self.contests[name, "cpu"]["standings"]
                    if s["value"] is not None
                }
            if values:
                found["bars", name] = values
        return found
