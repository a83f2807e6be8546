/* SPDX-License-Identifier: MIT */
/* Backpressure: slow readers, water marks, caps, paused input. */
#include "conform.h"

#include <errno.h>

/* A peer that sends and does not read: the server stops reading it, so that its memory stays
 * bounded; then the peer reads, and every byte is there. The kernel alone takes 10 MB and more in
 * its buffers (tcp_wmem and tcp_rmem, both ends), so the peer has to send more than that. */
static void slow_reader(struct test *t)
{
    const size_t total = 40u << 20;
    struct usage before, after;
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    /* The first exchange makes what is made once: the connection's thread or process, buffers. */
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
    exchange(t, fd, 1, 0, 1u << 18, 1u << 18);
    usage(s.pid, &before);
    size_t sent = push(t, fd, 2, total, MS(300));
    REQUIRE(t, sent < total, "40 MB without reading: expected the server to stop, it took all");
    usage(s.pid, &after);
    /* Sanitizers keep freed memory and shadow pages: there the figure means nothing. */
    int64_t grown = after.rss - before.rss;
    REQUIRE(t, SANITIZED || grown <= 4 << 20, "memory: expected at most 4 MiB more, got %lld KiB",
            (long long)(grown / 1024));
    get_pattern(t, fd, 2, 0, sent);
    exchange(t, fd, 2, sent, 10u << 20, 50000);
    half_close(t, fd);
    expect_eof(t, fd, "after the echo");
    hang_up(fd);
    server_end(&s);
    EXPECT(t, "stats: overflows", 0, shared->final.overflows);
}

/* A peer that does not read holds up nobody else. */
static void slow_reader_alone(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){0}, &s);
    int slow = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
    int fast = dial(&s);
    size_t sent = push(t, slow, 1, 10u << 20, MS(100));
    exchange(t, fast, 2, 0, 1u << 20, 1u << 20);
    get_pattern(t, slow, 1, 0, sent);
    hang_up(fast);
    hang_up(slow);
    server_end(&s);
}

/* plx_send() says 1 above the high mark; on_drain comes at the low mark; nothing is lost. */
static void generator(struct test *t)
{
    const size_t total = 10u << 20;
    struct server s;
    struct plx_stats stats;
    atomic_store(&shared->value[0], (long long)total);
    server_start(t,
                 &(struct server_opts){.mode = MODE_GENERATE,
                                       .limits = {.high_water = 128 << 10, .low_water = 32 << 10}},
                 &s);
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 32768});
    put(t, fd, "G", 1);
    nap(MS(100));
    server_stats(&s, &stats);
    get_pattern(t, fd, 7, 0, total);
    expect_eof(t, fd, "after 10 MB");
    hang_up(fd);
    const struct record *r = closed_record(t, 1);
    EXPECT(t, "on_close: error", 0, r->err);
    REQUIRE(t, r->drains >= 10, "calls of on_drain: expected 10 or more, got %d", r->drains);
    REQUIRE(t, shared->value[4] <= 32 << 10,
            "queued at on_drain: expected 32 KiB at most, got %lld",
            atomic_load(&shared->value[4]));
    server_end(&s);
    REQUIRE(t, shared->final.throttled >= 10, "stats: throttled: expected 10 or more, got %llu",
            (unsigned long long)shared->final.throttled);
}

/* Puts ten bytes and returns how many have been shown in all a while later. */
static long long put_more(struct test *t, int fd)
{
    put(t, fd, "0123456789", 10);
    nap(MS(100));
    return shared->record[1].bytes;
}

/* Above the high mark a peer's input waits, unless the handler wants it all the same. What the peer
 * sends also acknowledges, and the kernel may take some more output then: so it is sent again until
 * it waits. */
static void input_above_the_mark(struct test *t, enum handler_kind kind)
{
    const size_t total = 40u << 20; /* more than the kernel's buffers take */
    enum { TRIES = 12 };
    struct server s;
    long long shown = 1, now_shown = 0;
    int waits = 0;
    atomic_store(&shared->value[0], (long long)total);
    server_start(t, &(struct server_opts){.mode = MODE_GENERATE, .handler = kind}, &s);
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 32768});
    put(t, fd, "G", 1);
    nap(MS(100));
    for (int i = 0; i < TRIES && (kind == READS_ALWAYS || waits < 3); i++) {
        now_shown = put_more(t, fd);
        waits = now_shown == shown ? waits + 1 : 0;
        shown = now_shown;
    }
    if (kind == READS_ALWAYS)
        AWAIT(t, shared->record[1].bytes == 1 + 10 * TRIES, "expected all input to be shown");
    else
        REQUIRE(t, waits == 3, "input above the mark: expected it to wait, %lld bytes were shown",
                now_shown);
    get_pattern(t, fd, 7, 0, total);
    expect_eof(t, fd, "after 40 MB");
    hang_up(fd);
    server_end(&s);
    REQUIRE(t, shared->final.throttled > 0, "stats: throttled: expected some");
}

static void throttled_input(struct test *t)
{
    input_above_the_mark(t, PLAIN);
}

static void reads_always(struct test *t)
{
    input_above_the_mark(t, READS_ALWAYS);
}

static void queue_cap(struct test *t)
{
    struct server s;
    server_start(t,
                 &(struct server_opts){.mode = MODE_FLOOD,
                                       .limits = {.high_water = 64 << 10, .queue_cap = 256 << 10}},
                 &s);
    int fd = dial_with(&s, 0, &(struct dial){.rcvbuf = 16384});
    put(t, fd, "F", 1);
    const struct record *r = closed_record(t, 1);
    EXPECT(t, "plx_send() beyond the cap", -ENOBUFS, shared->value[0]);
    EXPECT(t, "on_close: error", -ENOBUFS, r->err);
    REQUIRE(t, ending(fd, PATIENCE, NULL) != ENDING_OPEN, "expected the end of the connection");
    hang_up(fd);
    server_end(&s);
    EXPECT(t, "stats: overflows", 1, shared->final.overflows);
}

/* A handler that consumes nothing cannot make the library keep more than input_cap. */
static void input_cap(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_HOARD, .limits = {.input_cap = 64 << 10}},
                 &s);
    int fd = dial(&s);
    put_pattern(t, fd, 1, 0, 60 << 10);
    REQUIRE(t, quiet(fd, MS(100)), "below the cap: expected an open connection, got its end");
    put_pattern(t, fd, 2, 0, 5 << 10);
    REQUIRE(t, ending(fd, PATIENCE, NULL) != ENDING_OPEN, "expected the end of the connection");
    hang_up(fd);
    EXPECT(t, "on_close: error", -EMSGSIZE, closed_record(t, 1)->err);
    server_end(&s);
    EXPECT(t, "stats: overflows", 1, shared->final.overflows);
}

/* While paused nothing is shown (the recorder watches), afterwards all of it, unprompted. */
static void pause_resume(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_PAUSE}, &s);
    int fd = dial(&s);
    put(t, fd, "P", 1);
    nap(MS(20));
    put_pattern(t, fd, 3, 0, 50000);
    get_pattern(t, fd, 3, 0, 50000);
    put(t, fd, "Pabc", 4);
    get_text(t, fd, "abc");
    put(t, fd, "P", 1);
    half_close(t, fd);
    expect_eof(t, fd, "half-close while paused");
    hang_up(fd);
    EXPECT(t, "on_close: error", 0, closed_record(t, 1)->err);
    server_end(&s);
}

/* A peer that leaves while its input is paused is not forgotten. */
static void reset_while_paused(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_PAUSE}, &s);
    int fd = dial(&s);
    put(t, fd, "Pabc", 4);
    AWAIT(t, shared->record[1].datas > 0, "expected on_data");
    reset(fd);
    closed_record(t, 1);
    server_end(&s);
}

const struct case_row cases_flow[] = {
    {.name = "slow_reader", .run = slow_reader},
    {.name = "slow_reader_alone", .run = slow_reader_alone, .needs = PLX_CAP_CONCURRENT},
    {.name = "generator", .run = generator},
    {.name = "throttled_input", .run = throttled_input, .needs = PLX_CAP_POST},
    {.name = "reads_always", .run = reads_always, .needs = PLX_CAP_POST},
    {.name = "queue_cap", .run = queue_cap},
    {.name = "input_cap", .run = input_cap},
    {.name = "pause_resume", .run = pause_resume},
    {.name = "reset_while_paused", .run = reset_while_paused},
    {0},
};
