/* SPDX-License-Identifier: MIT */
/*
 * A connection without an engine: the tests say what an engine would say, and look at what the
 * connection wants. Every callback is noted in a trace:
 *
 *   O  on_open    [bytes]  on_data was shown these    D  on_drain    E  on_eof    C(error) on_close
 */
#ifndef POLLUX_TEST_CONN_UTIL_H
#define POLLUX_TEST_CONN_UTIL_H

#include "core_util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

/* Small enough to be met by hand. */
#define HIGH  1000u
#define LOW   300u
#define QUEUE 4000u
#define INPUT 2000u

#define READ    PLX__WANT_READ
#define WRITE   PLX__WANT_WRITE
#define FIN     PLX__WANT_FIN
#define CONNECT PLX__WANT_CONNECT
#define RETIRE  PLX__WANT_RETIRE

struct fixture {
    struct plx_loop *loop;
    struct plx_conn *c;
    int peer; /* the other end of its socket */
    char trace[4096];
    struct plx_handler handler;
    /* What the callbacks do besides; NULL: accept, consume everything, nothing. */
    int (*open)(struct plx_conn *);
    ssize_t (*data)(struct plx_conn *, const void *p, size_t n);
    void (*drain)(struct plx_conn *);
    void (*eof)(struct plx_conn *);
    void (*close)(struct plx_conn *);
};

static inline struct fixture *fixture_of(const struct plx_conn *c)
{
    return plx_conn_handler(c)->user;
}

static inline void trace(struct fixture *f, const void *p, size_t n)
{
    size_t have = strlen(f->trace);
    assert_true(have + n < sizeof(f->trace));
    memcpy(f->trace + have, p, n);
    f->trace[have + n] = 0;
}

static inline int note_open(struct plx_conn *c)
{
    struct fixture *f = fixture_of(c);
    trace(f, "O", 1);
    return f->open ? f->open(c) : 0;
}

static inline ssize_t note_data(struct plx_conn *c, const void *p, size_t n)
{
    struct fixture *f = fixture_of(c);
    char many[32];
    int len = snprintf(many, sizeof(many), "%zu bytes", n);
    trace(f, "[", 1);
    trace(f, n > 20 ? many : p, n > 20 ? (size_t)len : n);
    trace(f, "]", 1);
    return f->data ? f->data(c, p, n) : (ssize_t)n;
}

static inline void note_drain(struct plx_conn *c)
{
    struct fixture *f = fixture_of(c);
    trace(f, "D", 1);
    if (f->drain)
        f->drain(c);
}

static inline void note_eof(struct plx_conn *c)
{
    struct fixture *f = fixture_of(c);
    trace(f, "E", 1);
    if (f->eof)
        f->eof(c);
}

static inline void note_close(struct plx_conn *c, int err)
{
    struct fixture *f = fixture_of(c);
    char text[32];
    trace(f, text, (size_t)snprintf(text, sizeof(text), "C(%s)", plx_error_name(err)));
    if (f->close)
        f->close(c);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct plx_loop_config cfg = {.model = "poll",
                                  .limits = {.high_water = HIGH,
                                             .low_water = LOW,
                                             .queue_cap = QUEUE,
                                             .input_cap = INPUT,
                                             .idle_ns = 100 * PLX_SECOND,
                                             .write_ns = PLX_OFF,
                                             .linger_ns = 30 * PLX_SECOND,
                                             .connect_ns = 20 * PLX_SECOND}};
    if (!f || plx_loop_open(&cfg, &f->loop, NULL) < 0)
        return -1;
    f->peer = -1;
    f->handler = (struct plx_handler){.name = "test",
                                      .state_size = 24,
                                      .user = f,
                                      .on_open = note_open,
                                      .on_data = note_data,
                                      .on_drain = note_drain,
                                      .on_eof = note_eof,
                                      .on_close = note_close};
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    plx_loop_close(f->loop); /* ends what a failed test has left */
    if (f->peer >= 0)
        close(f->peer);
    free(f);
    return 0;
}

/* A connection whose engine has not spoken yet. */
static inline struct plx_conn *make(struct fixture *f, const int fds[2], bool connecting)
{
    struct plx__socket s = {
        .fd = fds[0], .handler = &f->handler, .number = 7, .connecting = connecting};
    struct plx_conn *c = plx__conn_new(f->loop, &s);
    assert_non_null(c);
    f->c = c;
    f->peer = fds[1];
    return c;
}

static inline void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* An established one; its on_open is over and no longer in the trace. */
static inline struct plx_conn *opened(struct fixture *f)
{
    int fds[2];
    pair(fds);
    struct plx_conn *c = make(f, fds, false);
    plx__conn_opened(c);
    f->trace[0] = 0;
    return c;
}

#define expect_want(c, want)  assert_int_equal(plx__conn_want(c), (want))
#define expect_trace(f, text) assert_string_equal((f)->trace, (text))

/* What a readiness engine does with bytes that came: receive, not write, give the loan back. */
static inline void receive(struct plx_conn *c, const char *text)
{
    plx__conn_received(c, text, (ssize_t)strlen(text));
    plx__conn_release(c);
}

/* All that is queued, as one piece; `buf` has room for QUEUE bytes. */
static inline size_t queued(struct plx_conn *c, char *buf)
{
    struct iovec iov[64];
    int pieces = plx__conn_outgoing(c, iov, 64);
    size_t n = 0;
    for (int i = 0; i < pieces; i++) {
        assert_true(iov[i].iov_len > 0);
        assert_true(n + iov[i].iov_len <= QUEUE);
        memcpy(buf + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    assert_int_equal(n, plx_conn_queued(c));
    return n;
}

static inline void expect_queued(struct plx_conn *c, const char *text)
{
    char buf[QUEUE];
    assert_int_equal(queued(c, buf), strlen(text));
    assert_memory_equal(buf, text, strlen(text));
}

/* Queues n bytes of no importance; what plx_send() said. */
static inline int send_some(struct plx_conn *c, size_t n)
{
    static const char bytes[QUEUE + 1];
    return plx_send(c, bytes, n);
}

/* An on_data: the same bytes back. */
static inline ssize_t echo(struct plx_conn *c, const void *p, size_t n)
{
    assert_true(plx_send(c, p, n) >= 0);
    return (ssize_t)n;
}

/* What is to be written, which is one piece. */
static inline struct iovec front(struct plx_conn *c)
{
    struct iovec iov[2];
    assert_int_equal(plx__conn_outgoing(c, iov, 2), 1);
    return iov[0];
}

/* Takes the one connection of the loop off the list of those whose wants changed outside their
 * own events; whether it was on it. */
static inline bool take_dirty(struct fixture *f)
{
    struct plx_conn *list = plx__loop_take_dirty(f->loop);
    if (!list)
        return false;
    assert_ptr_equal(list, f->c);
    assert_null(list->next);
    f->c->flags = (uint16_t)(f->c->flags & ~PLX__F_DIRTY);
    return true;
}

/* As the loop does at the end of a turn. */
static inline void pump(struct fixture *f)
{
    assert_true(take_dirty(f));
    plx__conn_pump(f->c);
}

/* The end that the connection wants: on_close comes now, once, and the descriptor is closed. */
static inline void end(struct fixture *f)
{
    int fd = f->c->fd;
    expect_want(f->c, RETIRE);
    plx__conn_retire(f->c);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    plx__conn_retire(f->c);
    plx_loop_close(f->loop); /* neither does this call it again */
    f->loop = NULL;
    f->c = NULL;
}

static inline uint64_t counted(const struct fixture *f, size_t i)
{
    return atomic_load(&f->loop->counters->v[i]);
}

#endif
