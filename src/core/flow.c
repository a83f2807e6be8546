/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a connection: input on its way to the handler, output on its way to the engine.
 *
 * Lending. During plx__conn_received() the input buffer is lent to the handler. A plx_send() of a
 * part of that very input is not copied: it is remembered as a range ("borrowed") behind the
 * chunks of the queue. Other answers to that input are gathered in a buffer of the loop's, and
 * borrowed from there. The engine writes right away; plx__conn_release() copies only what the
 * socket did not take.
 *
 * Holding. What a handler does not consume is joined with what arrives later; so is everything that
 * arrives while input is paused or throttled (a completion engine may have it in flight).
 */
#include "core/flow.h"

#include "core/core.h"
#include "core/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- input ---- */

static bool takes_input(const struct plx_conn *c)
{
    return c->phase == PLX__OPEN && !plx__conn_holds_input(c);
}

/* How much of n bytes the handler has taken, by what it said; 0 = it takes no more. */
static size_t taken(struct plx_conn *c, size_t n, ssize_t said)
{
    if (said > (ssize_t)n)
        said = -EINVAL; /* it claims more than it was shown: a bug of its own */
    if (said < 0)
        plx__conn_fail(c, (int)said);
    return said > 0 ? (size_t)said : 0;
}

/* Shows input to the handler until it takes no more. Returns how much it consumed. */
static size_t consume(struct plx_conn *c, const unsigned char *p, size_t n)
{
    const struct plx_handler *h = c->handler;
    if (!h->on_data)
        return n;
    size_t off = 0, some = 1;
    while (some && off < n && takes_input(c)) {
        PLX__COUNT(c->loop, messages, 1);
        int64_t begin = plx__callback_begins(c);
        ssize_t said = h->on_data(c, p + off, n - off);
        plx__callback_ends(c, "on_data", begin, n - off, said);
        some = taken(c, n - off, said);
        off += some;
    }
    return off;
}

/* Keeps n bytes behind what is held already. The held input is one flat piece, because handlers
 * are promised one; it doubles, so that joining costs a constant per byte. */
static int hold(struct plx_conn *c, const unsigned char *p, size_t n)
{
    struct plx__chunk *in = c->in;
    size_t have = in ? in->len - in->off : 0;
    if (!in || in->cap - in->len < n) {
        size_t cap = 1024;
        while (cap < have + n)
            cap *= 2;
        struct plx__chunk *bigger = plx__sys_malloc(sizeof(*bigger) + cap);
        if (!bigger)
            return -ENOMEM;
        bigger->next = NULL;
        bigger->off = 0;
        bigger->len = (uint32_t)have;
        bigger->cap = (uint32_t)cap;
        if (in)
            memcpy(bigger->data, in->data + in->off, have);
        free(in);
        c->in = in = bigger;
    }
    memcpy(in->data + in->len, p, n);
    in->len += (uint32_t)n;
    return 0;
}

/* Shows held input; what is left over stays, unless it is more than a handler may leave. */
static void feed_held(struct plx_conn *c)
{
    struct plx__chunk *in = c->in;
    in->off += (uint32_t)consume(c, in->data + in->off, in->len - in->off);
    if (in->off == in->len || c->phase != PLX__OPEN) {
        free(in);
        c->in = NULL;
    } else if (takes_input(c) && in->len - in->off > c->loop->limits.input_cap) {
        plx__conn_fail(c, -EMSGSIZE);
    }
}

static void tell_eof(struct plx_conn *c)
{
    if (c->phase != PLX__OPEN || (c->flags & PLX__F_EOF_TOLD))
        return;
    c->flags |= PLX__F_EOF_TOLD;
    if (c->handler->on_eof) {
        int64_t begin = plx__callback_begins(c);
        c->handler->on_eof(c);
        plx__callback_ends(c, "on_eof", begin, 0, 0);
    } else
        plx_finish(c);
    plx__conn_end_if_both(c);
}

/* Whether everything before the end was shown: nothing is held that the handler has not seen yet.
 * What it leaves for good ("need more") does not hold the end back. */
static bool all_shown(const struct plx_conn *c)
{
    return !c->in || (takes_input(c) && !(c->flags & PLX__F_RESUME));
}

static void tell_eof_if_due(struct plx_conn *c)
{
    if ((c->flags & PLX__F_EOF) && !c->jobs && all_shown(c))
        tell_eof(c);
}

/* Input that the handler did not take is kept for it. */
static void keep(struct plx_conn *c, const unsigned char *p, size_t n)
{
    bool joined = c->in != NULL;
    if (n == 0 || c->phase != PLX__OPEN)
        return;
    if (hold(c, p, n) < 0)
        plx__conn_fail(c, -ENOMEM);
    else if (joined)
        feed_held(c);
    else if (takes_input(c) && n > c->loop->limits.input_cap)
        plx__conn_fail(c, -EMSGSIZE);
}

void plx__conn_left_over(struct plx_conn *c, const unsigned char *p, size_t n, ssize_t said)
{
    size_t took = taken(c, n, said);
    if (took)
        took += consume(c, p + took, n - took);
    keep(c, p + took, n - took);
}

static void take_bytes(struct plx_conn *c, const unsigned char *p, size_t n)
{
    struct plx_loop *l = c->loop;
    PLX__COUNT(l, bytes_in, n);
    if (c->phase != PLX__LINGERING) /* a peer that never ends must not prolong the linger */
        c->moved_ms = l->now_ms;
    if (c->phase != PLX__OPEN)
        return;
    if (plx__logs(l, PLX_LOG_DEBUG))
        plx__log_bytes(c, p, n);
    size_t took = 0;
    if (!c->in) {
        plx__lend(c, p, n);
        took = consume(c, p, n);
    }
    keep(c, p + took, n - took);
}

void plx__conn_received_rarely(struct plx_conn *c, const void *p, ssize_t n)
{
    unsigned was = plx__conn_enter(c);
    if (n < 0) {
        plx__conn_fail(c, (int)n);
    } else if (n == 0) {
        c->flags |= PLX__F_EOF;
        tell_eof_if_due(c);
    } else {
        take_bytes(c, p, (size_t)n);
    }
    plx__conn_leave(c, was);
}

void plx__conn_quiet(struct plx_conn *c)
{
    /* A paused one waits for its handler, and one with work in progress for that: either may be
     * about to answer. */
    if (!(c->flags & PLX__F_DRAINING) || c->jobs || !takes_input(c) || !all_shown(c))
        return;
    unsigned was = plx__conn_enter(c);
    tell_eof(c);
    if (!c->jobs) /* its on_eof may have work left */
        plx_finish(c);
    plx__conn_leave(c, was);
}

void plx__conn_pump(struct plx_conn *c)
{
    if (!(c->flags & PLX__F_RESUME))
        return;
    bool drained = c->flags & PLX__F_DRAINED;
    c->flags = (uint16_t)(c->flags & ~(PLX__F_RESUME | PLX__F_DRAINED));
    unsigned was = plx__conn_enter(c);
    if (c->in && takes_input(c))
        feed_held(c);
    if (takes_input(c))
        tell_eof_if_due(c);
    /* Throttled again by what was held: then it drains again. */
    if (drained && c->phase == PLX__OPEN && !(c->flags & PLX__F_THROTTLED) &&
        c->handler->on_drain) {
        int64_t begin = plx__callback_begins(c);
        c->handler->on_drain(c);
        plx__callback_ends(c, "on_drain", begin, 0, 0);
    }
    plx__conn_leave(c, was);
}

void plx_pause(struct plx_conn *c)
{
    c->flags |= PLX__F_PAUSED;
    if (!(c->flags & PLX__F_BUSY))
        plx__conn_dirty(c);
}

void plx_resume(struct plx_conn *c)
{
    if (!(c->flags & PLX__F_PAUSED))
        return;
    c->flags = (uint16_t)((c->flags & ~PLX__F_PAUSED) | PLX__F_RESUME);
    plx__conn_dirty(c); /* also from a callback: the held input must come to it later */
}

/* ---- output ---- */

static bool borrows(const struct plx_conn *c)
{
    return c->loop->lent.conn == c && c->loop->lent.to > c->loop->lent.from;
}

/* Copies what is still borrowed into the queue. */
static int settle_loan(struct plx_conn *c)
{
    struct plx_loop *l = c->loop;
    if (!borrows(c))
        return 0;
    const unsigned char *from = l->lent.from;
    size_t n = (size_t)(l->lent.to - from);
    l->lent.from = l->lent.to;
    return plx__outq_add(&c->out, &l->chunks, from, n);
}

void plx__conn_keep_loan(struct plx_conn *c)
{
    if (settle_loan(c) < 0)
        plx__conn_fail(c, -ENOMEM);
}

/* Takes p[0..n) as borrowed if it is the lent input, right behind what is borrowed already. */
static bool borrow(struct plx_conn *c, const unsigned char *p, size_t n)
{
    struct plx_loop *l = c->loop;
    if (l->lent.conn != c || p < l->lent.base || p + n > l->lent.end)
        return false;
    if (l->lent.from == l->lent.to)
        l->lent.from = l->lent.to = p;
    if (p != l->lent.to)
        return false;
    l->lent.to = p + n;
    return true;
}

/* What is rare is kept out of plx_send(), which then needs no register saved. */
#define RARE __attribute__((noinline, cold))

/* Copies what is to be sent behind what else the callback has sent in answer to this input, from
 * where the engine writes it right away. Not when something is queued before it, or when input is
 * borrowed: that goes first. */
static bool gather(struct plx_conn *c, const void *p, size_t n)
{
    struct plx_loop *l = c->loop;
    if (l->lent.conn != c || c->out.head)
        return false;
    if (l->lent.from == l->lent.to)
        l->lent.from = l->lent.to = l->answer;
    /* Of borrowed input this is more than there is room. */
    size_t used = (uintptr_t)l->lent.to - (uintptr_t)l->answer;
    if (used > PLX__ANSWER || n > PLX__ANSWER - used)
        return false;
    memcpy(l->answer + used, p, n);
    l->lent.to += n;
    return true;
}

RARE static int throttle(struct plx_conn *c)
{
    if (!(c->flags & PLX__F_THROTTLED)) {
        c->flags |= PLX__F_THROTTLED;
        PLX__COUNT(c->loop, throttled, 1);
    }
    return 1;
}

/* n bytes are to be sent, and lie where they are found. */
static inline int queued(struct plx_conn *c, size_t n)
{
    const struct plx_loop *l = c->loop;
    if (!c->out_bytes)
        c->sent_ms = l->now_ms;
    c->out_bytes += n;
    if (__builtin_expect(n > 0 && !(c->flags & PLX__F_BUSY), 0))
        plx__conn_dirty(c);
    return __builtin_expect(c->out_bytes <= l->limits.high_water, 1) ? 0 : throttle(c);
}

RARE static int refuse(struct plx_conn *c, int err)
{
    plx__conn_fail(c, err);
    return err;
}

__attribute__((noinline)) static int send_copied(struct plx_conn *c, const void *p, size_t n)
{
    if (gather(c, p, n))
        return queued(c, n);
    if (settle_loan(c) < 0 || plx__outq_add(&c->out, &c->loop->chunks, p, n) < 0)
        return refuse(c, -ENOMEM);
    return queued(c, n);
}

PLX__HOT int plx_send(struct plx_conn *c, const void *p, size_t n)
{
    if (c->phase > PLX__OPEN || (c->flags & (PLX__F_HALF | PLX__F_FINISH)))
        return -EPIPE;
    if (n > c->loop->limits.queue_cap - c->out_bytes)
        return refuse(c, -ENOBUFS);
    return n == 0 || borrow(c, p, n) ? queued(c, n) : send_copied(c, p, n);
}

int plx__conn_outgoing(struct plx_conn *c, struct iovec *iov, int cap)
{
    int n = plx__outq_iov(&c->out, iov, cap);
    if (n < cap && borrows(c))
        iov[n++] = plx__conn_loan(c);
    return n;
}

void plx__conn_sent_rarely(struct plx_conn *c, ssize_t n)
{
    struct plx_loop *l = c->loop;
    if (n < 0) {
        plx__conn_fail(c, (int)n);
        return;
    }
    PLX__COUNT(l, bytes_out, n);
    c->moved_ms = c->sent_ms = l->now_ms;
    c->unacked = 0;
    c->out_bytes -= (size_t)n;
    size_t dropped = c->out.head ? plx__outq_drop(&c->out, &l->chunks, (size_t)n) : 0;
    if (dropped < (size_t)n)
        l->lent.from += (size_t)n - dropped;
    if (!(c->flags & PLX__F_THROTTLED) || c->out_bytes > l->limits.low_water)
        return;
    /* on_drain and held input wait for the end of the turn, after the other connections and after
     * a glance at this one's input: a generator that fills its queue again each time would
     * otherwise never see its peer's end. */
    c->flags = (uint16_t)((c->flags & ~PLX__F_THROTTLED) | PLX__F_RESUME | PLX__F_DRAINED);
    plx__conn_dirty(c);
}

void plx__conn_stalled(struct plx_conn *c)
{
    plx__trace(c->loop, c, PLX_TRACE_QUEUED, "queue", 0, (int64_t)c->out_bytes);
    if (c->loop->limits.write_ns > 0)
        plx__loop_deadline(c->loop, c->loop->now + c->loop->limits.write_ns / 4);
}
