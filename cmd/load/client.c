/* SPDX-License-Identifier: MIT */
/*
 * One connection of the load: what it sends, and what it makes of the answers.
 *
 *     client_connect -> on_open -> [send within the plan -> on_data: verify, record, send on]
 *                                     -> client_finish, or the connection's own end -> on_close
 *
 * Whatever goes wrong is counted once, by kind, in client_fail(): the connection is then given up,
 * and so is what was under way on it.
 */
#include "cmd/load/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Short connections: failures in a row before a place is given up. */
#define CONNECT_TRIES 5

static struct client *client_of(struct plx_conn *conn)
{
    return *(struct client **)plx_conn_state(conn);
}

/* ---- failures ---- */

static void vnote(struct worker *w, enum load_error kind, const char *fmt, va_list ap)
{
    struct load *load = w->load;
    count(&w->counters.errors, 1);
    pthread_mutex_lock(&load->lock);
    struct load_failure *f = &load->failure[kind];
    if (f->count++ == 0)
        vsnprintf(f->first, sizeof(f->first), fmt, ap);
    if (kind == LOAD_ERR_MISMATCH && !load->invalid) {
        load->invalid = true;
        pthread_cond_signal(&load->changed);
    }
    pthread_mutex_unlock(&load->lock);
}

void client_fail(struct client *c, enum load_error kind, const char *fmt, ...)
{
    struct worker *w = c->worker;
    va_list ap;
    if (c->failed)
        return;
    c->failed = true;
    va_start(ap, fmt);
    vnote(w, kind, fmt, ap);
    va_end(ap);
    count(&w->counters.dropped, client_under_way(c));
    w->under_way -= client_under_way(c);
    if (c->conn)
        plx_abort(c->conn, 0);
}

void client_fail_mismatch(struct client *c, uint64_t offset, const char *what)
{
    client_fail(c, LOAD_ERR_MISMATCH, "connection %" PRIu64 ", offset %" PRIu64 ": %s", c->number,
                offset, what);
}

/* An answer that began and did not end: the bytes are wrong in number. */
static void fail_short(struct client *c, const char *how)
{
    char what[120];
    snprintf(what, sizeof(what),
             "the answer is too short: %" PRIu32 " of %" PRIu32 " bytes, then %s", c->got, c->size,
             how);
    client_fail_mismatch(c, c->offset, what);
}

void client_check_late(struct client *c, int64_t now)
{
    const struct load_config *cfg = c->worker->load->cfg;
    if (!c->conn || c->failed || client_under_way(c) == 0 || now - c->moved_ns <= cfg->timeout_ns)
        return;
    char how[60];
    snprintf(how, sizeof(how), "nothing for %.3g s", (double)cfg->timeout_ns / 1e9);
    if (c->got > 0)
        fail_short(c, how);
    else
        client_fail(c, LOAD_ERR_TIMEOUT,
                    "connection %" PRIu64 ": %s, %" PRIu64
                    " answers were due, the first to message "
                    "%" PRIu64,
                    c->number, how, client_under_way(c), c->answered + 1);
}

void client_unanswered(struct client *c)
{
    if (c->conn && !c->failed && client_under_way(c) > 0)
        client_fail(c, LOAD_ERR_TIMEOUT,
                    "connection %" PRIu64 ": %" PRIu64 " messages unanswered %.3g s after the end",
                    c->number, client_under_way(c), (double)c->worker->load->cfg->timeout_ns / 1e9);
}

/* ---- connections ---- */

struct plx_addr load_source(const struct load_config *cfg, uint64_t i)
{
    struct plx_addr a = cfg->source;
    unsigned char *last = a.sa.sa_family == AF_INET6 ? &a.in6.sin6_addr.s6_addr[15]
                                                     : (unsigned char *)&a.in.sin_addr + 3;
    for (; i > 0; last--) { /* adds i to the address, least significant byte first */
        i += *last;
        *last = (unsigned char)i;
        i >>= 8;
    }
    return a;
}

/* The sources are taken in turn, also by the connections that follow one another. */
static struct plx_addr source_of(const struct client *c)
{
    const struct load_config *cfg = c->worker->load->cfg;
    uint64_t nth = c->number - 1 + (c->rounds - 1) * cfg->connections;
    return load_source(cfg, nth % cfg->nsources);
}

/* A short connection is followed by the next one, also after a failure or some: a server may come
 * back. */
static void again_or_never(struct client *c)
{
    struct worker *w = c->worker;
    if (w->load->cfg->mode == LOAD_CONNECT && c->active && c->failures < CONNECT_TRIES &&
        worker_may_send(w))
        worker_connect(w, c);
    else
        worker_give_up(w, c);
}

static void connect_failed(struct client *c, int err)
{
    struct worker *w = c->worker;
    char hint[60] = "";
    if (err == -ECONNREFUSED)
        snprintf(hint, sizeof(hint), "; is a server listening there?");
    else if (err == -EADDRNOTAVAIL && !w->load->cfg->nsources)
        snprintf(hint, sizeof(hint), "; --source makes more local ports");
    c->failed = false;
    client_fail(c, LOAD_ERR_CONNECT, "connection %" PRIu64 ": %s%s", c->number, plx_error_text(err),
                hint);
    c->failures++;
    w->refused++;
    again_or_never(c);
}

void client_connect(struct client *c)
{
    struct worker *w = c->worker;
    const struct load_config *cfg = w->load->cfg;
    c->closing = c->failed = false;
    c->left = cfg->messages_per_connection;
    c->offset = 0;
    c->rounds++;
    c->connect_ns = clock_ns();
    struct plx_addr from = cfg->nsources ? source_of(c) : cfg->to;
    count(&w->counters.connecting, 1);
    int rc =
        plx_connect_from(w->loop, &cfg->to, cfg->nsources ? &from : NULL, &load_handler, &c, NULL);
    if (rc < 0) {
        count(&w->counters.connecting, (uint64_t)-1);
        connect_failed(c, rc);
    }
}

void client_finish(struct client *c)
{
    if (!c->conn || c->closing)
        return;
    c->closing = true;
    plx_finish(c->conn);
}

/* The connection has done what it was made for: the short ones end here. */
static void end_if_over(struct client *c)
{
    if (c->worker->load->cfg->mode != LOAD_CONNECT || !c->active || client_under_way(c) ||
        c->closing)
        return;
    if (c->left == 0 || !worker_may_send(c->worker))
        client_finish(c);
}

static int on_open(struct plx_conn *conn)
{
    struct client *c = client_of(conn);
    struct worker *w = c->worker;
    int64_t now = clock_ns();
    c->conn = conn;
    count(&w->counters.connecting, (uint64_t)-1);
    hist_record(w->connect, now - c->connect_ns);
    count(&w->counters.opened, 1);
    count(&w->counters.open, 1);
    w->refused = 0;
    if (w->finishing)
        client_finish(c);
    else if (w->load->cfg->mode == LOAD_CONNECT && c->active) {
        exchange_fill(c, c->connect_ns);
        c->moved_ns = now;
        end_if_over(c);
    }
    worker_check(w);
    worker_pump(w);
    return 0;
}

static ssize_t on_data(struct plx_conn *conn, const void *p, size_t n)
{
    struct client *c = client_of(conn);
    struct worker *w = c->worker;
    if (c->failed)
        return (ssize_t)n;
    count(&w->counters.bytes_received, n);
    if (!load_awaits_answers(w->load->cfg))
        return (ssize_t)n;
    int rc = exchange_received(c, p, n, clock_ns());
    if (rc < 0)
        return rc;
    end_if_over(c);
    worker_check(w);
    return (ssize_t)n;
}

static void on_drain(struct plx_conn *conn)
{
    struct client *c = client_of(conn);
    if (!load_awaits_answers(c->worker->load->cfg) && c->active) {
        exchange_fill(c, clock_ns());
        worker_check(c->worker);
    }
}

static void lost(struct client *c, const char *how)
{
    if (c->got > 0)
        fail_short(c, how);
    else if (client_under_way(c) > 0)
        client_fail(c, LOAD_ERR_READ, "connection %" PRIu64 ": %s, with %" PRIu64 " answers due",
                    c->number, how, client_under_way(c));
    else
        client_fail(c, LOAD_ERR_READ, "connection %" PRIu64 ": %s while nothing was due", c->number,
                    how);
}

static void on_eof(struct plx_conn *conn)
{
    struct client *c = client_of(conn);
    if (!c->closing && !c->failed)
        lost(c, "closed by the server");
    worker_check(c->worker);
}

static void on_close(struct plx_conn *conn, int err)
{
    struct client *c = client_of(conn);
    struct worker *w = c->worker;
    if (!c->conn) {
        count(&w->counters.connecting, (uint64_t)-1);
        if (w->finishing)
            worker_give_up(w, c);
        else
            connect_failed(c, err);
        worker_check(w);
        worker_pump(w);
        return;
    }
    if (!c->closing && !c->failed) {
        if (err == -EPIPE || err == -ENOBUFS || err == -ENOMEM)
            client_fail(c, LOAD_ERR_WRITE, "connection %" PRIu64 ": %s", c->number,
                        plx_error_text(err));
        else if (err == -ETIMEDOUT)
            client_fail(c, LOAD_ERR_TIMEOUT,
                        "connection %" PRIu64 ": nothing could be sent for %.3g s", c->number,
                        (double)w->load->cfg->timeout_ns / 1e9);
        else
            lost(c, err ? plx_error_text(err) : "closed");
    }
    c->conn = NULL;
    /* The next connection of this place begins with a message of its own. */
    c->answered = c->sent;
    c->random_in = c->random_out;
    c->size = c->got = 0;
    count(&w->counters.open, (uint64_t)-1);
    c->failures = c->failed ? c->failures + 1 : 0;
    if (c->failed)
        count(&w->counters.lost, 1);
    again_or_never(c);
    worker_check(w);
    worker_pump(w);
}

const struct plx_handler load_handler = {
    .name = "load",
    .state_size = sizeof(struct client *),
    .reads_always = true,
    .on_open = on_open,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_close = on_close,
};
