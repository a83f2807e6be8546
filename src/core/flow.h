/* SPDX-License-Identifier: MIT */
/*
 * What every message takes, made part of each engine: a piece of input that the handler takes
 * whole, and one piece of output that the socket takes whole. Whatever is rare (held input, a
 * queue, a mark, a log of bytes, somebody looking on) is in flow.c, which explains the terms.
 */
#ifndef POLLUX_CORE_FLOW_H
#define POLLUX_CORE_FLOW_H

#include "core/trace.h"

void plx__conn_received_rarely(struct plx_conn *, const void *p, ssize_t n);
/* The handler was shown n bytes and said `said`, which is not n. */
void plx__conn_left_over(struct plx_conn *, const unsigned char *p, size_t n, ssize_t said);
void plx__conn_sent_rarely(struct plx_conn *, ssize_t n);
void plx__conn_keep_loan(struct plx_conn *); /* copies what is still borrowed into the queue */

static inline void plx__lend(struct plx_conn *c, const unsigned char *p, size_t n)
{
    struct plx_loop *l = c->loop;
    l->lent.conn = c;
    l->lent.base = l->lent.from = l->lent.to = p;
    l->lent.end = p + n;
}

/*
 * n > 0 bytes arrived, 0 = the peer's end, < 0 = -errno. The bytes are lent until
 * plx__conn_release(), so that output which repeats input (an echo) needs no copy if it is written
 * between the two.
 */
static inline void plx__conn_received(struct plx_conn *c, const void *p, ssize_t n)
{
    const unsigned rare = PLX__F_RARE | PLX__F_BUSY;
    struct plx_loop *l = c->loop;
    const struct plx_handler *h = c->handler;
    if (__builtin_expect(n <= 0 || c->phase != PLX__OPEN || (c->flags & rare) || c->in ||
                             l->inspected || !h->on_data,
                         0)) {
        plx__conn_received_rarely(c, p, n);
        return;
    }
    PLX__COUNT(l, bytes_in, n);
    PLX__COUNT(l, messages, 1);
    c->moved_ms = l->now_ms;
    c->flags |= PLX__F_BUSY;
    plx__lend(c, p, (size_t)n);
    ssize_t said = h->on_data(c, p, (size_t)n);
    plx__callback_ends(c, "on_data", 0, (size_t)n, said);
    if (__builtin_expect(said != n, 0))
        plx__conn_left_over(c, p, (size_t)n, said);
    c->flags = (uint16_t)(c->flags & ~PLX__F_BUSY);
}

static inline void plx__conn_release(struct plx_conn *c)
{
    struct plx_loop *l = c->loop;
    if (l->lent.conn != c)
        return;
    if (__builtin_expect(l->lent.to > l->lent.from, 0))
        plx__conn_keep_loan(c);
    l->lent.conn = NULL;
}

/* All that is to be sent, where it is borrowed input and nothing else (no queue, c->out.head). */
static inline struct iovec plx__conn_loan(const struct plx_conn *c)
{
    const struct plx_loop *l = c->loop;
    if (l->lent.conn != c)
        return (struct iovec){0};
    return (struct iovec){.iov_base = (void *)(uintptr_t)l->lent.from,
                          .iov_len = (size_t)(l->lent.to - l->lent.from)};
}

/* n bytes of plx__conn_outgoing() or plx__conn_loan() were sent, or < 0 = -errno. */
static inline void plx__conn_sent(struct plx_conn *c, ssize_t n)
{
    struct plx_loop *l = c->loop;
    if (__builtin_expect(n < 0 || c->out.head || (c->flags & PLX__F_THROTTLED), 0)) {
        plx__conn_sent_rarely(c, n);
        return;
    }
    PLX__COUNT(l, bytes_out, n);
    c->moved_ms = c->sent_ms = l->now_ms;
    c->unacked = 0;
    c->out_bytes -= (size_t)n;
    l->lent.from += n;
}

#endif
