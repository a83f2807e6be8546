/* SPDX-License-Identifier: MIT */
/* Many connections, and what happens when there are too many: each limit refuses cleanly. */
#include "conform.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Whether a new connection is closed without a byte; a server that keeps it is told apart from
 * one that is slow to refuse by the answer it gives. */
static bool is_refused(const struct server *s)
{
    size_t extra = 0;
    int fd = dial(s);
    (void)!write(fd, "?", 1);
    enum ending e = ending(fd, SCALE(MS(700), MS(3000)), &extra);
    hang_up(fd);
    return e != ENDING_OPEN && extra == 0;
}

static void expect_refused(const struct server *s, int n)
{
    for (int i = 0; i < n; i++) {
        REQUIRE(s->t, is_refused(s), "connection over the limit: expected to be closed, is served");
    }
}

/* As connections leave there is room again, though perhaps not at once. */
static int dial_until_served(const struct server *s)
{
    int64_t end = now() + PATIENCE;
    for (;;) {
        int fd = dial(s);
        char c = 0;
        (void)!write(fd, "!", 1);
        int64_t wait = now() + MS(SCALE(500, 2000));
        while (now() < wait && recv(fd, &c, 1, MSG_PEEK) < 0 && errno == EAGAIN) {
            nap(MS(2));
        }
        if (recv(fd, &c, 1, 0) == 1 && c == '!') {
            return fd;
        }
        hang_up(fd);
        REQUIRE(s->t, now() < end, "room again: expected to be served, got nothing");
    }
}

/* 1 000 connections at once, or as many as the model's row says it can have. */
static void many(struct test *t)
{
    static int fd[1000];
    int n = SCALE(1000, 200);
    int limit = (int)t->model->max_connections;
    if (limit > 0 && limit < n) {
        n = limit;
        note(t, "%d connections: the model's limit", n);
    } else if (SANITIZED) {
        note(t, "%d connections instead of 1000: sanitizers are on", n);
    }
    struct plx_stats stats;
    struct server s;
    server_start(t, &(struct server_opts){.pool_size = (unsigned)n}, &s);
    for (int i = 0; i < n; i++) {
        fd[i] = dial(&s);
        put_pattern(t, fd[i], (uint64_t)i, 0, 50);
    }
    for (int i = 0; i < n; i++) {
        get_pattern(t, fd[i], (uint64_t)i, 0, 50);
    }
    server_stats(&s, &stats);
    EXPECT(t, "stats: open", n, stats.open);
    if (n == limit && !is(t, "select")) { /* its limit is on descriptors: select_limit */
        expect_refused(&s, 3);
    }
    for (int i = n - 1; i >= 0; i--) {
        put_pattern(t, fd[i], (uint64_t)i, 50, 50);
        get_pattern(t, fd[i], (uint64_t)i, 50, 50);
        hang_up(fd[i]);
    }
    AWAIT(t, atomic_load(&shared->closes) == n, "calls of on_close: expected %d, got %d", n,
          atomic_load(&shared->closes));
    server_end(&s);
}

/* One after another, for a model that serves one at a time: all of them wait and are served. */
static void many_in_turn(struct test *t)
{
    enum { N = 100 };
    int fd[N];
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    for (int i = 0; i < N; i++) {
        fd[i] = dial(&s);
        put_pattern(t, fd[i], (uint64_t)i, 0, 50);
    }
    for (int i = 0; i < N; i++) {
        get_pattern(t, fd[i], (uint64_t)i, 0, 50);
        hang_up(fd[i]);
    }
    server_end(&s);
}

static void max_connections(struct test *t)
{
    enum { N = 6, OVER = 3 };
    int fd[N];
    struct server s;
    struct plx_stats stats;
    server_start(t, &(struct server_opts){.max_connections = N}, &s);
    for (int i = 0; i < N; i++) {
        fd[i] = dial(&s);
        echo_once(t, fd[i], (uint64_t)i);
    }
    expect_refused(&s, OVER);
    AWAIT(t, (server_stats(&s, &stats), stats.refused == OVER),
          "stats: refused: expected %d, got %llu", OVER, (unsigned long long)stats.refused);
    EXPECT(t, "stats: open", N, stats.open);
    for (int i = 0; i < N; i++) {
        echo_once(t, fd[i], 100 + (uint64_t)i);
    }
    hang_up(fd[0]);
    fd[0] = dial_until_served(&s);
    for (int i = 0; i < N; i++) {
        hang_up(fd[i]);
    }
    AWAIT(t, shared->closes == shared->opens, "on_close of all");
    hang_up(dial_until_served(&s)); /* where a process is reaped the room comes a little later */
    server_end(&s);
}

static void max_per_ip(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.max_per_ip = 2}, &s);
    int a = dial(&s), b = dial(&s);
    echo_once(t, a, 1);
    echo_once(t, b, 2);
    expect_refused(&s, 2);
    int c = dial_with(&s, 0, &(struct dial){.from = "127.0.0.2"});
    echo_once(t, c, 3);
    hang_up(a);
    a = dial_until_served(&s);
    echo_once(t, b, 4);
    hang_up(a);
    hang_up(b);
    hang_up(c);
    AWAIT(t, shared->closes == shared->opens, "on_close of all");
    hang_up(dial_until_served(&s));
    server_end(&s);
    REQUIRE(t, shared->final.refused >= 2, "stats: refused: expected 2 or more, got %llu",
            (unsigned long long)shared->final.refused);
}

/* One at a time is within every limit: each is served in its turn. */
static void limits_in_turn(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.max_connections = 1, .max_per_ip = 1}, &s);
    for (uint64_t i = 0; i < 5; i++) {
        int fd = dial_until_served(&s);
        echo_once(t, fd, i);
        hang_up(fd);
        AWAIT(t, shared->closes == shared->opens, "on_close");
    }
    server_end(&s);
}

/* Two are served, two wait in the queue, the fifth is refused; who waits gets its turn. */
static void pool_full(struct test *t)
{
    int fd[4];
    struct server s;
    struct plx_stats stats;
    server_start(t, &(struct server_opts){.pool_size = 2, .pool_queue = 2}, &s);
    for (int i = 0; i < 4; i++) {
        fd[i] = dial(&s);
        put_pattern(t, fd[i], (uint64_t)i, 0, 50);
        if (i < 2) {
            get_pattern(t, fd[i], (uint64_t)i, 0, 50);
        }
    }
    REQUIRE(t, quiet(fd[2], MS(150)) && quiet(fd[3], MS(150)),
            "third and fourth: expected to wait, got an answer or an end");
    expect_refused(&s, 1);
    AWAIT(t, (server_stats(&s, &stats), stats.refused == 1), "stats: refused: expected 1, got %llu",
          (unsigned long long)stats.refused);
    echo_once(t, fd[1], 9);
    hang_up(fd[0]);
    get_pattern(t, fd[2], 2, 0, 50);
    hang_up(fd[1]);
    get_pattern(t, fd[3], 3, 0, 50);
    hang_up(fd[2]);
    hang_up(fd[3]);
    server_end(&s);
}

/* select(2) corrupts memory beyond FD_SETSIZE: connections there are refused, with the rest
 * unharmed. The process is given descriptors enough to get there. */
static void select_limit(struct test *t)
{
    static int fd[1200];
    int served = 0, refused = 0;
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    for (int i = 0; i < 1100; i++) {
        fd[i] = dial(&s);
        (void)!write(fd[i], "x", 1);
    }
    for (int i = 0; i < 1100; i++) {
        char c = 0;
        ssize_t n = -1;
        AWAIT(t, (n = recv(fd[i], &c, 1, 0)) >= 0 || errno != EAGAIN,
              "connection %d: expected an answer or an end", i);
        served += n == 1 && c == 'x';
        refused += n <= 0;
    }
    EXPECT(t, "served or refused", 1100, served + refused);
    REQUIRE(t, served >= 900 && refused >= 76,
            "expected 900 or more served and 76 or more refused, got %d and %d", served, refused);
    for (int i = 0; i < 1100; i++) {
        hang_up(fd[i]);
    }
    AWAIT(t, shared->closes == shared->opens, "on_close of all");
    server_end(&s);
}

/* Descriptors run out: who is there is served, who comes waits or is closed, nothing spins, and
 * when some leave there is room again. */
static void no_descriptors(struct test *t)
{
    enum { OLD = 4, MORE = 80 };
    int old[OLD], more[MORE];
    struct server s;
    struct usage before, after;
    server_start(t, &(struct server_opts){.pool_size = 128, .descriptors = 64}, &s);
    for (int i = 0; i < OLD; i++) {
        old[i] = dial(&s);
        echo_once(t, old[i], (uint64_t)i);
    }
    for (int i = 0; i < MORE; i++) {
        more[i] = dial(&s);
    }
    nap(MS(300));
    usage(s.pid, &before);
    nap(PLX_SECOND);
    usage(s.pid, &after);
    int64_t used = after.cpu_ns - before.cpu_ns;
    REQUIRE(t, spins(t) || used <= MS(250), "out of descriptors: expected no CPU time, got %lld ms",
            (long long)(used / PLX_MSEC));
    for (int i = 0; i < OLD; i++) {
        echo_once(t, old[i], 50 + (uint64_t)i);
    }
    for (int i = 0; i < MORE; i++) {
        hang_up(more[i]);
    }
    int fd = dial_until_served(&s);
    echo_once(t, fd, 60);
    hang_up(fd);
    for (int i = 0; i < OLD; i++) {
        hang_up(old[i]);
    }
    /* The queue of the listener may hold connections that ended long ago. */
    struct plx_stats stats;
    AWAIT(t, (server_stats(&s, &stats), stats.open == 0), "expected all connections to end");
    if (!is(t, "fork")) { /* its parent gives the descriptor away, and needs one at a time */
        REQUIRE(t, stats.accept_errors + stats.accept_pauses + stats.refused > 0,
                "stats: expected accept errors, pauses or refusals to be counted, got none");
    }
    server_end(&s);
}

/* One at a time needs one descriptor: with few left everybody is still served. */
static void few_descriptors(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.descriptors = 32}, &s);
    for (uint64_t i = 0; i < 40; i++) {
        int fd = dial(&s);
        echo_once(t, fd, i);
        hang_up(fd);
    }
    server_end(&s);
}

const struct case_row cases_limit[] = {
    {.name = "many", .run = many, .needs = PLX_CAP_CONCURRENT, .refuses = many_in_turn},
    {.name = "max_connections",
     .run = max_connections,
     .needs = PLX_CAP_CONCURRENT,
     .refuses = limits_in_turn},
    {.name = "max_per_ip", .run = max_per_ip, .needs = PLX_CAP_CONCURRENT},
    {.name = "pool_full", .run = pool_full, .only = "threadpool"},
    {.name = "select_limit", .run = select_limit, .only = "select"},
    {.name = "no_descriptors",
     .run = no_descriptors,
     .needs = PLX_CAP_CONCURRENT,
     .refuses = few_descriptors},
    {0},
};
