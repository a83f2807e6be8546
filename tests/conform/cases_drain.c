/* SPDX-License-Identifier: MIT */
/* Polite ends: what was acknowledged is delivered, everybody sees an end and not a reset. */
#include "conform.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void ended(struct server *s)
{
    server_exit(s);
    REQUIRE(s->t, !shared->broken, "contract: %s", shared->broken_what);
    EXPECT(s->t, "calls of on_close, one for each on_open", shared->opens, shared->closes);
}

static int at_once(const struct test *t, int n)
{
    return has(t, PLX_CAP_CONCURRENT) ? n : 1;
}

static void drain_idle(struct test *t)
{
    enum { N = 5 };
    int fd[N];
    int n = at_once(t, N);
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    for (int i = 0; i < n; i++) {
        fd[i] = dial(&s);
        if (i % 2 == 0) {
            echo_once(t, fd[i], (uint64_t)i);
        }
    }
    AWAIT(t, shared->opens == n, "on_open of all");
    server_drain(&s);
    for (int i = 0; i < n; i++) {
        expect_eof(t, fd[i], "drain");
    }
    for (int i = 0; i < n; i++) {
        hang_up(fd[i]);
    }
    ended(&s);
    for (int i = 1; i <= n; i++) {
        EXPECT(t, "on_close: error", 0, shared->record[i].err);
    }
}

static void drain_without_connections(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    server_drain(&s);
    ended(&s);
}

/* What had arrived when the drain began is answered. */
static void drain_unread(struct test *t)
{
    enum { N = 4, SIZE = 20000 };
    int fd[N];
    int n = at_once(t, N);
    struct server s;
    server_start(t, &(struct server_opts){.handler = WITH_EOF}, &s);
    for (int i = 0; i < n; i++) {
        fd[i] = dial(&s);
        echo_once(t, fd[i], (uint64_t)i);
    }
    server_hold(&s);
    for (int i = 0; i < n; i++) {
        put_pattern(t, fd[i], 10 + (uint64_t)i, 0, SIZE);
    }
    nap(MS(20));
    server_drain(&s);
    server_signal(&s, SIGCONT);
    for (int i = 0; i < n; i++) {
        get_pattern(t, fd[i], 10 + (uint64_t)i, 0, SIZE);
        expect_eof(t, fd[i], "drain");
        hang_up(fd[i]);
    }
    ended(&s);
    EXPECT(t, "calls of on_eof", 1, shared->record[1].eofs);
}

/* One client of drain_load: streams numbered records, up to 32 KiB ahead of the answers. */
struct stream {
    int fd;
    uint64_t sent, got;
    bool ended;
};

static void stream_turn(const struct test *t, struct stream *c, uint64_t tag)
{
    unsigned char piece[4096], want[4096];
    if (c->sent - c->got < 32768) {
        pattern(piece, sizeof(piece), tag, c->sent);
        ssize_t k = send(c->fd, piece, sizeof(piece), MSG_NOSIGNAL);
        REQUIRE(t, k > 0 || errno == EAGAIN, "drain: send: expected success, got %s",
                plx_error_name(errno));
        c->sent += k > 0 ? (uint64_t)k : 0;
    }
    ssize_t k = recv(c->fd, piece, sizeof(piece), 0);
    REQUIRE(t, k >= 0 || errno == EAGAIN, "drain: recv: expected data or the end, got %s",
            plx_error_name(errno));
    if (k > 0) {
        pattern(want, (size_t)k, tag, c->got);
        REQUIRE(t, memcmp(piece, want, (size_t)k) == 0, "drain: answer out of order");
        c->got += (uint64_t)k;
    }
    c->ended = k == 0;
}

/* Under load: every answer is whole and in order; what the handler took and answered arrives,
 * nothing more; then comes the end. New connections are refused at once. */
static void drain_load(struct test *t)
{
    enum { N = 4 };
    struct stream c[N] = {0};
    struct server s;
    int n = at_once(t, N), open = n;
    bool told = false, tried = false;
    uint64_t got = 0;
    server_start(t, &(struct server_opts){.mode = MODE_RECORDS}, &s);
    for (int i = 0; i < n; i++) {
        c[i].fd = dial(&s);
    }
    int64_t start = now();
    while (open > 0) {
        struct pollfd p[N];
        for (int i = 0; i < n; i++) {
            short events = (short)(POLLIN | (c[i].sent - c[i].got < 32768 ? POLLOUT : 0));
            p[i] = (struct pollfd){.fd = c[i].ended ? -1 : c[i].fd, .events = events};
        }
        poll(p, (nfds_t)n, 100);
        for (int i = 0; i < n; i++) {
            if (!c[i].ended) {
                stream_turn(t, &c[i], (uint64_t)i);
                open -= c[i].ended;
            }
        }
        if (!told && now() - start > MS(200)) {
            told = true;
            server_drain(&s);
        }
        if (!tried && open < n) {
            tried = true;
            int rc = dial_errno(&s.addr[0]);
            EXPECT(t, "a new connection during the drain", -ECONNREFUSED, rc < 0 ? rc : 0);
        }
        REQUIRE(t, now() - start < PATIENCE, "drain: expected all connections to end, %d are open",
                open);
    }
    for (int i = 0; i < n; i++) {
        EXPECT(t, "answers: bytes beyond whole records", 0, c[i].got % RECORD);
        REQUIRE(t, c[i].got > 0, "expected answers before the drain");
        got += c[i].got / RECORD;
        hang_up(c[i].fd);
    }
    ended(&s);
    EXPECT(t, "records answered, as many as were taken", shared->value[0], got);
}

/* Output that is queued as the drain begins is flushed to a peer that reads it late. */
static void drain_flushes(struct test *t)
{
    struct server s;
    size_t extra = 0;
    server_start(t, &(struct server_opts){.mode = MODE_RECORDS}, &s);
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
    push(t, fd, 3, 10u << 20, MS(100));
    long long taken = shared->value[0];
    server_drain(&s);
    nap(MS(100));
    get_pattern(t, fd, 3, 0, (size_t)taken * RECORD);
    REQUIRE(t, ending(fd, PATIENCE, &extra) == ENDING_EOF, "drain: expected the end, got a reset");
    hang_up(fd);
    ended(&s);
    EXPECT(t, "bytes answered, as many as were taken", shared->value[0] * RECORD,
           (long long)extra + taken * RECORD);
}

/* A peer that never stops sending is not waited for without end: the linger time bounds it. */
static void drain_endless(struct test *t)
{
    static char piece[65536];
    struct server s;
    server_start(t, &(struct server_opts){.limits = {.linger_ns = MS(500)}}, &s);
    int fd = dial(&s);
    int64_t start = now();
    bool told = false, over = false;
    while (!over) {
        if (!told && now() - start > MS(100)) {
            told = true;
            server_drain(&s);
        }
        REQUIRE(t, now() - start < PATIENCE, "drain: expected the end, the echo goes on");
        (void)send(fd, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        over = n == 0 || (n < 0 && errno != EAGAIN);
    }
    hang_up(fd);
    ended(&s);
}

/* The second SIGTERM does not wait for a peer that will never read. */
static void stop_at_once(struct test *t)
{
    struct server s;
    atomic_store(&shared->value[0], 64 << 20);
    server_start(t, &(struct server_opts){.mode = MODE_GENERATE}, &s);
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
    put(t, fd, "G", 1);
    nap(MS(100));
    server_drain(&s);
    nap(MS(300));
    REQUIRE(t, waitpid(s.pid, NULL, WNOHANG) == 0, "drain: expected to wait for the peer, ended");
    server_drain(&s);
    ended(&s);
    EXPECT(t, "on_close: error", -ECANCELED, shared->record[1].err);
    hang_up(fd);
}

const struct case_row cases_drain[] = {
    {.name = "drain_idle", .run = drain_idle},
    {.name = "drain_without_connections", .run = drain_without_connections},
    {.name = "drain_unread", .run = drain_unread},
    {.name = "drain_load", .run = drain_load},
    {.name = "drain_endless", .run = drain_endless},
    {.name = "drain_flushes", .run = drain_flushes},
    {.name = "stop_at_once", .run = stop_at_once},
    {0},
};
