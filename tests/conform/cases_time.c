/* SPDX-License-Identifier: MIT */
/* Timeouts, timers, and a process that was stopped for a while. */
#include "conform.h"

#include <errno.h>
#include <signal.h>

static void idle_timeout(struct test *t)
{
    struct server s;
    struct plx_stats stats;
    const int64_t idle = MS(SCALE(500, 1500));
    server_start(t, &(struct server_opts){.limits = {.idle_ns = idle}}, &s);
    int busy = dial(&s);
    for (int64_t end = now() + 3 * idle; now() < end; nap(idle / 10)) {
        echo_once(t, busy, 1);
    }
    server_stats(&s, &stats);
    EXPECT(t, "busy connection: stats: timeouts_idle", 0, stats.timeouts_idle);
    hang_up(busy);
    closed_record(t, 1);
    for (int i = 0; i < 2; i++) { /* one that said something, one that never did */
        int fd = dial(&s);
        if (i) {
            echo_once(t, fd, 2);
        }
        int64_t start = now();
        expect_eof(t, fd, "idle connection");
        int64_t took = now() - start;
        REQUIRE(t, took >= idle * 8 / 10, "idle timeout: expected after %lld ms, came after %lld",
                (long long)(idle / PLX_MSEC), (long long)(took / PLX_MSEC));
        hang_up(fd);
        EXPECT(t, "on_close: error", -ETIMEDOUT, closed_record(t, 2 + i)->err);
    }
    server_end(&s);
    EXPECT(t, "stats: timeouts_idle", 2, shared->final.timeouts_idle);
}

/* Who says nothing is found out also while the loop has its hands full with somebody else, and
 * that one, whose answers are late through no fault of his, is not. */
static void idle_under_load(struct test *t)
{
    struct server s;
    size_t extra = 0;
    server_start(t, &(struct server_opts){.mode = MODE_STALL, .limits = {.idle_ns = MS(600)}}, &s);
    int busy = dial(&s), silent = dial(&s);
    echo_once(t, silent, 1);
    int64_t end = now() + SCALE(12, 20) * PLX_SECOND;
    while (quiet(silent, 0)) {
        REQUIRE(t, now() < end, "a silent connection beside a busy one: expected its end");
        put(t, busy, "Z", 1);
        get_text(t, busy, "Z");
    }
    EXPECT(t, "silent connection", ENDING_EOF, ending(silent, 0, &extra));
    echo_once(t, busy, 2);
    hang_up(silent);
    hang_up(busy);
    server_end(&s);
    EXPECT(t, "stats: timeouts_idle", 1, shared->final.timeouts_idle);
}

static void write_timeout(struct test *t)
{
    struct server s;
    atomic_store(&shared->value[0], 64 << 20);
    server_start(t, &(struct server_opts){.mode = MODE_GENERATE, .limits = {.write_ns = MS(400)}},
                 &s);
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
    put(t, fd, "G", 1);
    const struct record *r = closed_record(t, 1);
    EXPECT(t, "on_close: error", -ETIMEDOUT, r->err);
    hang_up(fd);
    server_end(&s);
    EXPECT(t, "stats: timeouts_write", 1, shared->final.timeouts_write);
    EXPECT(t, "stats: timeouts_idle", 0, shared->final.timeouts_idle);
}

/* Slow is not stalled: a peer that takes a little again and again is not closed, although the
 * kernel reports room only when a third of a large buffer is free. */
static void slow_but_moving(struct test *t)
{
    enum { PIECE = 16384, PIECES = 60 };
    const size_t total = 8u << 20;
    struct server s;
    atomic_store(&shared->value[0], (long long)total);
    server_start(
        t,
        &(struct server_opts){.mode = MODE_GENERATE, .limits = {.write_ns = MS(SCALE(600, 1500))}},
        &s);
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 32768});
    put(t, fd, "G", 1);
    for (size_t i = 0; i < PIECES; i++) {
        get_pattern(t, fd, 7, i * PIECE, PIECE);
        nap(MS(SCALE(30, 60)));
    }
    EXPECT(t, "calls of on_close while the peer reads", 0, shared->closes);
    get_pattern(t, fd, 7, PIECES * PIECE, total - PIECES * PIECE);
    expect_eof(t, fd, "after all data");
    hang_up(fd);
    server_end(&s);
    EXPECT(t, "stats: timeouts_write", 0, shared->final.timeouts_write);
}

static void timer(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_TICK}, &s);
    int fd = dial(&s);
    get_text(t, fd, "tick\n");
    REQUIRE(t, shared->value[0] >= MS(50), "timer of 50 ms: called early, after %lld us",
            atomic_load(&shared->value[0]) / 1000);
    echo_once(t, fd, 1);
    hang_up(fd);
    closed_record(t, 1);
    /* A connection that ends before its timer stops it; the recorder would tell. */
    fd = dial(&s);
    AWAIT(t, shared->opens == 2, "on_open");
    hang_up(fd);
    closed_record(t, 2);
    nap(MS(80));
    server_end(&s);
}

static void timer_repeats(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_REPEAT}, &s);
    int fd = dial(&s);
    get_text(t, fd, "r\nr\nr\n");
    REQUIRE(t, quiet(fd, MS(60)), "a timer that stopped itself: expected silence");
    echo_once(t, fd, 1);
    hang_up(fd);
    server_end(&s);
}

/* Input that came while the process was stopped is read before idle time is judged; waits that
 * the stop interrupted (signal(7): EINTR even without a handler) go on. The stop comes while the
 * server is at work on the first connection, to meet it between its wait and its clock, too. */
static void stopped(struct test *t)
{
    enum { N = 4 };
    int fd[N];
    int n = has(t, PLX_CAP_CONCURRENT) ? N : 1;
    struct server s;
    const int64_t idle = MS(SCALE(1000, 2500));
    server_start(t, &(struct server_opts){.limits = {.idle_ns = idle}}, &s);
    for (int i = 0; i < n; i++) {
        fd[i] = dial(&s);
        echo_once(t, fd[i], (uint64_t)i);
    }
    for (uint64_t round = 0; round < 2; round++) {
        put_pattern(t, fd[0], 5, 0, 3000);
        server_hold(&s);
        for (int i = 0; i < n; i++) {
            put_pattern(t, fd[i], 10 + (uint64_t)i, 0, 1000);
        }
        nap(idle + MS(200));
        server_signal(&s, SIGCONT);
        get_pattern(t, fd[0], 5, 0, 3000);
        for (int i = 0; i < n; i++) {
            get_pattern(t, fd[i], 10 + (uint64_t)i, 0, 1000);
        }
    }
    for (int i = 0; i < n; i++) {
        echo_once(t, fd[i], 20 + (uint64_t)i);
        hang_up(fd[i]);
    }
    AWAIT(t, shared->closes == shared->opens, "on_close of all");
    server_end(&s);
    EXPECT(t, "stats: timeouts_idle", 0, shared->final.timeouts_idle);
}

const struct case_row cases_time[] = {
    {.name = "idle_timeout", .run = idle_timeout},
    {.name = "idle_under_load", .run = idle_under_load, .needs = PLX_CAP_CONCURRENT},
    {.name = "write_timeout", .run = write_timeout},
    {.name = "slow_but_moving", .run = slow_but_moving},
    {.name = "timer", .run = timer},
    {.name = "timer_repeats", .run = timer_repeats},
    {.name = "stopped", .run = stopped},
    {0},
};
