# SPDX-License-Identifier: MIT
"""The ledger of a soak: lines through the samples, what counts as flat, the judgement, the table.

What counts as flat. A line is fitted through the samples after the warm-up (least squares); its
95 % interval allows for neighbouring samples being alike. What could grow is what a connection
leaves behind, so the measure is the number of connections that come and go:

    memory        half of the least that malloc(3) gives out, 16 of 32 bytes, for each of them
    descriptors   one for every thousand of them
    threads       one for every thousand of them

Flat is a line whose whole interval lies below that. Grown is one whose whole interval lies above,
over all samples and over their second half alone: what leaks goes on, while what a rare crowd of
connections needs, and the allocator keeps, is taken once. In between the run was too short to tell,
and that is not valid instead of well: the thread models, with a stack and a loop for each connection,
take some minutes to settle. (A large crowd in the warm-up would settle them at once, but then a leak
would first fill what the crowd has left behind, and look flat.) Besides, descriptors and threads must
be at the end exactly what they were before the first client.
"""

import math

FLAT = "flat"
GREW = "GREW"
CANNOT_TELL = "cannot tell"
FEWEST_SAMPLES = 20
LEAK_KIB = 16 / 1024  # for each connection that comes and goes
LEAK_COUNT = 1 / 1000


def line(samples):
    """(slope, half of its 95 % interval) of [(seconds, value)], per minute."""
    n = len(samples)
    mean_t = sum(t for t, _ in samples) / n
    mean_y = sum(y for _, y in samples) / n
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    slope = sum((t - mean_t) * (y - mean_y) for t, y in samples) / spread
    rest = [y - mean_y - slope * (t - mean_t) for t, y in samples]
    square = sum(r * r for r in rest)
    # A rounding error is no noise: a constant has an interval of none.
    if square <= 1e-9 * (1 + mean_y * mean_y):
        return slope * 60, 0.0
    alike = max(0.0, min(0.95, sum(a * b for a, b in zip(rest, rest[1:])) / square))
    error = math.sqrt(square / (n - 2) / spread) * math.sqrt((1 + alike) / (1 - alike))
    return slope * 60, 2 * error * 60


def trend(samples, allowed):
    """Whether [(seconds, value)] grew by more than `allowed` per minute."""
    if len(samples) < FEWEST_SAMPLES:
        return {"slope_per_minute": None, "error": None, "allowed": allowed, "verdict": CANNOT_TELL}
    slope, error = line(samples)
    late, late_error = line(samples[len(samples) // 2 :])
    verdict = CANNOT_TELL
    if slope + error <= allowed:
        verdict = FLAT
    elif slope - error > allowed and late - late_error > allowed:
        verdict = GREW
    return {"slope_per_minute": slope, "error": error, "allowed": allowed, "verdict": verdict}


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, math.ceil(part * len(values)) - 1)] if values else None


def judge_growth(samples, warmup, connections_per_minute, start, end):
    """What the server's own figures did. `samples` are dicts with seconds, descriptors, rss_kib and
    threads; `start` is one before the first client, `end` one after the last."""
    growth = {}
    for name, leak in (("rss_kib", LEAK_KIB), ("descriptors", LEAK_COUNT), ("threads", LEAK_COUNT)):
        points = [(s["seconds"], s[name]) for s in samples if s["seconds"] >= warmup]
        growth[name] = {
            "start": start[name],
            "peak": max([s[name] for s in samples] + [start[name], end[name]]),
            "end": end[name],
            **trend(points, leak * connections_per_minute),
        }
        # Memory that was freed stays with the process in part; a descriptor does not.
        growth[name]["returned"] = name == "rss_kib" or end[name] == start[name]
    return growth


def judge(run):
    """Fills in run["verdict"], run["failures"] and run["not_valid"]. A failure is the server's; what
    is not valid is the measurement's."""
    failures, doubts = run["failures"], run["not_valid"]
    for name, total in run["clients"].items():
        if total["lost"] or total["wrong"]:
            failures.append(f"{name}: {total['lost']} lost, {total['wrong']} wrong")
        if total.get("unable"):
            doubts.append(f"{name}: {total['unable']} times unable to play its part")
    for kind, count in run["faults"].items():
        if count == 0:
            doubts.append(f"{kind}: not played once")
    counters = run["counters"] or {}
    for name in ("refused", "timeouts_idle", "overflows", "errors", "accept_errors"):
        if counters.get(name):
            failures.append(f"the server counted {name}: {counters[name]}")
    if counters.get("open"):
        failures.append(f"the server believed {counters['open']} connections open after the last")
    made = run["totals"]["connections"]
    if counters and counters["accepted"] != made:
        failures.append(f"{made} connections were made, the server accepted {counters['accepted']}")
    for name, g in run["growth"].items():
        if not g["returned"]:
            failures.append(f"{name}: {g['end']} after the last client, {g['start']} before the first")
        if run["judge_slopes"] and g["verdict"] == GREW:
            failures.append(f"{name} grew: {g['slope_per_minute']:.1f} +- {g['error']:.1f} per minute")
        elif run["judge_slopes"] and g["verdict"] == CANNOT_TELL:
            slope = slope_text(g, "") if g["error"] else "there are too few samples"
            doubts.append(f"{name}: it has not settled ({slope}); run it for longer")
    run["verdict"] = "failed" if failures else "not valid" if doubts else "passed"


# ---- the table ----------------------------------------------------------------------------------


def count(n):
    return "n/a" if n is None else f"{n:,}"


def slope_text(g, unit):
    if g["slope_per_minute"] is None:
        return "too few samples"
    return (
        f"{g['slope_per_minute']:+.1f} +- {g['error']:.1f} {unit}/min, "
        f"allowed {g['allowed']:.1f}: {g['verdict']}"
    )


def rows(run):
    plan, totals, growth, probe = run["plan"], run["totals"], run["growth"], run["probe"]
    yield "model", run["model"]
    yield "time", f"{run['seconds']:.0f} s under load, judged after a warm-up of {run['warmup']:.0f} s"
    scaled = f" (scaled: {plan['scaled']})" if plan["scaled"] else ""
    yield "held", f"{count(plan['idle'])} idle, {count(plan['active'])} active connections{scaled}"
    yield "connections made", f"{count(totals['connections'])}; come and gone {run['churn_per_second']:.0f}/s"
    yield "messages verified", count(totals["messages"])
    yield "bytes verified", count(totals["bytes"])
    for kind, n in run["faults"].items():
        yield f"  {kind}", count(n)
    yield "lost", count(totals["lost"])
    yield "wrong", count(totals["wrong"])
    for name, unit in (("descriptors", ""), ("threads", "")):
        g = growth[name]
        yield name, f"{count(g['start'])} start, {count(g['peak'])} peak, {count(g['end'])} end"
        yield f"  their slope", slope_text(g, unit).replace(" /min", "/min")
    g = growth["rss_kib"]
    yield "RSS", f"{count(g['start'])} KiB start, {count(g['peak'])} peak, {count(g['end'])} end"
    yield "  its slope", slope_text(g, "KiB")
    if probe["p50_ms"] is not None:
        yield "probe", f"p50 {probe['p50_ms']:.2f} ms, p99 {probe['p99_ms']:.2f} ms, max {probe['max_ms']:.2f} ms"
    if run["counters"]:
        shown = ("accepted", "closed", "refused", "resets", "timeouts_write", "throttled", "errors")
        yield "server counted", ", ".join(f"{k} {count(run['counters'][k])}" for k in shown)
    yield "server's log", f"{count(run['log_lines'])} lines at level warn"
    for failure in run["failures"]:
        yield "FAILED", failure
    for doubt in run["not_valid"]:
        yield "NOT VALID", doubt
    for reason in run["reasons"]:
        yield "  seen", reason
    yield "verdict", run["verdict"]


def table(run):
    pairs = list(rows(run))
    wide = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{wide}}  {value}" for name, value in pairs)
