# SPDX-License-Identifier: MIT
"""Why a model may be limited where a scenario asks for more than it can do. Each is a property that
`pollux models` states. A model that is not named under a kind has no excuse of that kind."""

LOOP = (
    "one thread runs all handlers: one that does not return holds up every connection of its worker"
)

REASONS = {
    # Served one at a time: others wait, so nobody can be asked meanwhile; they are asked afterwards.
    "one": {
        "blocking": "one connection at a time by definition: others wait in the backlog until the "
        "one being served ends or its time limit ends it, and are served then",
    },
    # More connections than threads.
    "pool": {
        "threadpool": "serves --pool-size connections at a time: with more silent ones than "
        "threads, those beyond wait until a thread's time limit frees it, and are served then",
    },
    "refuse": {
        "blocking": "one connection at a time by definition, so the limit on connections is never "
        "exceeded: the others wait in the backlog and are served in their turn",
    },
    "descriptors": {
        "blocking": "one connection at a time by definition needs one descriptor, so it never runs "
        "out of them: the others wait in the backlog",
    },
    "backlog": {
        "blocking": "one connection at a time by definition: when it drains, who waits in the "
        "backlog and was never served is refused",
    },
    "stall": {
        name: LOOP
        for name in (
            *("nonblocking", "select", "poll", "epoll", "epoll-et", "sigio"),
            *("posix-aio", "io_uring"),
        )
    },
}
REASONS["stall"]["blocking"] = REASONS["one"]["blocking"]


def reason(kind, model):
    return REASONS[kind].get(model)
