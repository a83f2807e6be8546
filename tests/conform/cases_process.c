/* SPDX-License-Identifier: MIT */
/* The process around the server: signals, crashes, threads, descriptors that are used again. */
#include "conform.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Signals with a handler interrupt every wait (EINTR), in every thread and process; nothing may
 * be lost or end by that. */
static void signals(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    int fd = dial(&s);
    for (size_t i = 0; i < 100; i++) {
        for (int k = 0; k < 10; k++) {
            server_signal(&s, SIGUSR1);
        }
        exchange(t, fd, 1, i * 10000, 10000, 3000);
        if (i % 10 == 0) {
            nap(MS(2)); /* so that signals meet the server waiting, too */
        }
    }
    half_close(t, fd);
    expect_eof(t, fd, "after the echo");
    hang_up(fd);
    server_end(&s);
    EXPECT(t, "stats: errors", 0, shared->final.errors);
}

/* Crashing connections take themselves along and nothing else. */
static void crash(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_CRASH}, &s);
    int other = dial(&s);
    echo_once(t, other, 1);
    for (int i = 0; i < 5; i++) {
        int fd = dial(&s);
        put(t, fd, "X", 1);
        REQUIRE(t, ending(fd, PATIENCE, NULL) != ENDING_OPEN,
                "crashed connection: expected its end");
        hang_up(fd);
    }
    echo_once(t, other, 2);
    hang_up(other);
    server_probe(&s);
    server_settle(&s);
    struct plx_stats stats;
    server_stats(&s, &stats);
    EXPECT(t, "stats: open", 0, stats.open);
    server_drain(&s);
    server_exit(&s);
    REQUIRE(t, !shared->broken, "contract: %s", shared->broken_what);
}

/* A callback that takes its time holds up its own connection only. */
static void stall(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_STALL}, &s);
    int slow = dial(&s), fast = dial(&s);
    echo_once(t, fast, 1);
    put(t, slow, "Z", 1);
    nap(MS(20));
    for (int i = 0; i < 10; i++) {
        put(t, fast, "abc", 3);
        get_text(t, fast, "abc");
    }
    REQUIRE(t, quiet(slow, 0), "expected the slow callback to be still running");
    get_text(t, slow, "Z");
    hang_up(slow);
    hang_up(fast);
    server_end(&s);
}

/* How many threads of the server have a name of their own, not the program's. */
static int named_threads(const struct server *s)
{
    static char names[256][16];
    char program[16] = "";
    int n = thread_names(s->pid, names, 256), own = 0;
    prctl(PR_GET_NAME, program);
    for (int i = 0; i < n; i++) {
        own += names[i][0] && strcmp(names[i], program) != 0;
    }
    return own;
}

static void threads_named(struct test *t)
{
    enum { N = 5 };
    int fd[N];
    struct server s;
    struct census c;
    server_start(t, &(struct server_opts){0}, &s);
    for (int i = 0; i < N; i++) {
        fd[i] = dial(&s);
        echo_once(t, fd[i], (uint64_t)i);
    }
    REQUIRE(t, census(s.pid, &c), "/proc");
    EXPECT(t, "threads", s.base.threads + N, c.threads);
    REQUIRE(t, named_threads(&s) >= N, "threads with a name: expected %d or more, got %d", N,
            named_threads(&s));
    for (int i = 0; i < N; i++) {
        hang_up(fd[i]);
        AWAIT(t, census(s.pid, &c) && c.threads <= s.base.threads + N - 1 - i,
              "a thread whose client has left: expected it to end, it is there");
    }
    server_end(&s);
}

static void pool_named(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.pool_size = 3}, &s);
    REQUIRE(t, named_threads(&s) >= 3, "threads with a name: expected 3 or more, got %d",
            named_threads(&s));
    server_end(&s);
}

/* One round: the client's close meets the server's, and the next connection, which is likely to
 * get the same descriptor, is already there. Each round's bytes bear its number. */
static void reuse_round(struct test *t, const struct server *s, unsigned round)
{
    char text[16], got[16];
    int n = snprintf(text, sizeof(text), "<%06u>", round);
    int fd = dial(s);
    put(t, fd, text, (size_t)n);
    switch (round % 4) {
    case 0: reset(fd); return;
    case 1: hang_up(fd); return;
    case 2: half_close(t, fd); break;
    default: break;
    }
    get(t, fd, got, (size_t)n);
    REQUIRE(t, memcmp(text, got, (size_t)n) == 0, "round %u: expected %s, got %.*s", round, text, n,
            got);
    expect_eof(t, fd, "round");
    hang_up(fd);
}

static void descriptor_reuse(struct test *t)
{
    struct server s;
    unsigned rounds = SCALE(2000, 300);
    if (SANITIZED) {
        note(t, "%u rounds instead of 2000: sanitizers are on", rounds);
    }
    server_start(t, &(struct server_opts){.mode = MODE_ONCE, .max_connections = PLX_OFF}, &s);
    for (unsigned i = 0; i < rounds; i++) {
        reuse_round(t, &s, i);
    }
    server_end(&s);
}

const struct case_row cases_process[] = {
    {.name = "signals", .run = signals},
    {.name = "crash", .run = crash, .needs = PLX_CAP_ISOLATED},
    {.name = "stall", .run = stall, .needs = PLX_CAP_STALL | PLX_CAP_CONCURRENT},
    {.name = "threads_named", .run = threads_named, .only = "threads"},
    {.name = "pool_named", .run = pool_named, .only = "threadpool"},
    {.name = "descriptor_reuse", .run = descriptor_reuse},
    {0},
};
