/* SPDX-License-Identifier: MIT */
/* What goes over a connection of the load: messages out by the plan, answers in and verified. */
#include "cmd/load/worker.h"
#include "cmd/random.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Open loop: with so much unsent, what is due waits for its turn; it is late all the same. */
#define QUEUE_MOST (1u << 20)

static bool closed_loop(const struct worker *w)
{
    return w->load->cfg->arrival == LOAD_CLOSED;
}

/* ---- sending ---- */

static uint32_t draw_size(const struct load_config *cfg, uint64_t *random)
{
    if (cfg->nsizes == 1)
        return cfg->size[0].bytes;
    uint64_t sum = 0;
    for (size_t i = 0; i < cfg->nsizes; i++)
        sum += cfg->size[i].weight;
    uint64_t at = sum > 0 ? random_next(random) % sum : 0; /* weights are at least 1 */
    size_t i = 0;
    while (at >= cfg->size[i].weight)
        at -= cfg->size[i++].weight;
    return cfg->size[i].bytes;
}

static int put(struct client *c, uint32_t size)
{
    struct worker *w = c->worker;
    struct iovec iov[2];
    if (size <= WORKER_SMALL) {
        int n = payload_parts(w->load->payload, c->number, c->sent, size, w->scratch, iov);
        size_t at = 0;
        for (int i = 0; i < n; i++) {
            memmove(w->scratch + at, iov[i].iov_base, iov[i].iov_len);
            at += iov[i].iov_len;
        }
        return plx_send(c->conn, w->scratch, size);
    }
    char head[PAYLOAD_HEAD];
    int rc = 0, n = payload_parts(w->load->payload, c->number, c->sent, size, head, iov);
    for (int i = 0; i < n && rc >= 0; i++)
        rc = plx_send(c->conn, iov[i].iov_base, iov[i].iov_len);
    return rc;
}

/* Sends the next message. As plx_send(). */
static int send_message(struct client *c, int64_t now)
{
    struct worker *w = c->worker;
    uint32_t size = draw_size(w->load->cfg, &c->random_out);
    int rc = put(c, size);
    if (rc < 0) {
        client_fail(c, LOAD_ERR_WRITE, "connection %" PRIu64 ": %s", c->number, plx_error_text(rc));
        return rc;
    }
    if (client_under_way(c) == 0)
        c->moved_ns = now;
    c->sent++;
    w->under_way++;
    if (w->quota != UINT64_MAX)
        w->quota--;
    count(&w->counters.sent, 1);
    count(&w->counters.bytes_sent, size);
    if (w->load->cfg->mode == LOAD_CONNECT)
        c->left--;
    return rc;
}

static int64_t *stamp(const struct client *c, uint64_t seq)
{
    const struct worker *w = c->worker;
    size_t depth = w->load->cfg->depth;
    return &w->stamps[(size_t)(c - w->client) * depth + seq % depth];
}

static bool may_send(const struct client *c)
{
    return c->conn && !c->failed && !c->closing && worker_may_send(c->worker) &&
           (c->worker->load->cfg->mode != LOAD_CONNECT || c->left > 0);
}

/* In bulk and without answers: until the queue is full; on_drain goes on. */
static void pour(struct client *c)
{
    int rc = 0;
    while (rc == 0 && may_send(c)) {
        rc = send_message(c, 0);
        if (rc < 0)
            return;
        c->answered++;
        c->worker->under_way--;
        count(&c->worker->counters.answered, 1);
    }
}

void exchange_fill(struct client *c, int64_t now)
{
    const struct load_config *cfg = c->worker->load->cfg;
    if (!load_awaits_answers(cfg)) {
        pour(c);
        return;
    }
    while (client_under_way(c) < cfg->depth && may_send(c)) {
        *stamp(c, c->sent) = now;
        if (send_message(c, now) < 0)
            return;
    }
}

bool exchange_send_due(struct client *c, int64_t now)
{
    struct worker *w = c->worker;
    if (plx_conn_queued(c->conn) > QUEUE_MOST)
        return false;
    int64_t due = arrivals_due(&c->out);
    if (due >= w->load->measure_ns)
        hist_record(w->lag, now - due);
    arrivals_next(&c->out);
    send_message(c, now);
    return true;
}

/* ---- answers ---- */

static void complete(struct client *c, int64_t now)
{
    struct worker *w = c->worker;
    const struct load *load = w->load;
    int64_t began;
    if (closed_loop(w)) {
        began = *stamp(c, c->answered);
    } else {
        began = arrivals_due(&c->in);
        arrivals_next(&c->in);
    }
    if (began >= load->measure_ns && began < load->end_ns)
        hist_record(w->latency, now - began);
    c->answered++;
    c->size = c->got = 0;
    w->under_way--;
    count(&w->counters.answered, 1);
}

/* Returns how many of the bytes belong to the answer that is due, after a look at them; 0 = wrong.
 */
static size_t take(struct client *c, const unsigned char *p, size_t n)
{
    const struct load *load = c->worker->load;
    if (client_under_way(c) == 0) {
        client_fail_mismatch(c, c->offset, "more came back than was sent");
        return 0;
    }
    if (c->size == 0)
        c->size = draw_size(load->cfg, &c->random_in);
    size_t part = c->size - c->got < n ? c->size - c->got : n;
    if (load->cfg->expect != LOAD_NONE) {
        unsigned char want = 0;
        size_t right = payload_check(load->payload, c->number, c->answered, c->size,
                                     load->cfg->expect == LOAD_UPPER, c->got, p, part, &want);
        if (right < part) {
            char what[120];
            snprintf(what, sizeof(what),
                     "expected 0x%02x, got 0x%02x (byte %zu of its message %" PRIu64 ")", want,
                     p[right], c->got + right, c->answered + 1);
            client_fail_mismatch(c, c->offset + right, what);
            return 0;
        }
    }
    c->got += (uint32_t)part;
    c->offset += part;
    return part;
}

int exchange_received(struct client *c, const void *p, size_t n, int64_t now)
{
    const unsigned char *from = p;
    c->moved_ns = now;
    while (n > 0) {
        size_t part = take(c, from, n);
        if (part == 0)
            return -EPROTO;
        if (c->got == c->size)
            complete(c, now);
        from += part;
        n -= part;
    }
    if (closed_loop(c->worker) && c->active)
        exchange_fill(c, now);
    return 0;
}
