# SPDX-License-Identifier: MIT
"""What tests/cli/explain.sh asserts of the documents and drawings of `pollux explain`."""

import json
import re
import sys
import xml.dom.minidom
from collections import Counter, defaultdict

BLOCKING = ("blocking", "fork", "threads", "threadpool")
# Model, and the calls in which it may wait for readiness.
READINESS = {
    "select": ("pselect",),
    "poll": ("ppoll", "poll"),
    "epoll": ("epoll_pwait2", "epoll_wait"),
    "epoll-et": ("epoll_pwait2", "epoll_wait"),
    "sigio": ("sigtimedwait",),
    "kqueue": ("kevent",),
}
wrong = []


def expect(what, holds, *seen):
    if not holds:
        wrong.append(what)
        print("wrong:", what, *seen, file=sys.stderr)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def calls(model, conn, *names):
    return [
        e for e in model["events"] if e["kind"] == "call" and e["conn"] == conn and e["name"] in names
    ]


# ---- what waits, what copies ----------------------------------------------------------------------


def shape_blocking(model, m, waiting, copying):
    name = model["name"]
    expect(f"{name}: one call waits and copies", waiting["event"] == copying["event"])
    call = model["events"][waiting["event"]]
    expect(f"{name}: it is recv", call["name"] == "recv" and call["result"] == m["bytes"], call)
    expect(f"{name}: it began before the data was sent", call["begin_ns"] < m["sent_ns"])
    expect(f"{name}: it ended after the data was there", call["end_ns"] >= m["arrived_ns"])
    expect(f"{name}: the phases share it", waiting["end_ns"] == copying["begin_ns"])
    expect(f"{name}: the process is blocked", model["facts"]["blocked"])


def shape_nonblocking(model, m, waiting, copying):
    refused = model["events"][waiting["event"]]
    call = model["events"][copying["event"]]
    expect("nonblocking: nobody waits", waiting["who"] == "nobody" and not model["facts"]["blocked"])
    expect("nonblocking: EAGAIN", refused["name"] == "recv" and refused["error"] == "EAGAIN", refused)
    expect("nonblocking: again and again", refused["count"] > 10, refused)
    expect("nonblocking: it came back before the data", refused["end_ns"] <= call["begin_ns"])
    # Each of them at once: what they took together leaves time for the other calls of each pass.
    expect("nonblocking: none waited", refused["spent_ns"] < refused["end_ns"] - refused["begin_ns"])
    expect("nonblocking: recv copies", call["name"] == "recv" and call["result"] == m["bytes"], call)


def shape_readiness(model, m, waiting, copying):
    name = model["name"]
    wait, call = model["events"][waiting["event"]], model["events"][copying["event"]]
    expect(f"{name}: waits in", wait["name"] in READINESS[name], wait)
    expect(f"{name}: the process is blocked", waiting["who"] == "process" and model["facts"]["blocked"])
    expect(f"{name}: it waited before the data was sent", wait["begin_ns"] < m["sent_ns"])
    expect(f"{name}: recv copies", call["name"] == "recv" and call["result"] == m["bytes"], call)
    expect(f"{name}: after the wait was over", call["begin_ns"] >= wait["end_ns"])
    expect(f"{name}: recv did not wait", call["begin_ns"] >= m["arrived_ns"])
    for e in calls(model, m["conn"], "recv"):
        early = e["begin_ns"] < m["arrived_ns"]
        expect(f"{name}: no recv waits for data", not early or e["error"] == "EAGAIN", e)
    if name == "sigio":
        expect("sigio: a signal came", wait["result"] > 0, wait)
        owned = [e for e in calls(model, m["conn"], "fcntl") if e["end_ns"] < m["sent_ns"]]
        expect("sigio: it was asked for", len(owned) >= 3, owned)


def shape_request(model, m, waiting, copying):
    name = model["name"]
    done = model["events"][copying["event"]]
    who = {"io_uring": "kernel", "posix-aio": "library"}[name]
    expect(f"{name}: a completion", done["kind"] == "completed" and done["result"] == m["bytes"], done)
    expect(f"{name}: who", waiting["who"] == copying["who"] == who, waiting, copying)
    asked = [
        e
        for e in model["events"]
        if e["kind"] == "submitted" and e["conn"] == m["conn"] and e["name"] == done["name"]
    ]
    expect(f"{name}: asked for before it was sent", asked and asked[0]["begin_ns"] < m["sent_ns"])
    expect(f"{name}: not synchronous", model["facts"]["synchronous"] is False)
    expect(f"{name}: no receive call at all", not calls(model, m["conn"], "recv", "read"))


def shapes(path):
    for model in load(path)["models"]:
        name = model["name"]
        expect(f"{name}: runs", model["runs"] and model["complaint"] is None, model["complaint"])
        expect(f"{name}: nothing lost", model["lost"] == 0, model["lost"])
        first = model["messages"][0]
        waiting, copying = first["waiting"], first["copying"]
        expect(f"{name}: both phases of the late message", waiting and copying, first)
        if not (waiting and copying):
            continue
        late = waiting["end_ns"] - waiting["begin_ns"]
        expect(f"{name}: it waited for the late client", late > 20e6, late)
        expect(f"{name}: synchronous", model["facts"]["synchronous"] == (copying["who"] == "process"))
        if name in BLOCKING:
            shape_blocking(model, first, waiting, copying)
        elif name == "nonblocking":
            shape_nonblocking(model, first, waiting, copying)
        elif name in READINESS:
            shape_readiness(model, first, waiting, copying)
        else:
            shape_request(model, first, waiting, copying)
        whole_run(model)


def whole_run(model):
    name = model["name"]
    for m in model["messages"]:
        who = f"{name}: {m['client']}'s message"
        expect(f"{who} was answered", m["answered_ns"] is not None and m["received_ns"] is not None)
        for phase in filter(None, (m["waiting"], m["copying"])):
            expect(f"{who}: a phase has no less than no time", phase["begin_ns"] <= phase["end_ns"], phase)
    gave_up = [s for s in model["steps"] if s["what"] == "gave up"]
    # In the blocking model the second of two clients has no answer while the first is served.
    expect(f"{name}: who waits in the backlog", bool(gave_up) <= (name == "blocking"), gave_up)
    clients = {c["name"]: c["conn"] for c in model["clients"]}
    expect(f"{name}: six connections", len(set(clients.values()) - {0}) == 6, clients)
    resets = [
        e for e in model["events"] if e["conn"] == clients["F"] and e["error"] in ("ECONNRESET", "EPIPE")
    ]
    expect(f"{name}: the reset was seen", resets)
    # A receive of nothing: the half-close, by call or by completion.
    ends = [
        e
        for e in model["events"]
        if e["conn"] == clients["E"] and e["kind"] == "callback" and e["name"] == "on_eof"
    ]
    expect(f"{name}: the half-close was seen", len(ends) == 1, ends)


def buffer(path):
    models = {m["name"]: m for m in load(path)["models"]}
    for name, model in models.items():
        conn = model["clients"][0]["conn"]
        sends = calls(model, conn, "send")
        expect(f"{name}: sent", sends)
        if name in BLOCKING:
            longest = max(e["end_ns"] - e["begin_ns"] for e in sends)
            expect(f"{name}: send waits for room", longest > 5e6, longest)
            expect(f"{name}: nothing is queued", model["facts"]["queue_peak"] == 0)
            expect(f"{name}: said so", "blocks" in (model["facts"]["writes"] or ""))
        else:
            expect(f"{name}: a short count", any(e["short"] for e in sends), sends)
            expect(f"{name}: the rest is queued", model["facts"]["queue_peak"] > 0)
            expect(f"{name}: said so", "goes on" in (model["facts"]["writes"] or ""))
    expect("both kinds", "blocking" in models and len(models) > 1, list(models))


# ---- drawings ---------------------------------------------------------------------------------------


def svg(path, run):
    doc = xml.dom.minidom.parse(path)
    figures = {g.getAttribute("id") for g in doc.getElementsByTagName("g")}
    for model in load(run)["models"]:
        expect(f"a figure of {model['name']}", f"model-{model['name']}" in figures, figures)
    expect("arrows", len(doc.getElementsByTagName("line")) > 100)


def perfetto(path):
    events = load(path)["traceEvents"]
    slices = defaultdict(list)
    pending = Counter()
    for e in events:
        expect("a time", e["ts"] >= 0 or e["ph"] == "M", e)
        if e["ph"] == "X":
            slices[e["pid"], e["tid"]].append((e["ts"], e["dur"], e["name"]))
        if e["ph"] in "be":
            pending[e["id"]] += 1 if e["ph"] == "b" else -1
    expect("slices", sum(map(len, slices.values())) > 5)
    expect("what begins ends", not any(pending.values()))
    for thread, list_of in slices.items():
        before = -1
        open_until = []
        for ts, dur, name in list_of:
            expect(f"{thread}: in the order of time", ts >= before, name, ts, before)
            before = ts
            while open_until and open_until[-1] <= ts + 0.0005:
                open_until.pop()
            # A slice lies in the one that is open, or behind it.
            inside = not open_until or ts + dur <= open_until[-1] + 0.0015
            expect(f"{thread}: nested", inside, name, ts, dur, open_until)
            open_until.append(ts + dur)


def drawing(path, run):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    widest = max(map(len, text.splitlines()))
    expect("at most 100 columns", widest <= 100, widest)
    expect("no colour into a file", "\033" not in text)
    for model in load(run)["models"]:
        expect(f"a drawing of {model['name']}", f"\n{model['name']}: " in "\n" + text)


def served(path):
    doc = load(path)
    (model,) = doc["models"]
    names = {e["name"] for e in model["events"]}
    expect("a server's", doc["program"] == "pollux serve" and doc["scenario"] is None)
    expect("what it did", {"recv", "send", "on_data", "accepted"} <= names, names)


# ---- beside strace ----------------------------------------------------------------------------------

# What strace calls them.
KERNEL = {
    "recv": "recvfrom",
    "send": "sendto",
    "pselect": "pselect6",
    "sigtimedwait": "rt_sigtimedwait",
}
COMPARED = {
    "recv",
    "send",
    "accept4",
    "shutdown",
    "poll",
    "ppoll",
    "pselect",
    "epoll_wait",
    "epoll_pwait2",
    "epoll_ctl",
    "sigtimedwait",
}
LINE = re.compile(r"^(\w+)\((-?\d*).*\) += (-?\d+)(?: (\w+))?")


def strace_calls(path):
    """The calls of a thread in their order: (name, descriptor or None, result or error)."""
    names = {KERNEL.get(n, n): n for n in COMPARED} | {"sendmsg": "send"}
    seen = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            found = LINE.match(line)
            if found and found[1] in names:
                name = names[found[1]]
                fd = int(found[2]) if name in ("recv", "send", "accept4", "shutdown") else None
                seen.append((name, fd, found[4] if int(found[3]) < 0 else int(found[3])))
    return seen


def kernel(path, traces):
    (model,) = load(path)["models"]
    expect("nothing lost", model["lost"] == 0, model["lost"])
    for number, thread in enumerate(model["threads"]):
        own = [
            (e["name"], e["fd"] if e["name"] in ("recv", "send", "accept4", "shutdown") else None,
             e["error"] or e["result"], e["count"])
            for e in model["events"]
            if e["kind"] == "call" and e["thread"] == number and e["name"] in COMPARED
        ]
        seen = strace_calls(f"{traces}.{thread['thread']}")
        counted = Counter()
        for name, fd, result, count in own:
            counted[name, fd, result] += count
        differs = {k: (counted[k], n) for k, n in Counter(seen).items() if counted[k] != n}
        differs |= {k: (n, 0) for k, n in counted.items() if k not in set(seen)}
        expect(f"{model['name']}: thread {number}: as often as strace saw them", not differs, differs)
        if all(count == 1 for *_, count in own):
            order = [call[:3] for call in own]
            expect(f"{model['name']}: thread {number}: in that order", order == seen,
                   next(((a, b) for a, b in zip(order, seen) if a != b), None))


globals()[sys.argv[1]](*sys.argv[2:])
sys.exit(bool(wrong))
