#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that mean harm, against `pollux serve` in every model, seen from outside.

hostile.py POLLUX [--model M]... [--scenario N]... [--json FILE] [--full]

After each scenario an honest client must be echoed within a second, and the server's descriptors,
threads, children and memory must be back where they were. A cell of the matrix is
    ok        as it should be
    limited   as the model can, and the words below the matrix say why that is right
    partly    a part is not possible on this machine, with the reason
    skipped   the whole is not, likewise
    FAILED
Exit 0; 1 when a cell failed; 77 when no model asked for can run here.

By default sizes are scaled down for a test that is run often; --full takes the catalogue's
(1 GB, 60 s, 100 ends of the server). Scenarios that mostly wait run side by side, each against a
server of its own; the others one after another."""

import argparse
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
import traceback

import scenarios
from server import end_with_parent
from trial import Trial

SCHEMA_VERSION = 1
SIDE_BY_SIDE = 6  # waiting scenarios at once: each has a process, and its server's threads


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pollux", metavar="POLLUX", type=os.path.realpath)
    parser.add_argument("--model", action="append", default=[], metavar="M")
    parser.add_argument("--scenario", action="append", type=int, default=[], metavar="N")
    parser.add_argument("--json", metavar="FILE", help="the matrix as a document; - = stdout")
    parser.add_argument("--full", action="store_true", help="the sizes of the catalogue")
    parser.add_argument("--list", action="store_true", help="print the scenarios")
    parser.add_argument("--verbose", action="store_true", help="what was measured, cell by cell")
    parser.add_argument(
        "--slow",
        type=float,
        default=1,
        metavar="FACTOR",
        help="of a sanitizer's build: everything may take so much longer, memory is not judged",
    )
    parser.add_argument("--clock", metavar="LIBRARY", help="clock.c, compiled; else cc compiles it")
    parser.add_argument("--lines", metavar="PROGRAM", help="the example `lines`, for scenario 18")
    return parser.parse_args()


def models_of(pollux):
    """name -> None, or why it cannot run here."""
    out = subprocess.run([pollux, "models"], check=True, capture_output=True, text=True).stdout
    models, last = {}, None
    for line in out.splitlines():
        found = re.match(r"([a-z][\w-]*) +(yes|no) ", line)
        if found:
            last = found[1]
            models[last] = None if found[2] == "yes" else "cannot run here"
        elif last and line.strip().startswith("why not: "):
            models[last] = line.strip()[len("why not: ") :]
    models["auto"] = "it is a choice among the others"
    return models


class Cell:
    """A scenario in a process of its own: its death, or its hanging, is a result too."""

    def __init__(self, options, model, scenario):
        self.model, self.scenario = model, scenario
        self.begun = time.monotonic()
        self.limit = scenario.seconds(options.full) * options.slow
        read, write = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read)
            self._play(options, write)
        os.close(write)
        self.pipe, self.text, self.result = read, b"", None

    def _play(self, options, write):
        status = 1
        try:
            end_with_parent()
            os.setpgid(0, 0)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            trial = Trial(options, self.model, self.scenario.number)
            try:
                result = trial.run(self.scenario.function)
            except BaseException:  # reported, with where it was
                where = traceback.format_exc()
                said = "; ".join(trial.reasons)
                result = {"state": "failed", "words": said or where, "notes": [where]}
            os.write(write, json.dumps(result).encode())
            status = 0
        finally:
            os._exit(status)

    def look(self):
        """Takes the result if it is there. True when the cell is finished."""
        late = time.monotonic() - self.begun > self.limit
        if late:
            os.kill(self.pid, signal.SIGKILL)  # its servers end with it (PR_SET_PDEATHSIG)
        while late or select.select([self.pipe], [], [], 0)[0]:
            piece = os.read(self.pipe, 65536)
            if not piece:
                break
            self.text += piece
        else:
            return False
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pipe)
        try:
            self.result = json.loads(self.text)
        except ValueError:
            why = f"took longer than {self.limit:g} s" if late else f"its player ended: {status}"
            self.result = {"state": "failed", "words": why, "notes": []}
        self.result["seconds"] = round(time.monotonic() - self.begun, 2)
        return True


def play(options, model, chosen):
    """A model's row: scenario number -> result."""
    waiting = [s for s in chosen if s.waits]
    busy = [s for s in chosen if not s.waits]
    running, results = [], {}
    # libc's helper threads of POSIX AIO end a second after their last work: each scenario waits.
    lanes = 3 if model == "posix-aio" else 1
    while waiting or busy or running:
        while waiting and sum(c.scenario.waits for c in running) < SIDE_BY_SIDE:
            running.append(Cell(options, model, waiting.pop(0)))
        if busy and sum(not c.scenario.waits for c in running) < lanes:
            running.append(Cell(options, model, busy.pop(0)))
        time.sleep(0.01)
        for cell in [c for c in running if c.look()]:
            running.remove(cell)
            results[cell.scenario.number] = cell.result
            if options.verbose or cell.result["state"] == "failed":
                print_cell(model, cell.scenario, cell.result)
    return results


def print_cell(model, scenario, result):
    print(f"{model} {scenario.number} {scenario.title}: {result['state']} ({result['seconds']} s)")
    for text in [result["words"], *result["notes"]]:
        for line in text.splitlines():
            print("    " + line)
    sys.stdout.flush()


def print_matrix(chosen, matrix):
    names = list(matrix)
    width = max(len(s.title) for s in chosen) + 4
    columns = [max(len(name), 7) for name in names]
    print("\n" + " " * width, *(n.ljust(w) for n, w in zip(names, columns)))
    for s in chosen:
        states = [matrix[name][s.number]["state"] for name in names]
        shown = ["FAILED" if state == "failed" else state for state in states]
        print(
            f"{s.number:2}  {s.title}".ljust(width), *(t.ljust(w) for t, w in zip(shown, columns))
        )
    by_words = {}
    for name in names:
        for s in chosen:
            result = matrix[name][s.number]
            if result["state"] != "ok":
                key = result["words"]
                by_words.setdefault(key, {}).setdefault(name, []).append(s.number)
    if by_words:
        print("\nNot ok, and why:")
    for text, cells in by_words.items():
        where = "; ".join(f"{m} {','.join(map(str, numbers))}" for m, numbers in cells.items())
        print(f"  {where}:\n      {text}")


def document(options, chosen, matrix, missing, seconds):
    version = subprocess.run([options.pollux, "--version"], capture_output=True, text=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "pollux": version.stdout.strip(),
        "full": options.full,
        "seconds": round(seconds, 1),
        "scenarios": [{"number": s.number, "title": s.title} for s in chosen],
        "missing_models": missing,
        "models": {
            model: {str(number): result for number, result in sorted(row.items())}
            for model, row in matrix.items()
        },
    }


def main():
    options = arguments()
    chosen = [s for s in scenarios.ALL if not options.scenario or s.number in options.scenario]
    if options.list or not chosen:
        for s in scenarios.ALL:
            print(f"{s.number:2}  {s.title}")
        return 0 if options.list else 2
    models = models_of(options.pollux)
    unknown = [name for name in options.model if name not in models]
    if unknown:
        print("no such model:", ", ".join(unknown), file=sys.stderr)
        return 2
    wanted = options.model or list(models)
    missing = {name: models[name] for name in wanted if models[name]}
    wanted = [name for name in wanted if name not in missing]
    if not wanted:
        print("skipped: " + "; ".join(f"{n} cannot run: {why}" for n, why in missing.items()))
        return 77
    begun = time.monotonic()
    matrix = {}
    for name in wanted:
        at = time.monotonic()
        matrix[name] = play(options, name, chosen)
        states = [result["state"] for result in matrix[name].values()]
        counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(sorted(states)))
        print(f"{name}: {counts} in {time.monotonic() - at:.1f} s", flush=True)
    print_matrix(chosen, matrix)
    if options.json:
        text = json.dumps(
            document(options, chosen, matrix, missing, time.monotonic() - begun), indent=1
        )
        if options.json == "-":
            print(text)
        else:
            with open(options.json, "w", encoding="utf-8") as f:
                f.write(text + "\n")
    failed = [r for row in matrix.values() for r in row.values() if r["state"] == "failed"]
    unexplained = [
        r for row in matrix.values() for r in row.values() if r["state"] != "ok" and not r["words"]
    ]
    return 1 if failed or unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
