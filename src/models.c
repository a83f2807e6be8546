/* SPDX-License-Identifier: MIT */
/*
 * The table of models. A model is a row: engine x selector x flags.
 *
 * Everything that speaks of models iterates this table: the option --model, `pollux models`, the
 * conformance tests, the manual. There is no #ifdef here: a file always compiles, and where its
 * facility is missing its probe says so in words.
 */
#include "core/core.h"
#include "selector/backends.h"

#include <errno.h>
#include <string.h>

#define CAPS_LOOP                                                                                  \
    (PLX_CAP_POST | PLX_CAP_WATCH | PLX_CAP_CONCURRENT | PLX_CAP_CONNECT | PLX_CAP_SHARED)

static const struct plx__model models[] = {
    {
        .pub = {.name = "blocking",
                .engine = "blocking",
                .waits_in = "recv",
                .copies_in = "recv",
                .summary = "one connection at a time: accept, serve it to its end, accept the next",
                .limits = "one connection at a time; others wait in the backlog; timers, posted "
                          "work and a slow callback's neighbours wait with them",
                .caps = PLX_CAP_CONNECT | PLX_CAP_SHARED,
                .max_connections = 1},
        .engine = &plx__blocking_engine,
        .spread = PLX__IN_PLACE,
    },
    {
        .pub = {.name = "fork",
                .engine = "blocking",
                .waits_in = "recv",
                .copies_in = "recv",
                .summary = "a process per connection",
                .limits = "a handler's memory is its own process's; no outgoing connections; at "
                          "most 4096 processes per worker",
                .caps = PLX_CAP_WATCH | PLX_CAP_CONCURRENT | PLX_CAP_ISOLATED | PLX_CAP_STALL |
                        PLX_CAP_SHARED,
                .max_connections = 4096},
        .engine = &plx__blocking_engine,
        .spread = PLX__PROCESS,
    },
    {
        .pub = {.name = "threads",
                .engine = "blocking",
                .waits_in = "recv",
                .copies_in = "recv",
                .summary = "a thread per connection",
                .limits = "a stack of 256 KiB each; a thread in recv cannot be posted to",
                .caps = PLX_CAP_WATCH | PLX_CAP_CONCURRENT | PLX_CAP_STALL | PLX_CAP_CONNECT |
                        PLX_CAP_SHARED},
        .engine = &plx__blocking_engine,
        .spread = PLX__THREAD,
    },
    {
        .pub = {.name = "threadpool",
                .engine = "blocking",
                .waits_in = "recv",
                .copies_in = "recv",
                .summary = "fixed threads and a bounded queue of accepted connections",
                .limits = "serves --pool-size connections at a time; --pool-queue more wait in "
                          "order of arrival; beyond that the newest is closed at once",
                .caps = PLX_CAP_WATCH | PLX_CAP_CONCURRENT | PLX_CAP_STALL | PLX_CAP_CONNECT |
                        PLX_CAP_SHARED},
        .engine = &plx__blocking_engine,
        .spread = PLX__POOL,
    },
    {
        .pub = {.name = "nonblocking",
                .engine = "readiness",
                .waits_in = "nobody: it spins",
                .copies_in = "recv",
                .summary = "polls every descriptor in turn; EAGAIN means not yet",
                .limits = "burns a whole core, idle or not, unless --poll-pause is given",
                .caps = CAPS_LOOP},
        .engine = &plx__readiness_engine,
        .selector = &plx__polling_ops,
    },
    {
        .pub = {.name = "select",
                .engine = "readiness",
                .waits_in = "select",
                .copies_in = "recv",
                .summary = "select(2)",
                .limits = "descriptors below FD_SETSIZE (1024) only: a connection beyond is "
                          "refused; cost grows with the connections watched",
                .caps = CAPS_LOOP,
                .max_connections = 1000},
        .engine = &plx__readiness_engine,
        .selector = &plx__select_ops,
        .rank = 1,
    },
    {
        .pub = {.name = "poll",
                .engine = "readiness",
                .waits_in = "poll",
                .copies_in = "recv",
                .summary = "poll(2)",
                .limits = "cost grows with the connections watched",
                .caps = CAPS_LOOP},
        .engine = &plx__readiness_engine,
        .selector = &plx__poll_ops,
        .rank = 2,
    },
    {
        .pub = {.name = "epoll",
                .engine = "readiness",
                .waits_in = "epoll_wait",
                .copies_in = "recv",
                .summary = "epoll(7), level-triggered",
                .limits = "",
                .caps = CAPS_LOOP | PLX_CAP_EXCLUSIVE},
        .engine = &plx__readiness_engine,
        .selector = &plx__epoll_ops,
        .rank = 4,
    },
    {
        .pub = {.name = "epoll-et",
                .engine = "readiness",
                .waits_in = "epoll_wait",
                .copies_in = "recv",
                .summary = "epoll(7), edge-triggered: read and write until EAGAIN",
                .limits = "",
                .caps = CAPS_LOOP | PLX_CAP_EXCLUSIVE},
        .engine = &plx__readiness_engine,
        .selector = &plx__epoll_et_ops,
    },
    {
        .pub = {.name = "kqueue",
                .engine = "readiness",
                .waits_in = "kevent",
                .copies_in = "recv",
                .summary = "kqueue(2) of the BSDs and macOS",
                .limits = "",
                .caps = CAPS_LOOP},
        .engine = &plx__readiness_engine,
        .selector = &plx__kqueue_ops,
        .rank = 4,
    },
    {
        .pub =
            {.name = "sigio",
             .engine = "readiness",
             .waits_in = "sigtimedwait",
             .copies_in = "recv",
             .summary = "signal-driven I/O: F_SETSIG real-time signals",
             .limits =
                 "one signal in the queue per event (RLIMIT_SIGPENDING); an overflow is "
                 "recovered by polling everything; workers cannot share a listening socket, which "
                 "has one owner: --accept reuseport",
             .caps = CAPS_LOOP & ~PLX_CAP_SHARED},
        .engine = &plx__readiness_engine,
        .selector = &plx__sigio_ops,
    },
    {
        .pub = {.name = "posix-aio",
                .engine = "proactor",
                .waits_in = "a thread of libc",
                .copies_in = "a thread of libc",
                .summary = "POSIX asynchronous I/O; with glibc, helper threads that block in read",
                .limits = "a helper thread per pending operation, up to 2048 in the process, so "
                          "1000 connections; more are refused",
                .caps = CAPS_LOOP,
                .max_connections = 1000},
        .engine = &plx__posix_aio_engine,
    },
    {
        .pub = {.name = "io_uring",
                .engine = "proactor",
                .waits_in = "kernel",
                .copies_in = "kernel",
                .summary = "completions: multishot accept and receive, provided buffers",
                .limits = "",
                .caps = CAPS_LOOP},
        .engine = &plx__uring_engine,
        .rank = 5,
    },
    {
        .pub = {.name = "iocp",
                .engine = "",
                .waits_in = "kernel",
                .copies_in = "kernel",
                .summary = "I/O completion ports of Windows",
                .limits = ""},
        .missing = "not built yet: I/O completion ports are a facility of Windows",
    },
    {
        .pub = {.name = "devpoll",
                .engine = "",
                .waits_in = "ioctl(DP_POLL)",
                .copies_in = "recv",
                .summary = "/dev/poll of Solaris",
                .limits = ""},
        .missing = "not built yet: /dev/poll is a facility of Solaris",
    },
    {
        .pub = {.name = "auto",
                .engine = "",
                .waits_in = "as the model it takes",
                .copies_in = "as the model it takes",
                .summary = "the best model that this machine allows",
                .limits = ""},
    },
};

#define NMODELS (sizeof(models) / sizeof(models[0]))

static const struct plx__model *added;
static size_t nadded;

void plx__models_add(const struct plx__model *rows, size_t n)
{
    added = rows;
    nadded = n;
}

const struct plx_model *plx_model_at(size_t i)
{
    if (i < NMODELS)
        return &models[i].pub;
    return i - NMODELS < nadded ? &added[i - NMODELS].pub : NULL;
}

const struct plx_model *plx_model_find(const char *name)
{
    const struct plx_model *m;
    for (size_t i = 0; (m = plx_model_at(i)); i++) {
        if (strcmp(m->name, name) == 0)
            return m;
    }
    return NULL;
}

int plx_model_probe(const struct plx_model *m, struct plx_why *why)
{
    const struct plx__model *row = plx__row(m);
    if (row->engine)
        return row->engine->probe(m, why);
    if (!row->missing) /* auto: there is always something to take */
        return 0;
    plx__why(why, "", "%s", row->missing);
    return -ENOSYS;
}

const struct plx_model *
plx_model_auto(void (*passed)(const struct plx_model *, const struct plx_why *, void *), void *arg)
{
    int above = 1000;
    for (;;) {
        int best = 0;
        for (size_t i = 0; i < NMODELS; i++) {
            if (models[i].rank < above && models[i].rank > best)
                best = models[i].rank;
        }
        if (!best)
            return NULL;
        for (size_t i = 0; i < NMODELS; i++) {
            struct plx_why why;
            if (models[i].rank != best)
                continue;
            if (plx_model_probe(&models[i].pub, &why) == 0)
                return &models[i].pub;
            if (passed)
                passed(&models[i].pub, &why, arg);
        }
        above = best;
    }
}
