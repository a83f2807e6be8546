/* SPDX-License-Identifier: MIT */
/*
 * The handler under test. Every callback goes through a recorder, which keeps the connection's
 * life in shared memory (so that it works across processes too) and watches over the order that
 * conn.h promises; what happens then depends on the mode that was set as the connection opened.
 */
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int watched_pipe[2] = {-1, -1};

struct state {
    enum mode mode;
    uint64_t number;
    struct plx_timer *timer;
    struct plx_watch *watch;
    int64_t started;
    uint64_t sent, goal;
    int end_where, end_how;
    int repeats;
    bool paused, ended, closed;
};

/* For scenario_post_again(): the connection opened last in this process in MODE_POST. */
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static struct plx_loop *last_loop;
static struct plx_conn_ref last_ref;

void broken(const char *what)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&shared->broken, &none, 1)) {
        snprintf(shared->broken_what, sizeof(shared->broken_what), "%s", what);
    }
}

void set_mode(enum mode mode)
{
    atomic_store(&shared->mode, (int)mode);
}

/* ---- the modes ---- */

/* Ends as value[1] says; what plx_send() answers afterwards is part of the contract. */
static int end_now(struct plx_conn *c, struct state *s)
{
    s->ended = true;
    if (s->end_how == END_ERROR) {
        return -EACCES;
    }
    if (s->end_how == END_ABORT) {
        plx_abort(c, -EPROTO);
        plx_abort(c, -EIO); /* the first error is kept */
    } else {
        plx_finish(c);
        plx_finish(c);
    }
    if (plx_send(c, "x", 1) != -EPIPE) {
        broken("plx_send() after the end: expected -EPIPE");
    }
    return 0;
}

static int generate(struct plx_conn *c, struct state *s)
{
    unsigned char piece[16384];
    while (s->sent < s->goal) {
        uint64_t left = s->goal - s->sent;
        size_t n = left < sizeof(piece) ? (size_t)left : sizeof(piece);
        pattern(piece, n, 7, s->sent);
        int rc = plx_send(c, piece, n);
        if (rc < 0) {
            return rc;
        }
        s->sent += n;
        if (rc == 1) {
            return 0;
        }
    }
    plx_finish(c);
    return 0;
}

static ssize_t flood(struct plx_conn *c)
{
    static const unsigned char piece[16384];
    for (int i = 0; i < 4096; i++) {
        int rc = plx_send(c, piece, sizeof(piece));
        if (rc < 0) {
            atomic_store(&shared->value[0], rc);
            return rc;
        }
    }
    atomic_store(&shared->value[0], 1);
    return 1;
}

static ssize_t consume_line(struct plx_conn *c, const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    if (!end) {
        return 0;
    }
    size_t line = (size_t)(end - p) + 1;
    int rc = plx_send(c, p, line);
    return rc < 0 ? rc : (ssize_t)line;
}

static ssize_t consume_records(struct plx_conn *c, const void *p, size_t n)
{
    size_t whole = n / RECORD * RECORD;
    if (whole == 0) {
        return 0;
    }
    int rc = plx_send(c, p, whole);
    if (rc < 0) {
        return rc;
    }
    atomic_fetch_add(&shared->value[0], (long long)(whole / RECORD));
    return (ssize_t)whole;
}

static ssize_t echo(struct plx_conn *c, const void *p, size_t n)
{
    int rc = plx_send(c, p, n);
    return rc < 0 ? rc : (ssize_t)n;
}

static void on_resume(void *arg)
{
    struct plx_conn *c = arg;
    struct state *s = plx_conn_state(c);
    s->timer = NULL;
    s->paused = false;
    plx_resume(c);
}

/* Consumes the 'P' alone: what came with it must not be shown before the resume. */
static ssize_t pausing(struct plx_conn *c, struct state *s, const char *p, size_t n)
{
    if (p[0] != 'P') {
        return echo(c, p, n);
    }
    int rc = plx_timer_start(plx_conn_loop(c), MS(100), 0, on_resume, c, &s->timer);
    if (rc < 0) {
        return rc;
    }
    s->paused = true;
    plx_pause(c);
    return 1;
}

static void on_tick(void *arg)
{
    struct plx_conn *c = arg;
    struct state *s = plx_conn_state(c);
    s->timer = NULL;
    atomic_store(&shared->value[0], now() - s->started);
    if (plx_send(c, "tick\n", 5) < 0) {
        broken("plx_send() in a timer failed");
    }
}

static void on_repeat(void *arg)
{
    struct plx_conn *c = arg;
    struct state *s = plx_conn_state(c);
    if (++s->repeats > 3) {
        broken("a stopped timer was called");
        return;
    }
    if (plx_send(c, "r\n", 2) < 0) {
        broken("plx_send() in a timer failed");
    }
    if (s->repeats == 3) {
        plx_timer_stop(s->timer);
        s->timer = NULL;
    }
}

static void on_posted(struct plx_conn *c, void *arg)
{
    (void)arg;
    if (!c) {
        atomic_fetch_add(&shared->value[2], 1);
    } else if (plx_send(c, "posted\n", 7) < 0) {
        broken("plx_send() in a posted function failed");
    } else {
        atomic_fetch_add(&shared->value[1], 1);
    }
}

int scenario_post_again(void)
{
    pthread_mutex_lock(&last_lock);
    struct plx_loop *loop = last_loop;
    struct plx_conn_ref ref = last_ref;
    pthread_mutex_unlock(&last_lock);
    return plx_conn_post(loop, ref, on_posted, NULL);
}

static void on_watched(int fd, unsigned events, void *arg)
{
    (void)events;
    struct plx_conn *c = arg;
    struct state *s = plx_conn_state(c);
    char text[64];
    ssize_t n = read(fd, text, sizeof(text));
    if (n <= 0 || plx_send(c, text, (size_t)n) < 0) {
        broken("a watch: expected a readable pipe and plx_send() to work");
    }
    if (n > 0 && text[0] == 'q') {
        plx_watch_stop(s->watch);
        s->watch = NULL;
    }
}

static int open_mode(struct plx_conn *c, struct state *s)
{
    struct plx_loop *loop = plx_conn_loop(c);
    switch (s->mode) {
    case MODE_GREET: return plx_send(c, "hello\n", 6) < 0 ? -EIO : 0;
    case MODE_TICK:
        s->started = now();
        return plx_timer_start(loop, MS(50), 0, on_tick, c, &s->timer);
    case MODE_REPEAT: return plx_timer_start(loop, MS(10), MS(10), on_repeat, c, &s->timer);
    case MODE_END: return s->end_where == END_OPEN ? end_now(c, s) : 0;
    case MODE_POST:
        atomic_store(&shared->value[0], plx_conn_post(loop, plx_conn_ref(c), on_posted, NULL));
        return 0;
    case MODE_WATCH:
        atomic_store(&shared->value[0],
                     plx_watch_start(loop, watched_pipe[0], PLX_READ, on_watched, c, &s->watch));
        return 0;
    default: return 0;
    }
}

static ssize_t data_mode(struct plx_conn *c, struct state *s, const void *p, size_t n)
{
    const char *text = p;
    switch (s->mode) {
    case MODE_SINK: return (ssize_t)n;
    case MODE_LINES: return consume_line(c, p, n);
    case MODE_RECORDS: return consume_records(c, p, n);
    case MODE_NEED: return n < (size_t)atomic_load(&shared->value[0]) ? 0 : echo(c, p, n);
    case MODE_HOARD: return 0;
    case MODE_GENERATE: {
        int rc = s->sent == 0 ? generate(c, s) : 0;
        return rc < 0 ? rc : (ssize_t)n;
    }
    case MODE_FLOOD: return flood(c);
    case MODE_PAUSE: return pausing(c, s, text, n);
    case MODE_END:
        if (s->end_where == END_DATA) {
            /* The last words are in the queue before the end is asked for. */
            if (plx_send(c, "bye\n", 4) < 0) {
                broken("plx_send() in on_data failed");
            }
            int rc = end_now(c, s);
            return rc < 0 ? rc : 1; /* what is left must not be shown again */
        }
        if (s->end_where == END_DRAIN) {
            static const unsigned char piece[16384];
            while (plx_send(c, piece, sizeof(piece)) == 0) {
            }
        }
        return (ssize_t)n;
    case MODE_CRASH:
        if (n == 1 && text[0] == 'X') {
            abort();
        }
        return echo(c, p, n);
    case MODE_OFFLOAD: return offload_data(c, text, n);
    case MODE_STALL:
        if (n == 1 && text[0] == 'Z') {
            nap(PLX_SECOND);
        }
        return echo(c, p, n);
    case MODE_ONCE: {
        ssize_t rc = echo(c, p, n);
        plx_finish(c);
        return rc;
    }
    default: return echo(c, p, n);
    }
}

/* ---- the recorder ---- */

static struct record *record_of(const struct state *s)
{
    /* The last record is shared by all connections beyond; nothing is asserted of it. */
    return &shared->record[s->number < RECORDS ? s->number : RECORDS - 1];
}

static int on_open(struct plx_conn *c)
{
    struct state *s = plx_conn_state(c);
    if (s->number != 0 || s->closed) {
        broken("the state is not zeroed before on_open");
    }
    s->number = plx_conn_number(c);
    s->mode = (enum mode)atomic_load(&shared->mode);
    s->goal = (uint64_t)atomic_load(&shared->value[0]);
    s->end_where = (int)atomic_load(&shared->value[0]);
    s->end_how = (int)atomic_load(&shared->value[1]);
    atomic_fetch_add(&shared->opens, 1);
    if (s->number == 0) {
        broken("plx_conn_number() is 0");
    }
    if (atomic_fetch_add(&record_of(s)->opens, 1) != 0 && s->number < RECORDS - 1) {
        broken("plx_conn_number() given twice, or on_open called twice");
    }
    if (s->mode == MODE_POST) {
        pthread_mutex_lock(&last_lock);
        last_loop = plx_conn_loop(c);
        last_ref = plx_conn_ref(c);
        pthread_mutex_unlock(&last_lock);
    }
    return open_mode(c, s);
}

static ssize_t on_data(struct plx_conn *c, const void *p, size_t n)
{
    struct state *s = plx_conn_state(c);
    struct record *r = record_of(s);
    if (s->number == 0 || s->closed) {
        broken("on_data before on_open or after on_close");
    }
    if (s->ended) {
        broken("on_data after plx_finish(), plx_abort() or an error");
    }
    if (s->paused) {
        broken("on_data while paused");
    }
    if (n == 0) {
        broken("on_data with 0 bytes");
    }
    atomic_fetch_add(&r->datas, 1);
    ssize_t used = data_mode(c, s, p, n);
    atomic_fetch_add(&r->bytes, used > 0 ? used : 0);
    return used;
}

static void on_drain(struct plx_conn *c)
{
    struct state *s = plx_conn_state(c);
    if (s->number == 0 || s->closed) {
        broken("on_drain before on_open or after on_close");
    }
    atomic_fetch_add(&record_of(s)->drains, 1);
    long long queued = (long long)plx_conn_queued(c);
    if (queued > atomic_load(&shared->value[4])) {
        atomic_store(&shared->value[4], queued);
    }
    if (s->mode == MODE_GENERATE && generate(c, s) < 0) {
        broken("plx_send() in on_drain failed");
    } else if (s->mode == MODE_END && s->end_where == END_DRAIN) {
        (void)end_now(c, s);
    }
}

static void on_eof(struct plx_conn *c)
{
    struct state *s = plx_conn_state(c);
    if (s->number == 0 || s->closed) {
        broken("on_eof before on_open or after on_close");
    }
    if (atomic_fetch_add(&record_of(s)->eofs, 1) != 0 && s->number < RECORDS - 1) {
        broken("on_eof called twice");
    }
    if (s->mode == MODE_END && s->end_where == END_EOF) {
        (void)end_now(c, s);
    } else {
        plx_finish(c);
    }
}

static void on_close(struct plx_conn *c, int err)
{
    struct state *s = plx_conn_state(c);
    if (s->number == 0) {
        broken("on_close without on_open");
    }
    if (s->closed) {
        broken("on_close called twice");
    }
    s->closed = true;
    if (s->timer) {
        plx_timer_stop(s->timer);
    }
    if (s->watch) {
        plx_watch_stop(s->watch);
    }
    if (err > 0) {
        broken("on_close with a positive error");
    }
    struct record *r = record_of(s);
    atomic_store(&r->err, err);
    atomic_fetch_add(&r->closes, 1);
    atomic_fetch_add(&shared->closes, 1);
}

/* Some handlers, because a missing on_eof has a meaning of its own. */
const struct plx_handler *scenario_handler(enum handler_kind kind)
{
    static const struct plx_handler plain = {
        .name = "scenario",
        .state_size = sizeof(struct state),
        .on_open = on_open,
        .on_data = on_data,
        .on_drain = on_drain,
        .on_close = on_close,
    };
    static const struct plx_handler full = {
        .name = "scenario with on_eof",
        .state_size = sizeof(struct state),
        .on_open = on_open,
        .on_data = on_data,
        .on_drain = on_drain,
        .on_eof = on_eof,
        .on_close = on_close,
    };
    static const struct plx_handler reader = {
        .name = "scenario that reads always",
        .state_size = sizeof(struct state),
        .reads_always = true,
        .on_open = on_open,
        .on_data = on_data,
        .on_drain = on_drain,
        .on_close = on_close,
    };
    static const struct plx_handler *const handlers[] = {
        [PLAIN] = &plain, [WITH_EOF] = &full, [READS_ALWAYS] = &reader};
    return handlers[kind];
}
