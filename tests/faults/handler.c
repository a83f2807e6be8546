/* SPDX-License-Identifier: MIT */
/*
 * What the server's connections do, by the first byte of their stream: echo; pause, and go on from
 * a timer; wait for a whole message, and answer it from a timer. And what the server begins of its
 * own: a connection, loans from a pool, a watch, a repeated timer.
 */
#include "faults.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGE 64

struct state {
    struct plx_timer *timer;
    char mode;
    bool paused;
    unsigned char message[MESSAGE];
};

static int on_open(struct plx_conn *c)
{
    (void)c;
    atomic_fetch_add(&shared->opens, 1);
    return 0;
}

static void answer(void *arg)
{
    struct plx_conn *c = arg;
    struct state *s = plx_conn_state(c);
    s->timer = NULL;
    (void)plx_send(c, s->message, sizeof(s->message));
}

static void go_on(void *arg)
{
    struct plx_conn *c = arg;
    struct state *s = plx_conn_state(c);
    s->timer = NULL;
    plx_resume(c);
}

static int start_timer(struct plx_conn *c, void (*fn)(void *))
{
    struct state *s = plx_conn_state(c);
    return plx_timer_start(plx_conn_loop(c), MS(3), 0, fn, c, &s->timer);
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    struct state *s = plx_conn_state(c);
    int rc;
    if (!s->mode)
        s->mode = *(const char *)p;
    if (s->mode == 't') {
        if (n < MESSAGE)
            return 0;
        memcpy(s->message, p, MESSAGE);
        rc = start_timer(c, answer);
        return rc < 0 ? rc : MESSAGE;
    }
    rc = plx_send(c, p, n);
    if (rc >= 0 && s->mode == 'p' && !s->paused) {
        s->paused = true;
        rc = start_timer(c, go_on);
        if (rc >= 0)
            plx_pause(c);
    }
    return rc < 0 ? rc : (ssize_t)n;
}

static void on_close(struct plx_conn *c, int err)
{
    struct state *s = plx_conn_state(c);
    (void)err;
    if (s->timer)
        plx_timer_stop(s->timer);
    atomic_fetch_add(&shared->closes, 1);
}

const struct plx_handler serving_handler = {.name = "faults",
                                            .state_size = sizeof(struct state),
                                            .on_open = on_open,
                                            .on_data = on_data,
                                            .on_close = on_close};

/* ---- outgoing ---- */

static struct {
    struct plx_pool *pool;
    struct plx_watch *watch;
    struct plx_timer *timer;
    int pair[2];
    struct plx_addr backend;
    struct plx_loop *loop;
} own;

struct out_state {
    size_t got;
};

static int out_open(struct plx_conn *c)
{
    static const char hello[2000];
    int rc = plx_send(c, hello, sizeof(hello));
    return rc < 0 ? rc : 0;
}

static ssize_t out_data(struct plx_conn *c, const void *p, size_t n)
{
    struct out_state *s = plx_conn_state(c);
    (void)p;
    s->got += n;
    if (s->got >= 2000)
        plx_finish(c);
    return (ssize_t)n;
}

static void out_close(struct plx_conn *c, int err)
{
    const struct out_state *s = plx_conn_state(c);
    if (err == 0 && s->got != 2000)
        trouble("an outgoing connection ended well with %zu of 2000 bytes", s->got);
    atomic_fetch_add(&shared->answered, 1);
}

static void lent(struct plx_conn *c, int err, void *arg)
{
    (void)arg;
    atomic_fetch_add(&shared->answered, 1);
    if ((c == NULL) != (err < 0))
        trouble("on_lent with err %d and %s connection", err, c ? "a" : "no");
    if (c && plx_send(c, "lent", 4) < 0)
        plx_abort(c, -ECANCELED);
}

static ssize_t lent_data(struct plx_conn *c, const void *p, size_t n, void *arg)
{
    (void)p;
    (void)arg;
    if (n < 4)
        return 0;
    plx_pool_put(own.pool, c, true);
    return (ssize_t)n;
}

static void begin(void *arg)
{
    static const struct plx_handler out = {.name = "out",
                                           .state_size = sizeof(struct out_state),
                                           .on_open = out_open,
                                           .on_data = out_data,
                                           .on_close = out_close};
    static const struct plx_pool_user user = {.on_lent = lent, .on_data = lent_data};
    static const struct out_state none;
    (void)arg;
    atomic_fetch_add(&shared->answered, 1);
    atomic_fetch_add(&shared->asked, 1);
    if (plx_connect(own.loop, &own.backend, &out, &none, NULL) < 0)
        atomic_fetch_add(&shared->answered, 1);
    for (int i = 0; own.pool && i < 2; i++) {
        atomic_fetch_add(&shared->asked, 1);
        if (plx_pool_get(own.pool, &user, NULL) < 0)
            atomic_fetch_add(&shared->answered, 1);
    }
}

static void on_watched(int fd, unsigned events, void *arg)
{
    char byte;
    (void)events;
    (void)arg;
    if (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
        atomic_fetch_add(&shared->answered, 1);
}

static void tick(void *arg)
{
    (void)arg;
}

/* Before the loop runs. What is refused is left out: the refusal is the answer. */
void outgoing_open(struct plx_loop *l, const struct plx_addr *backend)
{
    own.loop = l;
    own.backend = *backend;
    own.pair[0] = own.pair[1] = -1;
    const struct plx_pool_config pool = {.to = *backend, .max = 1};
    if (plx_pool_open(l, &pool, &own.pool) < 0)
        own.pool = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, own.pair) < 0 ||
        plx_watch_start(l, own.pair[0], PLX_READ, on_watched, NULL, &own.watch) < 0)
        own.watch = NULL;
    if (plx_timer_start(l, MS(2), MS(50), tick, NULL, &own.timer) < 0)
        own.timer = NULL;
}

/* From another thread than the loop's. */
void outgoing_begin(struct plx_loop *l)
{
    if (own.watch) {
        atomic_fetch_add(&shared->asked, 1);
        if (send(own.pair[1], "w", 1, MSG_NOSIGNAL) != 1)
            trouble("the watch's own end is closed");
    }
    atomic_fetch_add(&shared->asked, 1);
    if (plx_loop_post(l, begin, NULL) < 0)
        atomic_fetch_add(&shared->answered, 1);
}

/* After the loop has ended, before it is closed. */
void outgoing_close(void)
{
    plx_pool_close(own.pool);
    own.pool = NULL;
    for (int i = 0; i < 2; i++) {
        if (own.pair[i] >= 0)
            close(own.pair[i]);
    }
}
