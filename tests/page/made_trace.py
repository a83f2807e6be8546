#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""made_trace.py KIND: prints a document of `pollux explain` that no machine recorded.

It is for looking at the page and for its test. KIND is
  three     three models, with everything that is drawn: EAGAIN folded, short counts, a queue,
            requests and completions, a message that waits; and a model that cannot run here
  served    what a server recorded that ran by itself: no clients, many events, several threads
  hostile   names that try to be markup, values that are null, keys that are missing
  empty     nothing was recorded
"""

import json
import sys

HOSTILE = [
    "</script><script>document.title='taken'</script>",
    "<!-- <b>&amp;\"'",
    "{{results}}\u2028${x}",
]
EAGAIN, ECONNRESET = (-11, "EAGAIN"), (-104, "ECONNRESET")
WAITS, COPIES, CONTROLS = "waits", "copies", "controls"


def event(kind, name, begin, end=None, conn=0, asked=0, result=0, phase=None, **more):
    """Times are microseconds; a result is a number, or the pair of a number and its name."""
    value, error = result if isinstance(result, tuple) else (result, None)
    made = {
        "number": 0,
        "thread": 0,
        "begin_ns": int(begin * 1000),
        "end_ns": int((begin if end is None else end) * 1000),
        "kind": kind,
        "name": name,
        "phase": phase,
        "fd": conn + 4 if conn else -1,
        "conn": conn,
        "asked": asked,
        "result": value,
        "error": error,
        "short": phase == COPIES and name == "send" and 0 <= value < asked,
        "count": 1,
    }
    made.update(more)
    made["spent_ns"] = made["end_ns"] - made["begin_ns"]
    return made


def call(name, begin, end, phase, **more):
    return event("call", name, begin, end, phase=phase, **more)


def step(client, conn, what, begin, end, text, late=0, **more):
    return {
        "client": client,
        "conn": conn,
        "act": "late" if conn < 2 else "large",
        "what": what,
        "begin_ns": int((begin + late) * 1000),
        "end_ns": int((end + late) * 1000),
        "asked": 0,
        "result": 0,
        "error": None,
        "text": text,
        **more,
    }


def phase(who, name, begin, end, event_):
    return {
        "who": who,
        "call": name,
        "begin_ns": int(begin * 1000),
        "end_ns": int(end * 1000),
        "event": event_,
    }


def steps(late):
    """A client wakes a little later each time: `late` microseconds."""
    return [
        step("A", 1, "connect", 1200, 1290, "connects"),
        step("A", 1, "wait", 1290, 31300, "is silent for 30.0 ms"),
        step("A", 1, "send", 31300, 31315, "sends 64 bytes", late),
        step("A", 1, "receive", 31316, 31390, "receives 64 bytes", late),
        step("A", 1, "close", 31400, 31405, "closes", late),
        step("B", 2, "connect", 40000, 40090, "connects, with a small window", late),
        step("B", 2, "send", 40100, 40200, "sends 64 KiB", late),
        step("B", 2, "reset", 62000, 62010, "resets", late, result=-104, error="ECONNRESET"),
    ]


def model(name, engine, events, messages, late, **more):
    for number, made in enumerate(events):
        made["number"] = number
    ends = 66000000
    return {
        "name": name,
        "engine": engine,
        "summary": f"{name}, made up",
        "limits": "",
        "waits_in": "recv",
        "copies_in": "recv",
        "runs": True,
        "reason": "",
        "remedy": "",
        "complaint": None,
        "zero_ns": 1,
        "duration_ns": ends,
        "lost": 0,
        "threads": [{"id": 0, "process": 4711, "thread": 4711, "name": "main"}],
        "clients": [
            {"name": "A", "conn": 1, "act": "late"},
            {"name": "B", "conn": 2, "act": "large"},
        ],
        "acts": [
            {"name": "start", "title": "The server starts", "begin_ns": 0, "end_ns": 1200000},
            {
                "name": "late",
                "title": "A client that is late with its first message",
                "begin_ns": 1200000,
                "end_ns": 39000000,
            },
            {
                "name": "large",
                "title": "A message larger than the socket's buffers",
                "begin_ns": 39000000,
                "end_ns": ends,
            },
        ],
        "steps": steps(late),
        "messages": messages,
        "facts": {
            "waits": "in recv",
            "copies": "in recv",
            "blocked": engine == "blocking",
            "synchronous": engine != "proactor",
            "messages": 2,
            "system_calls": sum(e["count"] for e in events if e["kind"] == "call"),
            "calls_per_message": 6.5,
            "calls_per_small_message": 2.0,
            "calls": [],
            "waiting_ns": 30022000,
            "copying_ns": 28000,
            "queue_peak": 61440,
            "sentence": f"{name}: it was made up.",
        },
        "events": events,
        **more,
    }


def message(arrived, waiting, copying):
    return {
        "client": "A",
        "conn": 1,
        "act": "late",
        "bytes": 64,
        "sent_ns": int((arrived - 12) * 1000),
        "arrived_ns": int(arrived * 1000),
        "waiting": waiting,
        "copying": copying,
        "shown_ns": None,
        "answered_ns": None,
        "received_ns": None,
        "calls": [],
    }


def blocking():
    events = [
        call("accept4", 300, 1280, CONTROLS, result=5),
        event("state", "accepted", 1281, conn=1),
        event("callback", "on_open", 1282, 1283, conn=1),
        call("recv", 1291, 31340, COPIES, conn=1, asked=65536, result=64),
        event("callback", "on_data", 31341, 31343, conn=1, asked=64, result=64),
        call("send", 31345, 31380, COPIES, conn=1, asked=64, result=64),
        call("recv", 31382, 31450, COPIES, conn=1, asked=65536),
        call("close", 31475, 31490, CONTROLS, conn=1),
        event("state", "closed", 31491, conn=1),
        call("accept4", 31495, 40080, CONTROLS, result=5),
        event("state", "accepted", 40081, conn=2),
        call("recv", 40085, 40170, COPIES, conn=2, asked=65536, result=65536),
        call("send", 40173, 62200, COPIES, conn=2, asked=65536, result=ECONNRESET),
        event("state", "closed", 62210, conn=2, result=ECONNRESET),
    ]
    seen = message(
        31312, phase("process", "recv", 1291, 31312, 3), phase("process", "recv", 31312, 31340, 3)
    )
    return model("blocking", "blocking", events, [seen], 0)


def nonblocking():
    late = 140
    events = [
        call("accept4", 300, 1280, CONTROLS, result=EAGAIN, count=1823),
        call("accept4", 1281, 1290, CONTROLS, result=5),
        event("state", "accepted", 1290, conn=1),
        call("accept4", 1300, 31450, CONTROLS, result=EAGAIN, count=1423),
        call("recv", 1300, 31450, COPIES, conn=1, asked=65536, result=EAGAIN, count=1423),
        call("recv", 31453, 31460, COPIES, conn=1, asked=65536, result=64),
        event("callback", "on_data", 31461, 31462, conn=1, asked=64, result=64),
        call("send", 31463, 31480, COPIES, conn=1, asked=64, result=64),
    ]
    # What was not folded by who recorded it: rounds of three.
    for at in range(31500, 31560, 6):
        events += [
            call("recv", at, at + 1, COPIES, conn=1, asked=65536, result=EAGAIN),
            call("accept4", at + 2, at + 3, CONTROLS, result=EAGAIN),
            event("woken", "", at + 4),
        ]
    events += [
        call("recv", 31570, 31574, COPIES, conn=1, asked=65536),
        call("close", 31580, 31590, CONTROLS, conn=1),
        event("state", "closed", 31590, conn=1),
        call("accept4", 40221, 40225, CONTROLS, result=5),
        event("state", "accepted", 40226, conn=2),
        call("recv", 40300, 40310, COPIES, conn=2, asked=65536, result=65536),
        call("send", 40320, 40330, COPIES, conn=2, asked=65536, result=4096),
        event("queued", "", 40331, conn=2, result=61440),
        call("send", 40340, 62100, COPIES, conn=2, asked=61440, result=EAGAIN, count=8000),
        call("send", 62151, 62155, COPIES, conn=2, asked=61440, result=ECONNRESET),
        event("state", "closed", 62160, conn=2, result=ECONNRESET),
    ]
    seen = message(
        31452, phase("nobody", "recv", 1300, 31452, 4), phase("process", "recv", 31453, 31460, 5)
    )
    return model("nonblocking", "readiness", events, [seen], late)


def io_uring():
    late = 70
    events = [
        event("submitted", "accept", 280),
        call("io_uring_enter", 300, 1260, WAITS),
        event("completed", "accept", 1261, asked=1, result=5),
        event("state", "accepted", 1262, conn=1),
        event("submitted", "recv", 1270, conn=1),
        event("submitted", "poll", 1270, conn=1),
        call("io_uring_enter", 1280, 31400, WAITS, result=1),
        event("woken", "", 31400, result=1),
        event("completed", "recv", 31401, conn=1, asked=1, result=64),
        event("callback", "on_data", 31402, 31404, conn=1, asked=64, result=64),
        event("submitted", "send", 31405, conn=1, asked=64),
        call("io_uring_enter", 31406, 31450, WAITS, result=1),
        event("completed", "send", 31451, conn=1, result=64),
        call("io_uring_enter", 31452, 31510, WAITS, result=1),
        event("completed", "recv", 31511, conn=1),
        call("close", 31520, 31530, CONTROLS, conn=1),
        event("state", "closed", 31531, conn=1),
        call("io_uring_enter", 31540, 40140, WAITS, result=1),
        event("completed", "accept", 40141, asked=1, result=5),
        event("state", "accepted", 40142, conn=2),
    ]
    seen = message(
        31382,
        phase("kernel", "io_uring_enter", 1270, 31382, 6),
        phase("kernel", "recv", 31382, 31400, 8),
    )
    return model("io_uring", "proactor", events, [seen], late)


def document(models, **more):
    return {
        "schema_version": 1,
        "program": "pollux explain",
        "version": "0.1.0",
        "scenario": "exchange",
        "command": ["pollux", "explain"],
        "machine": {"system": "Linux"},
        "machine_line": "Linux, made up",
        "models": models,
        **more,
    }


def absent():
    return {"name": "kqueue", "runs": False, "reason": "only on BSD", "remedy": "", "events": []}


def three():
    return document([blocking(), nonblocking(), io_uring(), absent()])


def served():
    events = []
    for n in range(400):
        at, thread = 100 * n, n % 3
        events += [
            call("epoll_wait", at, at + 40, WAITS, result=1, thread=thread),
            event("woken", "", at + 40, result=1, thread=thread),
            call(
                "recv",
                at + 41,
                at + 45,
                COPIES,
                conn=n % 40 + 1,
                asked=65536,
                result=100,
                thread=thread,
            ),
            event(
                "callback",
                "on_data",
                at + 46,
                at + 50,
                conn=n % 40 + 1,
                asked=100,
                result=100,
                thread=thread,
            ),
        ]
    made = model("epoll", "readiness", events, [], 0, acts=[], steps=[], clients=[], lost=17)
    made["threads"] = [
        {"id": n, "process": 4711, "thread": 4711 + n, "name": "thread" if n else "main"}
        for n in range(3)
    ]
    return document([made], program="pollux serve", scenario=None, command=None)


def hostile():
    first, second = blocking(), io_uring()
    first["name"] = first["summary"] = HOSTILE[0]
    first["complaint"] = HOSTILE[1]
    first["events"][5]["name"] = HOSTILE[2]
    first["facts"] = {"waits": HOSTILE[1], "sentence": HOSTILE[0]}
    first["acts"][1]["title"] = HOSTILE[0]
    for made in first["steps"]:
        made["client"] = HOSTILE[1]
        made["text"] = HOSTILE[0]
    for key in ("facts", "messages", "steps", "acts", "threads", "clients", "limits"):
        del second[key]
    broken = absent()
    broken["name"] = broken["reason"] = HOSTILE[2]
    return document([first, second, broken], machine_line=HOSTILE[1], command=[HOSTILE[0]])


def empty():
    return document([])


KINDS = {"three": three, "served": served, "hostile": hostile, "empty": empty}

if __name__ == "__main__":
    json.dump(KINDS[sys.argv[1]](), sys.stdout)
