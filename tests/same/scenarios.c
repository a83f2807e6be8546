/* SPDX-License-Identifier: MIT */
/* What the clients do, and what they write down. */
#include "same.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- seeing ---- */

/* FNV-1a. */
static uint32_t sum(uint32_t h, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

/* Reads `n` bytes, fewer if the end comes first, and says what came. SIZE_MAX: to the end. */
static void see_bytes(const char *who, int fd, size_t n, int64_t patience)
{
    unsigned char piece[16384];
    size_t got = 0;
    uint32_t h = 2166136261u;
    const char *then = "";
    int64_t until = now() + patience;
    while (got < n) {
        size_t most = n - got < sizeof(piece) ? n - got : sizeof(piece);
        ssize_t k = recv(fd, piece, most, 0);
        if (k > 0) {
            h = sum(h, piece, (size_t)k);
            got += (size_t)k;
        } else if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (now() > until) {
                then = ", then silence";
                break;
            }
            (void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 20);
        } else {
            then = k == 0 ? ", then the end" : errno == ECONNRESET ? ", then a reset" : ", then ?";
            break;
        }
    }
    see("%s: %zu bytes, sum %08x%s", who, got, h, then);
}

static void see_all(const char *who, int fd)
{
    see_bytes(who, fd, SIZE_MAX, PATIENCE);
}

/* How it ends, where the number of bytes before that is chance. */
static void see_end(const char *who, int fd)
{
    static const char *const names[] = {"the end", "a reset", "silence"};
    size_t before;
    enum ending how = ending(fd, PATIENCE, &before);
    see("%s: %s bytes, then %s", who, before ? "some" : "no", names[how]);
}

static void see_after(const char *who, int64_t since, int64_t limit)
{
    see("%s: %s", who, now() - since < limit ? "before the limit" : "after the limit");
}

/* ---- bytes ---- */

static void small_echo(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    put(t, a, "hello", 5);
    see_bytes("a", a, 5, PATIENCE);
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void many_messages(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    for (size_t i = 1; i <= 300; i++) {
        size_t n = i * i % 5000 + 1;
        put_pattern(t, a, 1, i * 5000, n);
        get_pattern(t, a, 1, i * 5000, n);
    }
    see("a: 300 messages");
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void byte_by_byte(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_LINES}, &s);
    int a = dial(&s);
    for (const char *p = "one\ntwo\n\nfour, which has no end"; *p; p++)
        put(t, a, p, 1);
    see_bytes("a", a, 9, PATIENCE);
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void pipelining(struct test *t)
{
    char burst[12000];
    struct server s;
    for (size_t i = 0; i < sizeof(burst); i++)
        burst[i] = i % 61 == 60 || i % 7 == 6 ? '\n' : (char)('a' + i % 26);
    server_start(t, &(struct server_opts){.mode = MODE_LINES}, &s);
    int a = dial(&s);
    put(t, a, burst, sizeof(burst));
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void server_speaks_first(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_GREET}, &s);
    int a = dial(&s);
    see_bytes("a", a, 6, PATIENCE);
    put(t, a, "x", 1);
    see_bytes("a", a, 1, PATIENCE);
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void large_to_slow_reader(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_GENERATE}, &s);
    atomic_store(&shared->value[0], 3000000);
    int a = dial_with(&s, 0, &(struct dial){.rcvbuf = 8192});
    put(t, a, "g", 1);
    for (int i = 0; i < 40; i++) {
        get_pattern(t, a, 7, (uint64_t)i * 2000, 2000);
        nap(MS(3));
    }
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

/* Both directions at once, more than all buffers hold. */
static void large_both_ways(struct test *t)
{
    enum { SIZE = 4000000 };
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    exchange(t, a, 3, 0, SIZE, SIZE);
    see("a: %d bytes each way", SIZE);
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void urgent_byte(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    put(t, a, "before", 6);
    REQUIRE(t, send(a, "!", 1, MSG_OOB) == 1, "send: %s", plx_error_name(errno));
    put(t, a, "after", 5);
    see_bytes("a", a, 12, PATIENCE);
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

/* ---- ends ---- */

static void empty_connection(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    hang_up(a);
    int b = dial(&s);
    put(t, b, "b", 1);
    see_bytes("b", b, 1, PATIENCE);
    half_close(t, b);
    see_all("b", b);
    hang_up(b);
    server_end(&s);
}

static void half_close_at_once(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_GREET}, &s);
    int a = dial(&s);
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void half_close_behind_much(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    put_pattern(t, a, 5, 0, 60000);
    half_close(t, a);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void reset_in_the_middle(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    put_pattern(t, a, 5, 0, 30000);
    see_bytes("a", a, 100, PATIENCE);
    reset(a);
    see("b: %s", plx_error_name(closed_record(t, 1)->err));
    int b = dial(&s);
    put(t, b, "b", 1);
    see_bytes("b", b, 1, PATIENCE);
    hang_up(b);
    server_end(&s);
}

static void server_ends_first(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ONCE}, &s);
    int a = dial(&s);
    put(t, a, "once", 4);
    see_all("a", a);
    /* What comes after is discarded, and is no reason for a reset. */
    put(t, a, "more", 4);
    nap(MS(30));
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void handler_aborts(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_END}, &s);
    atomic_store(&shared->value[0], END_DATA);
    atomic_store(&shared->value[1], END_ABORT);
    int a = dial(&s);
    put(t, a, "x", 1);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void handler_finishes(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_END}, &s);
    atomic_store(&shared->value[0], END_DATA);
    atomic_store(&shared->value[1], END_FINISH);
    int a = dial(&s);
    put(t, a, "xyz", 3);
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

/* ---- limits ---- */

static void line_too_long(struct test *t)
{
    char line[3000];
    memset(line, 'x', sizeof(line));
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_LINES, .limits = {.input_cap = 1024}}, &s);
    int a = dial(&s);
    put(t, a, "short\n", 6);
    see_bytes("a", a, 6, PATIENCE);
    put(t, a, line, sizeof(line));
    see_all("a", a);
    hang_up(a);
    server_end(&s);
}

static void idle_limit(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO, .limits = {.idle_ns = MS(400)}}, &s);
    int a = dial(&s);
    int64_t since = now();
    put(t, a, "x", 1);
    see_all("a", a);
    see_after("a", since, MS(400));
    see("a: %s", plx_error_name(closed_record(t, 1)->err));
    hang_up(a);
    server_end(&s);
}

static void write_limit(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_GENERATE, .limits = {.write_ns = MS(400)}},
                 &s);
    atomic_store(&shared->value[0], 1 << 30);
    int a = dial_with(&s, 0, &(struct dial){.rcvbuf = 4096});
    int64_t since = now();
    put(t, a, "g", 1);
    see("a: %s", plx_error_name(closed_record(t, 1)->err));
    see_after("a", since, MS(400));
    see_end("a", a);
    hang_up(a);
    server_end(&s);
}

static void two_clients(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s), b = dial(&s);
    put(t, a, "a", 1);
    see_bytes("a", a, 1, PATIENCE);
    put(t, b, "bb", 2);
    see_bytes("b", b, 2, SCALE(MS(1500), MS(6000)));
    put(t, a, "aaa", 3);
    see_bytes("a", a, 3, PATIENCE);
    hang_up(a);
    half_close(t, b);
    see_all("b", b);
    hang_up(b);
    server_end(&s);
}

static void over_max_connections(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO, .max_connections = 2}, &s);
    int a = dial(&s), b = dial(&s);
    put(t, a, "a", 1);
    see_bytes("a", a, 1, PATIENCE);
    put(t, b, "b", 1);
    see_bytes("b", b, 1, SCALE(MS(1500), MS(6000)));
    int c = dial(&s);
    see_bytes("c", c, SIZE_MAX, SCALE(MS(1500), MS(6000)));
    hang_up(c);
    hang_up(a);
    hang_up(b);
    AWAIT(t, atomic_load(&shared->closes) >= 2, "on_close of two");
    server_end(&s);
}

/* ---- leaving ---- */

static void drain_idle(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    put(t, a, "a", 1);
    see_bytes("a", a, 1, PATIENCE);
    server_drain(&s);
    see_all("a", a);
    see("b: %s", plx_error_name(dial_errno(&s.addr[0])));
    hang_up(a);
    server_exit(&s);
}

/* A request arrives, then the order to leave, before the server could look at either. */
static void drain_reply_in_flight(struct test *t)
{
    struct server s;
    server_start(t, &(struct server_opts){.mode = MODE_ECHO}, &s);
    int a = dial(&s);
    put(t, a, "a", 1);
    see_bytes("a", a, 1, PATIENCE);
    server_hold(&s);
    put_pattern(t, a, 2, 0, 20000);
    nap(MS(20));
    server_drain(&s);
    server_signal(&s, SIGCONT);
    see_all("a", a);
    hang_up(a);
    server_exit(&s);
}

const struct scenario scenarios[] = {
    {"small_echo", small_echo},
    {"many_messages", many_messages},
    {"byte_by_byte", byte_by_byte},
    {"pipelining", pipelining},
    {"server_speaks_first", server_speaks_first},
    {"large_to_slow_reader", large_to_slow_reader},
    {"large_both_ways", large_both_ways},
    {"urgent_byte", urgent_byte},
    {"empty_connection", empty_connection},
    {"half_close_at_once", half_close_at_once},
    {"half_close_behind_much", half_close_behind_much},
    {"reset_in_the_middle", reset_in_the_middle},
    {"server_ends_first", server_ends_first},
    {"handler_aborts", handler_aborts},
    {"handler_finishes", handler_finishes},
    {"line_too_long", line_too_long},
    {"idle_limit", idle_limit},
    {"write_limit", write_limit},
    {"two_clients", two_clients},
    {"over_max_connections", over_max_connections},
    {"drain_idle", drain_idle},
    {"drain_reply_in_flight", drain_reply_in_flight},
    {NULL, NULL},
};
