/* SPDX-License-Identifier: MIT */
/* What comes in goes out: whole, in pieces, half-closed, urgent, in lines, spoken first. */
#include "conform.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void echo_whole(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    static const size_t sizes[] = {1, 100, 4096, 65537, 3u << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int fd = dial(&s);
        exchange(t, fd, i, 0, sizes[i], sizes[i]);
        half_close(t, fd);
        expect_eof(t, fd, "after the echo");
        hang_up(fd);
        EXPECT(t, "on_close: error", 0, closed_record(t, (int)i + 1)->err);
        EXPECT(t, "bytes seen by on_data", sizes[i], closed_record(t, (int)i + 1)->bytes);
    }
    server_end(&s);
    EXPECT(t, "stats: bytes_in", shared->final.bytes_out, shared->final.bytes_in);
}

static void echo_pieces(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    int fd = dial(&s);
    exchange(t, fd, 1, 0, 4000, 1);
    exchange(t, fd, 1, 4000, 70001, 997);
    hang_up(fd);
    server_end(&s);
}

static void echo_interleaved(struct test *t)
{
    enum { N = 12 };
    int fd[N];
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    for (int i = 0; i < N; i++) {
        fd[i] = dial(&s);
    }
    for (uint64_t round = 0; round < 50; round++) {
        for (int i = 0; i < N; i++) {
            put_pattern(t, fd[i], (uint64_t)i, round * 200, 200);
        }
        for (int i = N - 1; i >= 0; i--) {
            get_pattern(t, fd[i], (uint64_t)i, round * 200, 200);
        }
    }
    for (int i = 0; i < N; i++) {
        hang_up(fd[i]);
    }
    server_end(&s);
}

/* `blocking` and its like: the second client waits, unharmed, until the first has left. */
static void second_waits(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    int first = dial(&s);
    echo_once(t, first, 1);
    int second = dial(&s);
    put_pattern(t, second, 2, 0, 100);
    REQUIRE(t, quiet(second, MS(200)), "second client: expected to wait, got an answer or an end");
    echo_once(t, first, 3);
    hang_up(first);
    get_pattern(t, second, 2, 0, 100);
    hang_up(second);
    server_end(&s);
}

static void half_close_at_0_with(struct test *t, bool with_eof)
{
    struct server s;
    server_start(t, &(struct server_opts){.handler = with_eof ? WITH_EOF : PLAIN}, &s);
    int fd = dial(&s);
    half_close(t, fd);
    expect_eof(t, fd, "after a half-close at byte 0");
    hang_up(fd);
    const struct record *r = closed_record(t, 1);
    EXPECT(t, "on_close: error", 0, r->err);
    EXPECT(t, "calls of on_data", 0, r->datas);
    EXPECT(t, "calls of on_eof", with_eof, r->eofs);
    server_end(&s);
    EXPECT(t, "stats: errors", 0, shared->final.errors + shared->final.resets);
}

static void half_close_at_0(struct test *t)
{
    half_close_at_0_with(t, false);
}

static void half_close_at_0_on_eof(struct test *t)
{
    half_close_at_0_with(t, true);
}

static void half_close_after_with(struct test *t, bool with_eof)
{
    enum { N = 60000 };
    struct server s;
    server_start(t, &(struct server_opts){.handler = with_eof ? WITH_EOF : PLAIN}, &s);
    int fd = dial(&s);
    put_pattern(t, fd, 5, 0, N);
    half_close(t, fd);
    get_pattern(t, fd, 5, 0, N);
    expect_eof(t, fd, "after all data");
    hang_up(fd);
    const struct record *r = closed_record(t, 1);
    EXPECT(t, "on_close: error", 0, r->err);
    EXPECT(t, "bytes seen by on_data", N, r->bytes);
    EXPECT(t, "calls of on_eof", with_eof, r->eofs);
    server_end(&s);
}

static void half_close_after(struct test *t)
{
    half_close_after_with(t, false);
}

static void half_close_after_on_eof(struct test *t)
{
    half_close_after_with(t, true);
}

static void lines(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_LINES}, &s);
    int fd = dial(&s);
    put(t, fd, "one\ntwo\nthree\nfo", 16);
    get_text(t, fd, "one\ntwo\nthree\n");
    REQUIRE(t, quiet(fd, MS(50)), "half a line: expected no answer, got one");
    put(t, fd, "u", 1);
    put(t, fd, "r\n\nfive", 7);
    get_text(t, fd, "four\n\n");
    put(t, fd, "\n", 1);
    get_text(t, fd, "five\n");
    /* What is no whole line when the peer ends is the handler's loss, not an error. */
    put(t, fd, "rest", 4);
    half_close(t, fd);
    expect_eof(t, fd, "after half a line");
    hang_up(fd);
    EXPECT(t, "on_close: error", 0, closed_record(t, 1)->err);
    server_end(&s);
}

/* Consuming nothing: what is left is joined with what comes, in order, across many reads. */
static void needs_more(struct test *t)
{
    enum { N = 100000 };
    struct server s;
    atomic_store(&shared->value[0], N);
    server_start(t, &(struct server_opts){.mode = MODE_NEED}, &s);
    int fd = dial(&s);
    put_pattern(t, fd, 6, 0, 10);
    nap(MS(20));
    put_pattern(t, fd, 6, 10, N - 11);
    REQUIRE(t, quiet(fd, MS(50)), "1 byte short: expected no answer, got one");
    put_pattern(t, fd, 6, N - 1, 1);
    get_pattern(t, fd, 6, 0, N);
    hang_up(fd);
    EXPECT(t, "bytes consumed", N, closed_record(t, 1)->bytes);
    server_end(&s);
}

static void speaks_first(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_GREET}, &s);
    int fd = dial(&s);
    get_text(t, fd, "hello\n");
    echo_once(t, fd, 8);
    hang_up(fd);
    server_end(&s);
}

static void put_urgent(const struct test *t, int fd, char c)
{
    REQUIRE(t, send(fd, &c, 1, MSG_OOB | MSG_NOSIGNAL) == 1, "urgent byte: %s",
            plx_error_name(errno));
}

/* Urgent bytes are part of the stream (RFC 6093) and, once answered, cost nothing: a model that
 * waits for "exceptional" readiness would spin on the mark. */
static void urgent(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    int fd = dial(&s);
    put_urgent(t, fd, '1');
    get_text(t, fd, "1");
    put(t, fd, "ab", 2);
    put_urgent(t, fd, '2');
    put(t, fd, "cd", 2);
    get_text(t, fd, "ab2cd");
    put(t, fd, "ef", 2);
    put_urgent(t, fd, '3');
    get_text(t, fd, "ef3");
    if (!spins(t)) {
        struct usage before, after;
        usage(s.pid, &before);
        nap(MS(500));
        usage(s.pid, &after);
        int64_t used = after.cpu_ns - before.cpu_ns;
        REQUIRE(t, used <= MS(120), "idle after urgent data: expected no CPU time, got %lld ms",
                (long long)(used / PLX_MSEC));
    }
    echo_once(t, fd, 9);
    put_urgent(t, fd, '4');
    half_close(t, fd);
    get_text(t, fd, "4");
    expect_eof(t, fd, "after an urgent byte at the end");
    hang_up(fd);
    server_end(&s);
}

/* The peer sends and is gone before the server has read anything: a hang-up is a hint, all bytes
 * are delivered first. The server is held still to make sure of the order. */
static void hang_up_unread(struct test *t)
{
    static const size_t sizes[] = {1, 1000, 60000};
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_SINK}, &s);
    for (int i = 0; i < 3; i++) {
        int fd = dial(&s);
        server_hold(&s);
        put_pattern(t, fd, 1, 0, sizes[i]);
        hang_up(fd);
        nap(MS(20));
        server_signal(&s, SIGCONT);
        const struct record *r = closed_record(t, i + 1);
        EXPECT(t, "bytes delivered before on_close", sizes[i], r->bytes);
        EXPECT(t, "on_close: error", 0, r->err);
    }
    int fd = dial(&s);
    put_pattern(t, fd, 1, 0, 200000);
    hang_up(fd);
    EXPECT(t, "bytes delivered before on_close", 200000, closed_record(t, 4)->bytes);
    server_end(&s);
}

const struct case_row cases_echo[] = {
    {.name = "echo_whole", .run = echo_whole},
    {.name = "echo_pieces", .run = echo_pieces},
    {.name = "echo_interleaved",
     .run = echo_interleaved,
     .needs = PLX_CAP_CONCURRENT,
     .refuses = second_waits},
    {.name = "half_close_at_0", .run = half_close_at_0},
    {.name = "half_close_at_0_on_eof", .run = half_close_at_0_on_eof},
    {.name = "half_close_after", .run = half_close_after},
    {.name = "half_close_after_on_eof", .run = half_close_after_on_eof},
    {.name = "lines", .run = lines},
    {.name = "needs_more", .run = needs_more},
    {.name = "speaks_first", .run = speaks_first},
    {.name = "urgent", .run = urgent},
    {.name = "hang_up_unread", .run = hang_up_unread},
    {0},
};
