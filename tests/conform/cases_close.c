/* SPDX-License-Identifier: MIT */
/* Ends of every kind: on_close comes exactly once, last, and with the right reason. */
#include "conform.h"

#include <errno.h>
#include <signal.h>

static void end_in(struct server *s, enum end_where where, enum end_how how)
{
    static int count;
    static const int reasons[] = {[END_ABORT] = -EPROTO, [END_FINISH] = 0, [END_ERROR] = -EACCES};
    struct test *t = s->t;
    size_t extra = 0;
    count++;
    atomic_store(&shared->value[0], (int)where);
    atomic_store(&shared->value[1], (int)how);
    set_mode(MODE_END);
    int fd = dial_with(s, 0, &(struct dial){.rcvbuf = where == END_DRAIN ? 16384 : 0});
    /* Waits for on_open, which reads the values, so that none of them changes too early. */
    AWAIT(t, atomic_load(&shared->opens) >= count, "expected on_open of connection %d", count);
    if (where != END_OPEN && where != END_EOF) {
        put(t, fd, "go", 2);
    }
    if (where == END_EOF) {
        half_close(t, fd);
    }
    if (where == END_DATA && how == END_FINISH) {
        get_text(t, fd, "bye\n");
    }
    enum ending e = ending(fd, PATIENCE, &extra);
    REQUIRE(t, e != ENDING_OPEN, "where %d how %d: expected the end, got an open connection",
            (int)where, (int)how);
    if (how == END_FINISH) {
        REQUIRE(t, e == ENDING_EOF, "where %d: plx_finish(): expected the end, got a reset",
                (int)where);
        REQUIRE(t, where == END_DRAIN || extra == 0, "where %d: expected no more bytes, got %zu",
                (int)where, extra);
    }
    if (where == END_OPEN && how == END_FINISH) {
        /* After the end of our side what the peer says is discarded, not answered by a reset. */
        put(t, fd, "ignored", 7);
    }
    hang_up(fd);
    const struct record *r = closed_record(t, count);
    EXPECT(t, "on_close: error", reasons[how], r->err);
    EXPECT(t, "calls of on_close", 1, r->closes);
    EXPECT(t, "calls of on_drain", where == END_DRAIN, r->drains);
    if (where == END_OPEN) {
        EXPECT(t, "calls of on_data", 0, r->datas);
    }
}

static void end_in_callbacks(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_END, .handler = WITH_EOF}, &s);
    end_in(&s, END_OPEN, END_ABORT);
    end_in(&s, END_OPEN, END_FINISH);
    end_in(&s, END_OPEN, END_ERROR);
    end_in(&s, END_DATA, END_ABORT);
    end_in(&s, END_DATA, END_FINISH);
    end_in(&s, END_DATA, END_ERROR);
    end_in(&s, END_DRAIN, END_ABORT);
    end_in(&s, END_DRAIN, END_FINISH);
    end_in(&s, END_EOF, END_ABORT);
    end_in(&s, END_EOF, END_FINISH);
    server_end(&s);
}

/* A peer that sees our end and stays is awaited for linger_ns, no longer. */
static void linger_ends(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ONCE, .limits = {.linger_ns = MS(300)}}, &s);
    int fd = dial(&s);
    int64_t start = now();
    put(t, fd, "x", 1);
    get_text(t, fd, "x");
    expect_eof(t, fd, "after plx_finish()");
    closed_record(t, 1);
    REQUIRE(t, now() - start >= MS(250), "linger: expected 300 ms of waiting, got %lld ms",
            (long long)((now() - start) / PLX_MSEC));
    hang_up(fd);
    server_end(&s);
}

/* A last answer reaches a peer that is still sending: closing with unread input would turn it
 * into a reset that destroys it (RFC 1122, 4.2.2.13). */
static void last_words(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ONCE}, &s);
    int fd = dial(&s);
    put(t, fd, "hello", 5);
    get_text(t, fd, "hello");
    expect_eof(t, fd, "after the answer");
    put_pattern(t, fd, 1, 0, 100000);
    hang_up(fd);
    EXPECT(t, "on_close: error", 0, closed_record(t, 1)->err);
    server_end(&s);
}

static void reset_in_transfer(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    int other = has(t, PLX_CAP_CONCURRENT) ? dial(&s) : -1;
    if (other >= 0) {
        echo_once(t, other, 1);
    }
    int before = atomic_load(&shared->opens);
    for (int i = 1; i <= 10; i++) {
        int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
        exchange(t, fd, 2, 0, 20000, 20000);
        push(t, fd, 3, 1u << 20, MS(20));
        reset(fd);
        const struct record *r = closed_record(t, before + i);
        REQUIRE(t, r->err == -ECONNRESET || r->err == -EPIPE,
                "on_close: expected ECONNRESET or EPIPE, got %s", plx_error_name(r->err));
        EXPECT(t, "calls of on_close", 1, r->closes);
    }
    if (other >= 0) {
        echo_once(t, other, 4);
        hang_up(other);
    }
    server_end(&s);
    EXPECT(t, "stats: resets", 10, shared->final.resets);
}

/* A reset before the server has looked at the connection at all, still in the accept queue. */
static void reset_unaccepted(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    server_hold(&s);
    for (int i = 0; i < 20; i++) {
        int fd = dial(&s);
        if (i % 2) {
            put(t, fd, "data", 4);
        }
        reset(fd);
    }
    server_signal(&s, SIGCONT);
    server_end(&s);
}

/* The server writes to peers that are gone, with the process's SIGPIPE as it was: default. */
static void no_sigpipe(struct test *t)
{
    struct server s;
    atomic_store(&shared->value[0], 4 << 20);
    server_start(t, &(struct server_opts){.mode = MODE_GENERATE}, &s);
    for (int i = 0; i < 10; i++) {
        int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
        put(t, fd, "G", 1);
        char piece[100];
        get(t, fd, piece, sizeof(piece));
        if (i % 2) {
            reset(fd);
        } else {
            hang_up(fd);
        }
        closed_record(t, i + 1);
    }
    server_end(&s);
    EXPECT(t, "stats: resets", 10, shared->final.resets);
}

const struct case_row cases_close[] = {
    {.name = "end_in_callbacks", .run = end_in_callbacks},
    {.name = "linger_ends", .run = linger_ends},
    {.name = "last_words", .run = last_words},
    {.name = "reset_in_transfer", .run = reset_in_transfer},
    {.name = "reset_unaccepted", .run = reset_unaccepted},
    {.name = "no_sigpipe", .run = no_sigpipe},
    {0},
};
