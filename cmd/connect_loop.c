/* SPDX-License-Identifier: MIT */
/*
 * One loop waits for standard input and the socket.
 *
 * Standard input is watched only while little output waits. The connection's own high-water mark
 * is not used for that: above it a connection stops reading, which is right for a server, but a
 * client that stops reading an echo server that has stopped reading would wait for ever. So this
 * client queues less than the mark and never stops reading.
 */
#include "cmd/connect.h"

#include <errno.h>
#include <poll.h>
#include <pollux/pollux.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE      ((size_t)64 * 1024) /* what a pipe holds by default: pipe(7) */
#define QUEUE_MAX  (4 * PIECE)         /* no more is read from standard input above this */
#define HIGH_WATER (2 * QUEUE_MAX)     /* never reached */

struct client {
    const struct connect_job *job;
    struct plx_loop *loop;
    struct plx_conn *conn;   /* NULL unless established */
    struct plx_watch *watch; /* of standard input; NULL when it is over, or never blocks */
    bool watching;           /* ... and not paused */
    bool plain;              /* standard input is a file that needs no waiting */
    struct connect_input in;
    int next_addr;
    size_t queued; /* at the last look */
    int64_t moved; /* when something last arrived or left */
    bool done;
    int status;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * PLX_SECOND + t.tv_nsec;
}

/* The first end is the one that counts. */
static void end(struct client *c, int status)
{
    if (c->done)
        return;
    c->done = true;
    c->status = status;
}

/* ---- standard input ---- */

static void end_input(struct client *c)
{
    if (c->watch)
        plx_watch_stop(c->watch);
    c->watch = NULL;
    c->watching = false;
    c->in.over = true;
    c->moved = now_ns();
    plx_half_close(c->conn);
}

static void read_input(struct client *c)
{
    char buf[PIECE];
    ssize_t n = connect_read(&c->in, buf, sizeof(buf));
    if (n < 0) {
        end(c, connect_input_failed((int)n));
        return;
    }
    if (n > 0)
        plx_send(c->conn, buf, (size_t)n); /* what goes wrong comes to on_close */
    if (c->in.over)
        end_input(c);
}

static void on_input(int fd, unsigned events, void *arg)
{
    struct client *c = arg;
    (void)fd;
    (void)events;
    if (!c->done && c->conn && !c->in.over)
        read_input(c);
}

/* Reads or watches standard input, or leaves it alone while too much waits to be sent. */
static void steer_input(struct client *c)
{
    if (!c->conn || c->in.over || c->done)
        return;
    bool wanted = plx_conn_queued(c->conn) < QUEUE_MAX;
    if (c->plain) {
        if (wanted)
            read_input(c);
        return;
    }
    if (wanted == c->watching)
        return;
    int rc = plx_watch_modify(c->watch, wanted ? PLX_READ : 0);
    if (rc < 0)
        end(c, connect_input_failed(rc));
    c->watching = wanted;
}

/* ---- the connection ---- */

static int on_open(struct plx_conn *conn)
{
    struct client *c = *(struct client **)plx_conn_state(conn);
    c->conn = conn;
    int rc = plx_watch_start(c->loop, STDIN_FILENO, PLX_READ, on_input, c, &c->watch);
    c->plain = rc == -EPERM;
    c->watching = rc == 0;
    if (rc < 0 && !c->plain) {
        end(c, connect_input_failed(rc));
        return rc;
    }
    return 0;
}

static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    struct client *c = *(struct client **)plx_conn_state(conn);
    if (c->done)
        return (ssize_t)n;
    int rc = connect_write(p, n);
    if (rc < 0) {
        end(c, connect_output_failed(rc));
        return rc;
    }
    c->moved = now_ns(); /* after the write, which may have taken long */
    return (ssize_t)n;
}

/* Whether the input is at its end, or will be after what can be read now. The server's end and
 * that of the input may come in the same instant; then nothing was cut short. */
static bool input_ends_now(struct client *c)
{
    for (int i = 0; i < 2 && !c->in.over && !c->done; i++) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&in, 1, 0) != 1)
            break;
        read_input(c);
    }
    return c->in.over;
}

static void on_eof(struct plx_conn *conn)
{
    struct client *c = *(struct client **)plx_conn_state(conn);
    if (c->done)
        return;
    if (input_ends_now(c)) {
        plx_finish(conn);
    } else if (!c->done) {
        end(c, connect_cut(true, 0));
        plx_abort(conn, 0);
    }
}

static void try_next(struct client *c, int err);

static void on_close(struct plx_conn *conn, int err)
{
    struct client *c = *(struct client **)plx_conn_state(conn);
    if (c->done)
        return;
    if (!c->conn)
        try_next(c, err);
    else if (err == -ETIMEDOUT && c->job->values->timeout_ns)
        end(c, connect_silent(c->job));
    else if (err || !c->in.over)
        end(c, connect_cut(!c->in.over, err));
    else
        end(c, STATUS_DONE);
    c->conn = NULL;
}

static const struct plx_handler handler = {
    .name = "connect",
    .state_size = sizeof(struct client *),
    .on_open = on_open,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_close = on_close,
};

/* Begins with the next address; `err` is what became of the one before. */
static void try_next(struct client *c, int err)
{
    while (c->next_addr < c->job->naddrs) {
        err = plx_connect(c->loop, &c->job->addrs[c->next_addr++], &handler, &c, NULL);
        if (err == 0)
            return;
    }
    end(c, connect_refused(c->job, err));
}

/* ---- the loop ---- */

/* How long the next turn may wait. */
static int64_t patience(struct client *c)
{
    const int64_t limit = c->job->values->timeout_ns;
    if (c->plain && c->conn && !c->in.over && plx_conn_queued(c->conn) < QUEUE_MAX)
        return 0;
    if (limit == 0 || !c->conn || !c->in.over)
        return PLX_FOREVER;
    size_t queued = plx_conn_queued(c->conn);
    if (queued != c->queued)
        c->moved = now_ns();
    c->queued = queued;
    int64_t left = c->moved + limit - now_ns();
    if (left <= 0)
        end(c, connect_silent(c->job));
    return left > 0 ? left : 0;
}

int connect_loop(const struct connect_job *job)
{
    const int64_t limit = job->values->timeout_ns;
    struct client c = {.job = job, .in = {.stops_on_empty = job->values->quit_on_empty}};
    struct plx_loop_config config = {
        .model = job->model,
        .limits = {.high_water = HIGH_WATER,
                   .idle_ns = PLX_OFF,
                   .write_ns = limit ? limit : PLX_OFF,
                   .linger_ns = PLX_OFF,
                   .connect_ns = limit ? limit : CONNECT_TIME},
    };
    struct plx_why why = {.reason = ""};
    int rc = plx_loop_open(&config, &c.loop, &why);
    if (rc < 0)
        return cmd_fail_why(&cmd_connect, STATUS_USAGE, rc, &why);
    try_next(&c, 0);
    while (!c.done) {
        rc = plx_loop_turn(c.loop, patience(&c));
        if (rc < 0 && rc != -EINTR)
            end(&c,
                cmd_fail(&cmd_connect, STATUS_FAILED, "the wait failed: %s", plx_error_text(rc)));
        steer_input(&c);
    }
    plx_loop_close(c.loop);
    return c.status;
}
