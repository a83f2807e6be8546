#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/limits.py RESULTS: what `pollux compare` measured, as the tables of docs/performance.md.

RESULTS is the results.json of script/bench-limits: models, hand-written limits ("floor-...") and
other libraries ("peer-...") in the same rounds. A ratio is that of the CPU per message of two arms,
from pairs of the same round; its interval holds the true one with 95 % confidence (bootstrap of the
median of the pairs' logarithms, 2000 times, with a fixed seed). Writes Markdown to standard output;
with --check also the conditions that are not met, and the exit status is then 1."""
import json
import math
import random
import statistics
import sys

# A model and the limit that it is held against, where the names are not the same.
FLOORS = {"io_uring": ["floor-io_uring", "floor-io_uring-recv"]}
FLOOR_MOST = 1.03  # CPU per message of a model, of its limit's


class Results:
    def __init__(self, path):
        self.document = json.load(open(path))
        self.arms = [a["name"] for a in self.document["arms"] if a["runs"] and not a["twin_of"]]
        self.workloads = [w["name"] for w in self.document["workloads"]]
        self.cells = {(c["workload"], c["arm"]): c for c in self.document["cells"]}
        self.floors = {c["workload"]: c["floor"] for c in self.document["contests"] if c["metric"] == "cpu"}

    def samples(self, workload, arm):
        """CPU per message in nanoseconds, by round."""
        cell = self.cells.get((workload, arm))
        if not cell or cell["state"] != "ok":
            return {}
        return {s["round"]: s["cpu_ns"] for s in cell["samples"] if s["cpu_ns"]}

    def cpu(self, workload, arm):
        samples = self.samples(workload, arm)
        return statistics.median(samples.values()) / 1000 if samples else None

    def why(self, workload, arm):
        return (self.cells.get((workload, arm)) or {}).get("why") or "not measured"

    def ratio(self, workload, a, b):
        """(ratio, low, high) of a to b, or None."""
        x, y = self.samples(workload, a), self.samples(workload, b)
        pairs = [math.log(x[r] / y[r]) for r in x if r in y]
        if not pairs:
            return None
        dice = random.Random(1)
        medians = sorted(statistics.median(dice.choices(pairs, k=len(pairs))) for _ in range(2000))
        return tuple(math.exp(v) for v in (statistics.median(pairs), medians[49], medians[1949]))

    def best(self, workload, arms):
        known = [a for a in arms if self.cpu(workload, a) is not None]
        return min(known, key=lambda a: self.cpu(workload, a)) if known else None


def text(ratio):
    return "%.2f [%.2f %.2f]" % ratio if ratio else "-"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-h"):
        print(__doc__)
        return 0
    results = Results(sys.argv[1])
    models = [a for a in results.arms if not a.startswith(("floor-", "peer-"))]
    peers = [a for a in results.arms if a.startswith("peer-")]
    unmet = []

    print("CPU per message of the server in us, median of the rounds:\n")
    rows = []
    for arm in sorted(results.arms, key=lambda a: (a.startswith("peer-"), a.startswith("floor-"), a)):
        cells = [results.cpu(w, arm) for w in results.workloads]
        rows.append([f"`{arm}`"] + ["-" if c is None else "%.2f" % c for c in cells])
    table(["arm"] + [f"`{w}`" for w in results.workloads], rows)

    print("A model against its limit by hand (1.00 = the same; below = cheaper):\n")
    rows = []
    for model in models:
        row = [f"`{model}`"]
        for w in results.workloads:
            floor = results.best(w, FLOORS.get(model, ["floor-" + model]))
            ratio = results.ratio(w, model, floor) if floor else None
            row.append(text(ratio))
            if ratio and ratio[1] > FLOOR_MOST:
                unmet.append(f"{w}: {model} takes {text(ratio)} of its limit {floor}'s CPU")
        rows.append(row)
    table(["model"] + [f"`{w}`" for w in results.workloads], rows)

    print("epoll, io_uring and the cheapest model against other libraries (below 1.00: Pollux is cheaper):\n")
    rows = []
    for peer in peers:
        for model in ("epoll", "io_uring", None):
            row = [f"`{peer}`", f"`{model}`" if model else "cheapest"]
            for w in results.workloads:
                arm = model or results.best(w, models)
                row.append(text(results.ratio(w, arm, peer)) if arm in results.arms else "-")
            rows.append(row)
    table(["library", "model"] + [f"`{w}`" for w in results.workloads], rows)

    for w in results.workloads:
        ratio = results.ratio(w, "io_uring", "epoll")
        if ratio and ratio[1] > 1 + (results.floors.get(w) or 0):
            unmet.append(f"{w}: io_uring takes {text(ratio)} of epoll's CPU")
    if "--check" in sys.argv:
        print("Not met:\n" if unmet else "All conditions are met.")
        for line in unmet:
            print("- " + line)
        return 1 if unmet else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
