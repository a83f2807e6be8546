#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_results.py KIND: prints a document of `pollux compare` that no machine measured.

It is for looking at the report and for its test: the figures are made up, the same for each call,
and plausible. KIND is
  full      every workload and model, a server of somebody else's; ties, exclusions, failures
  partial   interrupted: cells without a figure, contests not held
  one-arm   nobody to compare with
  hostile   names that try to be markup, figures that are null, keys that are missing
  empty     nothing was measured
"""

import json
import math
import random
import sys

from made_up import CAVEATS, CLAIMS, LIMITS, MACHINE, MODELS, WHYS, WORKLOADS

KEYS = (
    "rate p50_ns p99_ns p999_ns cpu_ns user_ns system_ns voluntary involuntary wakeups "
    "memory_bytes per_connection client_busy server_busy messages"
).split()
CALLS = ("wait", "ctl", "accept", "recv", "send", "other")
METRICS = {"cpu": "cpu_ns", "rate": "rate", "p99": "p99_ns"}
rng = random.Random(1)


def size_name(size):
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


def make_workload(name, connections, active, pipeline, size, mode, more):
    words = {
        "pingpong": "ping-pong",
        "pipeline": f"pipelined by {pipeline}",
        "stream": "streaming",
        "connect": "short connections",
    }[mode]
    some = f", {active} active" if active < connections else ""
    title = (
        f"{connections} connection{'s' * (connections > 1)}{some}, {size_name(size)} each, {words}"
    )
    if more.get("half"):
        title += ", at half of the slowest one's rate"
    if more.get("idle"):
        title = f"{connections} connections, nothing sent"
    return {
        "name": name,
        "title": title,
        "spec": f"connections={connections},size={size}",
        "mode": mode,
        "connections": connections,
        "active": active,
        "pipeline": pipeline,
        "size": size,
        "rate": None,
        "half": False,
        "idle": False,
        "sweep": None,
        "at": None,
        **more,
    }


# ---- figures ----


def cost_of(arm, w):
    """CPU of a message in ns; of an idle second, too."""
    if w["idle"]:
        return 1e9 if arm == "nonblocking" else rng.uniform(2e4, 2e5)
    cpu, waiting = next(((c, x) for n, c, x in MODELS if n == arm), (3760, 0))
    share = 16 if w["pipeline"] > 1 else 1
    cost = cpu / share**0.7 + w["size"] * 0.16 + (18000 if w["mode"] == "connect" else 0)
    cost += waiting * (w["connections"] - w["active"]) / max(1, w["active"])
    if w["connections"] <= 1 and arm in ("select", "poll", "epoll", "epoll-et"):
        cost *= 1.22
    if arm == "io_uring" and (w["pipeline"] > 1 or w["connections"] >= 1000):
        cost *= 0.84
    if arm in ("threads", "fork"):
        cost *= 1 + 0.04 * math.log10(w["connections"]) ** 2
    return cost


def make_sample(w, arm, number, cost, drift):
    cpu = cost * drift * rng.gauss(1, 0.008)
    rate = 0.0 if w["idle"] else 1e9 / (cpu * 1.06) if not w["half"] else 31000.0
    p50 = (
        None
        if w["idle"]
        else w["active"] * w["pipeline"] * 1e9 / rate * (0.2 if w["half"] else 0.9)
    )
    model = any(arm == n for n, _, _ in MODELS)
    calls = (
        {
            "wait": 1 / max(1, w["active"]) ** 0.6,
            "ctl": 0.0004,
            "accept": 0.00002,
            "recv": 1.0,
            "send": 1.0,
            "other": 0.0,
        }
        if model
        else None
    )
    if calls and arm in ("blocking", "fork", "threads", "threadpool"):
        calls["wait"] = 0.0
    memory = (9e5 + 1800 * w["connections"]) * (4 if arm in ("threads", "fork") else 1)
    return {
        "round": number,
        "position": rng.randint(1, 12),
        "rate": rate,
        "p50_ns": p50,
        "p99_ns": p50 and p50 * rng.uniform(1.4, 1.6),
        "p999_ns": p50 and p50 * rng.uniform(2.2, 4),
        "cpu_ns": cpu,
        "user_ns": cpu * 0.16,
        "system_ns": cpu * 0.84,
        "voluntary": 1.0 if arm in ("threads", "fork") else 0.08,
        "involuntary": 0.0012,
        "calls": calls,
        "wakeups": calls and calls["wait"],
        "memory_bytes": memory,
        "per_connection": memory / w["connections"] if w["connections"] > 1 else None,
        "client_busy": 0.62,
        "server_busy": 0.98,
        "messages": rate * 0.3,
    }


def median(values):
    known = sorted(v for v in values if v is not None)
    return known[len(known) // 2] if known else None


def median_sample(samples):
    found = {key: median([s[key] for s in samples]) for key in KEYS}
    calls = [s["calls"] for s in samples if s["calls"]]
    found["calls"] = {c: median([x[c] for x in calls]) for c in CALLS} if calls else None
    return found


def make_latency(samples):
    """Buckets of 128 to a power of two, as the program's."""
    counts = {}
    for s in samples:
        for _ in range(500):
            v = int(
                s["p50_ns"]
                * rng.lognormvariate(0, 0.17)
                * (1 if rng.random() < 0.995 else rng.uniform(2, 12))
            )
            width = 1 << max(0, v.bit_length() - 8)
            low = v // width * width
            counts[low, low + width - 1] = counts.get((low, low + width - 1), 0) + 1
    return [[low, high, n] for (low, high), n in sorted(counts.items())]


# ---- cells and what follows from them ----


def state_of(w, arm):
    if arm in LIMITS and w["connections"] > LIMITS[arm]:
        return "excluded", f"{arm} takes at most {LIMITS[arm]} connections"
    if arm == "kqueue":
        return "excluded", "kqueue is a facility of the BSDs and macOS; this is Linux"
    if arm == "uv-echo" and w["mode"] == "stream":
        return "invalid", "wrong answers: connection 3 got 0x41 at offset 65536, expected 0x7a"
    return "ok", None


def make_cell(w, arm, of, drifts):
    state, why = state_of(w, arm)
    cell = {
        "workload": w["name"],
        "arm": arm,
        "state": state,
        "why": why,
        "samples": [],
        "median": {**{k: None for k in KEYS}, "calls": None},
        "latency": None,
    }
    if state == "ok":
        cost = cost_of(of or arm, w)
        cell["samples"] = [make_sample(w, of or arm, i + 1, cost, d) for i, d in enumerate(drifts)]
        cell["median"] = median_sample(cell["samples"])
        cell["latency"] = None if w["idle"] else make_latency(cell["samples"])
    return cell


def make_standing(cell, best, key, floor, worse):
    value = cell["median"][key]
    if value is None:
        return {
            "arm": cell["arm"],
            "value": None,
            "ratio": None,
            "low": None,
            "high": None,
            "verdict": "INVALID",
            "why": cell["why"],
        }
    ratios = sorted(a[key] / b[key] for a, b in zip(cell["samples"], best["samples"]))
    low, high = ratios[0], ratios[-1]
    verdict, why = "CANNOT TELL", None
    if cell is best:
        verdict = "BEST"
    elif low > 1 - floor and high < 1 + floor:
        verdict = "TIE"
    elif (low > 1 + floor) if worse > 0 else (high < 1 - floor):
        verdict = "LOSES"
        why = WHYS.get(cell["arm"], "1.0 more system calls per message")
    return {
        "arm": cell["arm"],
        "value": value,
        "ratio": median(ratios),
        "low": low,
        "high": high,
        "verdict": verdict,
        "why": why,
    }


def make_contest(w, metric, row):
    key, worse = METRICS[metric], -1 if metric == "rate" else 1
    why = None
    if w["idle"] and metric != "cpu":
        why = "nothing is sent"
    elif w["half"] and metric == "rate":
        why = "the rate is given"
    elif w["size"] >= 16384 and metric == "rate":
        why = "CLIENT-BOUND: the client was busy for 97 % of its CPU"
    elif metric == "p99" and not w["half"]:
        why = "in a closed loop latency only mirrors the rate; a fixed rate tells it"
    valid = [c for c in row if c["median"][key] is not None]
    if not valid:
        why = why or "no valid figure"
    contest = {
        "workload": w["name"],
        "metric": metric,
        "held": why is None,
        "not_held": why,
        "floor": None,
        "best": None,
        "standings": [],
    }
    if why is None:
        best = min(valid, key=lambda c: worse * c["median"][key])
        floor = {"cpu": 0.024, "rate": 0.03, "p99": 0.08}[metric]
        contest.update(
            floor=floor,
            best=best["arm"],
            standings=[make_standing(c, best, key, floor, worse) for c in row],
        )
    return contest


# ---- documents ----


def document(arms, workloads, rounds):
    """Arms are (name, kind, twin_of)."""
    made = [make_workload(*w) for w in workloads]
    rows = []
    for w in made:
        drifts = [rng.gauss(1, 0.02) for _ in range(rounds)]
        rows.append([make_cell(w, name, of, drifts) for name, _, of in arms])
    twins = {name for name, _, of in arms if of}
    return {
        "schema_version": 1,
        "kind": "pollux-comparison",
        "version": "0.1.0",
        "started": "2026-11-21T13:00:00Z",
        "took_seconds": 1260.7,
        "command_line": ["pollux", "compare", "--server", "uv-echo=./uv-echo {addr} {port}"],
        "partial": False,
        "quick": False,
        "machine": MACHINE,
        "method": {
            "seed": 1,
            "rounds": rounds,
            "budget_seconds": 1200.0,
            "warmup_seconds": 0.1,
            "measure_seconds": 0.3,
            "confidence": 0.95,
            "resamples": 2000,
            "pin": "auto",
            "net": "lo",
            "server_cpus": "0",
            "client_cpus": "1",
        },
        "arms": [
            {
                "name": n,
                "kind": k,
                "command": "./uv-echo {addr} {port}" if k == "command" else None,
                "twin_of": of,
                "runs": n != "kqueue",
                "why": "kqueue is a facility of the BSDs and macOS; this is Linux"
                if n == "kqueue"
                else None,
                "max_connections": LIMITS.get(n),
            }
            for n, k, of in arms
        ],
        "workloads": made,
        "cells": [c for row in rows for c in row],
        "contests": [
            make_contest(w, m, [c for c in row if c["arm"] not in twins])
            for w, row in zip(made, rows)
            for m in METRICS
        ],
        "claims": [
            {"number": i + 1, "text": t, "answer": a, "figures": f}
            for i, (t, a, f) in enumerate(CLAIMS)
        ],
        "caveats": [{"name": n, "text": t} for n, t in CAVEATS],
    }


def full():
    arms = [(name, "model", None) for name, _, _ in MODELS]
    return document(
        arms
        + [
            ("kqueue", "model", None),
            ("uv-echo", "command", None),
            ("epoll (A/A)", "model", "epoll"),
        ],
        WORKLOADS,
        9,
    )


def partial():
    doc = document([(n, "model", None) for n in ("select", "poll", "epoll")], WORKLOADS[:4], 2)
    doc.update(partial=True, quick=True, took_seconds=7.3)
    for cell in doc["cells"][6:]:
        cell.update(
            state="empty",
            samples=[],
            latency=None,
            median={**{k: None for k in KEYS}, "calls": None},
        )
    for contest in doc["contests"][6:]:
        contest.update(
            held=False,
            not_held="interrupted before a round was complete",
            floor=None,
            best=None,
            standings=[],
        )
    return doc


HOSTILE = [
    "</script><script>document.title='taken'</script>",
    "<!-- <b>&amp;\"'",
    "{{results}}\u2028${x}",
]


def hostile():
    doc = document(
        [(n, "command", None) for n in HOSTILE] + [("epoll", "model", None)],
        [("<img src=x onerror=alert(1)>", *WORKLOADS[1][1:]), WORKLOADS[9]],
        3,
    )
    doc["machine"] = {"hostname": "</title><script>document.title='taken'</script>", "cpu": None}
    doc["command_line"] = "pollux compare --server '</script>=x'"
    doc["caveats"].append(
        {"name": "<b>", "text": "&lt;i&gt; \"quoted\" <script>document.title='taken'</script>"}
    )
    doc["claims"] = None
    del doc["method"]["resamples"]
    for cell in doc["cells"]:
        cell["median"]["p999_ns"] = None
        cell["why"] = cell["why"] or "<i>"
    return doc


KINDS = {
    "full": full,
    "partial": partial,
    "hostile": hostile,
    "empty": lambda: document([], [], 0),
    "one-arm": lambda: document([("epoll", "model", None)], WORKLOADS[:3], 3),
}

if __name__ == "__main__":
    json.dump(KINDS[sys.argv[1]](), sys.stdout)
