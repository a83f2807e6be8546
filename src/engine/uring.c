/* SPDX-License-Identifier: MIT */
/*
 * The Proactor over io_uring: the kernel waits for the data and copies them; the process is told.
 *
 *     listener    one multishot accept
 *     connection  one multishot receive into a ring of provided buffers that all connections share,
 *                 so an idle connection holds none; answers are written at once with a plain send,
 *                 and only what the socket does not take becomes a send in the ring
 *                 A connection whose input comes in large pieces has a multishot poll instead, and
 *                 plain receives: many buffers in turn push the bytes of others, and each other's,
 *                 out of the cache, one that is used again and again does not (docs/performance.md)
 *     wait        one io_uring_enter submits everything and waits
 *
 * States of a connection's receive:   (idle) --arm--> receiving --cancel--> cancelling --> (idle)
 * A receive ends by itself (no IORING_CQE_F_MORE) on the peer's end, an error, or ENOBUFS, which
 * is normal: the buffers are all in completions that are about to be handled; it is armed again
 * when they are back. Pausing cancels it and absorbs what had landed. A connection is retired only
 * when every completion is back.
 *
 * Multishot receive is tried, and dropped when the kernel refuses it; so are the features that
 * uring_setup.c asks for.
 *
 * Sources: io_uring_setup(2), io_uring_enter(2), io_uring_multishot(7), io_uring_cancelation(7),
 * io_uring_provided_buffers(7).
 */
#include "core/core.h"

#include <errno.h>

#if PLX_HAVE_LIBURING

#include "core/trace.h"
#include "engine/send.h"
#include "engine/uring.h"
#include "selector/pollset.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* IORING_CQE_F_BUF_MORE (Linux 6.12), which liburing 2.3's headers lack: the buffer goes on. */
#define CQE_F_BUF_MORE (1u << 4)
#define BATCH          1024 /* completions per turn */
/* Of a receive in flight: it is multishot; it is a poll. */
#define MULTISHOT 2
#define POLLED    3
/* Waits of 10 ms for completions when a loop ends; a kernel that keeps one back loses its ring. */
#define HALT_TRIES   200
#define DRAIN_BUDGET 16 /* receives in a row for one connection that drains */
#define READ_BUDGET  4  /* ... that is polled */
/* What one receive brings is large or small, and so often in a row before the way is changed: to
 * change it costs a cancellation. Between the two nothing changes. */
#define LARGE  8192
#define SMALL  2048
#define STREAK 8

enum kind { OP_RECV = 1, OP_SEND, OP_CONNECT, OP_CANCEL, OP_ACCEPT, OP_WATCH, OP_WAKE };

/* What an accept or a poll in flight belongs to; outlives it, because a late completion may name
 * it. */
struct target {
    void *owner;                             /* listener or watch; NULL when it is gone */
    const struct plx__listen_socket *socket; /* of an accept */
    struct target *prev, *next;
};

static uint64_t conn_data(enum kind kind, const struct plx_conn *c)
{
    return (uint64_t)kind << 56 | (uint64_t)(c->generation & 0xffffffu) << 32 | c->slot;
}

static uint64_t target_data(enum kind kind, const struct target *t)
{
    return (uint64_t)kind << 56 | (uint64_t)(uintptr_t)t; /* user addresses have 47 or 56 bits */
}

/* The single issuer is the thread that enables the ring: not the one that opened the loop, but the
 * one that runs it. */
static int enable(struct plx__ring *r)
{
    /* io_uring_enable_rings(3), whose symbol liburing 2.3 forgot to export. */
    if (r->disabled &&
        syscall(__NR_io_uring_register, r->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return -errno;
    r->disabled = false;
    return 0;
}

static void refuse(struct plx_loop *l, int fd)
{
    PLX__COUNT(l, refused, 1);
    plx__sys_close(fd);
}

/* Completions that nobody will handle any more. What the ring has accepted by then is a descriptor,
 * which the end of the ring does not close. */
static void discard(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    struct io_uring_cqe *cqe;
    while (io_uring_peek_cqe(&r->ring, &cqe) == 0) {
        if (cqe->user_data >> 56 == OP_ACCEPT && cqe->res >= 0)
            refuse(l, cqe->res);
        io_uring_cqe_seen(&r->ring, cqe);
    }
}

/* A ring that the kernel no longer serves us: it has failed, or the loop is being closed by another
 * thread than the one that ran it, which a single issuer forbids. Ending it cancels everything. */
static void bury(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    if (r->dead)
        return;
    discard(l);
    io_uring_queue_exit(&r->ring);
    r->dead = true;
}

static struct io_uring_sqe *get_sqe(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    struct io_uring_sqe *sqe = NULL;
    while (!r->dead && !(sqe = io_uring_get_sqe(&r->ring))) { /* full: hand over what is there */
        int rc = enable(r);
        if (rc == 0)
            rc = plx__sys_io_uring_enter(&r->ring, false, NULL);
        PLX__COUNT(l, calls_wait, 1);
        if (rc < 0 && rc != -EAGAIN && rc != -EBUSY && rc != -EINTR)
            bury(l);
    }
    return sqe ? sqe : &r->nowhere;
}

/* What is prepared goes to the kernel with the next io_uring_enter(2). */
static void hand_over(struct io_uring_sqe *sqe, uint64_t data)
{
    sqe->user_data = data;
    plx__sys_prepared(sqe);
}

static void cancel(struct plx_loop *l, uint64_t data)
{
    struct io_uring_sqe *sqe = get_sqe(l);
    io_uring_prep_cancel64(sqe, data, 0);
    hand_over(sqe, (uint64_t)OP_CANCEL << 56);
}

static int probe(const struct plx_model *m, struct plx_why *why)
{
    (void)m;
    struct plx__ring r = {0};
    int rc = plx__ring_open(&r, why);
    if (rc == 0)
        plx__ring_close(&r);
    return rc;
}

/* ---- a connection ---- */

static void arm_receive(struct plx_loop *l, struct plx_conn *c)
{
    struct plx__ring *r = l->state;
    struct io_uring_sqe *sqe = get_sqe(l);
    if (c->eng.ring.by_poll) {
        /* POLLRDHUP: an end behind the bytes makes no second event. */
        io_uring_prep_poll_multishot(sqe, c->fd, POLLIN | POLLRDHUP);
        hand_over(sqe, conn_data(OP_RECV, c));
        c->eng.ring.receiving = POLLED;
        return;
    }
    if (r->multishot)
        io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = PLX__RING_GROUP;
    hand_over(sqe, conn_data(OP_RECV, c));
    c->eng.ring.receiving = r->multishot ? MULTISHOT : 1;
}

static void cancel_receive(struct plx_loop *l, struct plx_conn *c)
{
    if (!c->eng.ring.receiving || c->eng.ring.cancelling)
        return;
    c->eng.ring.cancelling = 1;
    cancel(l, conn_data(OP_RECV, c));
}

/* Large input goes another way than small. */
static void note_size(struct plx_loop *l, struct plx_conn *c, size_t n)
{
    bool other = c->eng.ring.by_poll ? n < SMALL : n >= LARGE;
    c->eng.ring.streak = (uint8_t)(other ? c->eng.ring.streak + 1 : 0);
    if (c->eng.ring.streak < STREAK)
        return;
    c->eng.ring.streak = 0;
    c->eng.ring.by_poll = !c->eng.ring.by_poll;
    cancel_receive(l, c); /* armed again, the other way, once that is back */
}

static void send_now(struct plx_conn *c)
{
    if (!c->eng.ring.sending)
        plx__send_now(c);
}

/* The rest goes through the ring, a chunk at a time: the queue's front stays in place. */
static void submit_send(struct plx_loop *l, struct plx_conn *c)
{
    struct iovec iov;
    if (plx__conn_outgoing(c, &iov, 1) != 1)
        return;
    struct io_uring_sqe *sqe = get_sqe(l);
    io_uring_prep_send(sqe, c->fd, iov.iov_base, iov.iov_len, MSG_NOSIGNAL);
    hand_over(sqe, conn_data(OP_SEND, c));
    c->eng.ring.sending = 1;
    plx__conn_stalled(c);
}

/* One plain receive, without waiting. False: there was nothing. `*full`: there may be more. */
static bool receive_now(struct plx_loop *l, struct plx_conn *c, bool *full)
{
    ssize_t n = plx__sys_recv(c->fd, l->inbuf, PLX__INBUF, MSG_DONTWAIT);
    int err = n < 0 ? errno : 0;
    PLX__COUNT(l, calls_recv, 1);
    *full = n == PLX__INBUF || err == EINTR;
    if (err == EAGAIN) {
        PLX__COUNT(l, eagain, 1);
        return false;
    }
    if (err != EINTR) {
        if (n > 0 && c->eng.ring.by_poll)
            note_size(l, c, (size_t)n);
        plx__conn_received(c, l->inbuf, err ? -err : n);
        send_now(c);
        plx__conn_release(c);
    }
    return true;
}

/* A draining connection: what has arrived is taken without waiting, then it is quiet. */
static void receive_rest(struct plx_loop *l, struct plx_conn *c)
{
    bool full;
    for (int i = 0; i < DRAIN_BUDGET; i++) {
        if (c->phase != PLX__OPEN || !(plx__conn_want(c) & PLX__WANT_READ))
            return;
        if (!receive_now(l, c, &full)) {
            plx__conn_quiet(c);
            return;
        }
    }
    plx__conn_dirty(c); /* others have their turn */
}

static void glance(struct plx_loop *l, struct plx_conn *c)
{
    bool full;
    if (!c->eng.ring.receiving) /* else the order of the bytes would be lost */
        (void)receive_now(l, c, &full);
}

static void retire_when_done(struct plx_loop *l, struct plx_conn *c)
{
    cancel_receive(l, c);
    if (c->eng.ring.sending == 1) {
        cancel(l, conn_data(OP_SEND, c));
        c->eng.ring.sending = 2; /* asked once is enough */
    }
    if (c->eng.ring.polling == 1) {
        cancel(l, conn_data(OP_CONNECT, c));
        c->eng.ring.polling = 2;
    }
    if (!c->eng.ring.receiving && !c->eng.ring.sending && !c->eng.ring.polling)
        plx__conn_retire(c);
}

static void settle(struct plx_loop *l, struct plx_conn *c)
{
    if (plx__conn_want(c) == PLX__WANT_READ && c->eng.ring.receiving &&
        !(c->flags & PLX__F_DRAINING))
        return; /* the usual end of a completion */
    bool draining = (c->flags & PLX__F_DRAINING) && c->phase == PLX__OPEN;
    if (draining && c->eng.ring.receiving)
        cancel_receive(l, c);
    else if (draining)
        receive_rest(l, c);
    send_now(c);
    unsigned want = plx__conn_want(c);
    if ((want & PLX__WANT_WRITE) && !c->eng.ring.sending)
        submit_send(l, c);
    if ((want & PLX__WANT_FIN) && !c->eng.ring.sending) {
        (void)plx__sys_shutdown(c->fd, SHUT_WR);
        PLX__COUNT(l, calls_other, 1);
        plx__conn_fin_sent(c);
        want = plx__conn_want(c);
    }
    if (want & PLX__WANT_RETIRE) {
        retire_when_done(l, c);
        return;
    }
    if ((want & PLX__WANT_CONNECT) && !c->eng.ring.polling) {
        struct io_uring_sqe *sqe = get_sqe(l);
        io_uring_prep_poll_add(sqe, c->fd, POLLOUT);
        hand_over(sqe, conn_data(OP_CONNECT, c));
        c->eng.ring.polling = 1;
    }
    if (!(want & PLX__WANT_READ))
        cancel_receive(l, c);
    else if (!c->eng.ring.receiving && !(c->flags & PLX__F_DIRTY))
        arm_receive(l, c);
}

static int adopt(struct plx_loop *l, const struct plx__socket *s, struct plx_conn **out)
{
    struct plx_conn *c = plx__conn_new(l, s);
    if (!c)
        return -ENOMEM;
    plx__conn_opened(c);
    settle(l, c);
    if (out)
        *out = c;
    return 0;
}

/* ---- completions ---- */

static void take_data(struct plx_loop *l, struct plx_conn *c, const struct io_uring_cqe *cqe)
{
    struct plx__ring *r = l->state;
    unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    if (c) {
        note_size(l, c, (size_t)cqe->res);
        plx__conn_received(c, r->memory + (size_t)id * r->buf_size + r->filled[id], cqe->res);
        send_now(c);
        plx__conn_release(c);
    }
    r->filled[id] += (uint32_t)cqe->res;
    if (!(cqe->flags & CQE_F_BUF_MORE))
        plx__ring_give(r, id);
}

/* Somebody's multishot has taken all the buffers. It is armed again at the end of the turn, when
 * they are back; but then the same one may be first again. So that none starves, each who went
 * without gets one plain receive. */
static void without_buffers(struct plx_loop *l, struct plx_conn *c)
{
    bool full;
    if (!c->eng.ring.receiving && (plx__conn_want(c) & PLX__WANT_READ))
        (void)receive_now(l, c, &full);
    plx__conn_dirty(c);
}

/* The poll tells of changes: all there is must be read. A short receive has done that, unless the
 * peer's end or an error comes behind it (epoll(7) says so of edges, and these are the same). */
static void on_readable(struct plx_loop *l, struct plx_conn *c, int mask)
{
    bool last = mask & (POLLRDHUP | POLLHUP | POLLERR), full = true;
    for (int i = 0; i < READ_BUDGET; i++) {
        if (!(plx__conn_want(c) & PLX__WANT_READ) || !(full || last) || !receive_now(l, c, &full))
            return;
    }
    if (full || last)
        cancel_receive(l, c); /* others have their turn; armed again it tells at once */
}

static void on_receive(struct plx_loop *l, struct plx_conn *c, const struct io_uring_cqe *cqe)
{
    struct plx__ring *r = l->state;
    bool polled = c->eng.ring.receiving == POLLED;
    bool multishot = c->eng.ring.receiving == MULTISHOT;
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        c->eng.ring.receiving = 0;
        c->eng.ring.cancelling = 0;
    }
    if (cqe->res <= 0 &&
        (cqe->flags & (IORING_CQE_F_BUFFER | CQE_F_BUF_MORE)) == IORING_CQE_F_BUFFER)
        plx__ring_give(r, cqe->flags >> IORING_CQE_BUFFER_SHIFT); /* taken and not used */
    if (cqe->res >= 0 && polled)
        on_readable(l, c, cqe->res);
    else if (cqe->res > 0)
        take_data(l, c, cqe);
    else if (cqe->res == 0)
        plx__conn_received(c, NULL, 0);
    else if (cqe->res == -ENOBUFS)
        without_buffers(l, c);
    else if (cqe->res == -EINVAL && multishot)
        r->multishot = false; /* Linux before 6.0: one receive at a time */
    else if (cqe->res != -ECANCELED && cqe->res != -EINTR && cqe->res != -EAGAIN)
        plx__conn_received(c, NULL, cqe->res);
    settle(l, c);
}

static void on_send(struct plx_loop *l, struct plx_conn *c, int res)
{
    c->eng.ring.sending = 0;
    if (res >= 0)
        plx__conn_sent(c, res);
    else if (res != -ECANCELED && res != -EINTR && res != -EAGAIN && res != -ENOBUFS)
        plx__conn_sent(c, res);
    settle(l, c);
}

static void on_connect(struct plx_loop *l, struct plx_conn *c)
{
    c->eng.ring.polling = 0;
    int err = plx__socket_connected(c->fd);
    PLX__COUNT(l, calls_other, 2);
    /* From here on the kernel waits: O_NONBLOCK would make a receive in the ring answer EAGAIN. */
    if (!err)
        err = -plx__socket_blocking(c->fd, true);
    if (err != EINPROGRESS)
        plx__conn_connected(c, err);
    settle(l, c);
}

static struct target *target_new(struct plx__ring *r, void *owner)
{
    struct target *t = plx__sys_calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->owner = owner;
    t->next = r->targets;
    if (t->next)
        t->next->prev = t;
    r->targets = t;
    return t;
}

static void target_free(struct plx__ring *r, struct target *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        r->targets = t->next;
    if (t->next)
        t->next->prev = t->prev;
    free(t);
}

static void submit_accept(struct plx_loop *l, struct target *t)
{
    struct plx__listener *ls = t->owner;
    struct io_uring_sqe *sqe = get_sqe(l);
    io_uring_prep_multishot_accept(sqe, ls->socket->fd, NULL, NULL, SOCK_CLOEXEC);
    hand_over(sqe, target_data(OP_ACCEPT, t));
}

static void on_accept(struct plx_loop *l, struct target *t, const struct io_uring_cqe *cqe)
{
    struct plx__listener *ls = t->owner;
    bool over = !(cqe->flags & IORING_CQE_F_MORE);
    if (cqe->res >= 0) {
        /* Those who had landed when the listener paused are not to pay for it. */
        for (ls = l->listeners; ls && ls->socket != t->socket; ls = ls->next) {
        }
        if (ls)
            plx__accepted(ls, cqe->res, NULL, 0);
        else
            refuse(l, cqe->res);
    } else if (ls && cqe->res != -ECANCELED) {
        (void)plx__accept_failed(ls, -cqe->res);
    }
    if (!over)
        return;
    if (t->owner) /* not unlistened meanwhile */
        submit_accept(l, t);
    else
        target_free(l->state, t);
}

static void submit_watch(struct plx_loop *l, struct target *t, unsigned events)
{
    struct plx_watch *w = t->owner;
    struct io_uring_sqe *sqe = get_sqe(l);
    io_uring_prep_poll_add(sqe, w->fd, (unsigned)plx__pollset_asked(events));
    hand_over(sqe, target_data(OP_WATCH, t));
}

static void on_watch(struct plx_loop *l, struct target *t, int res)
{
    struct plx_watch *w = t->owner;
    if (w) {
        short found = (short)(res < 0 ? POLLERR : res);
        w->fn(w->fd, plx__pollset_answer(w->events, found), w->arg);
    }
    if (t->owner) /* a poll is one shot; asking again makes it level-triggered */
        submit_watch(l, t, w->events);
    else
        target_free(l->state, t);
}

static void submit_wake(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    struct io_uring_sqe *sqe = get_sqe(l);
    io_uring_prep_poll_multishot(sqe, r->wake.rd, POLLIN);
    hand_over(sqe, (uint64_t)OP_WAKE << 56);
}

static const char *kind_name(enum kind kind, const struct plx_conn *c)
{
    switch (kind) {
    case OP_RECV: return c && c->eng.ring.receiving == POLLED ? "poll" : "recv";
    case OP_SEND: return "send";
    case OP_ACCEPT: return "accept";
    case OP_CANCEL: return "cancel";
    case OP_CONNECT:
    case OP_WATCH:
    case OP_WAKE: break;
    }
    return "poll";
}

static void complete(struct plx_loop *l, const struct io_uring_cqe *cqe)
{
    struct plx__ring *r = l->state;
    uint64_t data = cqe->user_data;
    enum kind kind = (enum kind)(data >> 56);
    struct target *t = (struct target *)(uintptr_t)(data & ((1ULL << 56) - 1));
    uint32_t slot = (uint32_t)data;
    struct plx_conn *c = NULL;
    if (kind <= OP_CONNECT && slot < l->nslots)
        c = l->slots[slot].conn;
    if (c && (c->generation & 0xffffffu) != (data >> 32 & 0xffffffu))
        c = NULL; /* cannot be: a connection stays until its completions are back */
    plx__trace(l, c, PLX_TRACE_COMPLETED, kind_name(kind, c), !!(cqe->flags & IORING_CQE_F_MORE),
               cqe->res);
    switch (kind) {
    case OP_RECV:
        if (c)
            on_receive(l, c, cqe);
        else if (cqe->flags & IORING_CQE_F_BUFFER)
            take_data(l, NULL, cqe);
        break;
    case OP_SEND:
        if (c)
            on_send(l, c, cqe->res);
        break;
    case OP_CONNECT:
        if (c)
            on_connect(l, c);
        break;
    case OP_CANCEL: break;
    case OP_ACCEPT: on_accept(l, t, cqe); break;
    case OP_WATCH: on_watch(l, t, cqe->res); break;
    case OP_WAKE:
        plx__wake_clear(&r->wake);
        if (!(cqe->flags & IORING_CQE_F_MORE))
            submit_wake(l);
        break;
    }
}

/* ---- the contract ---- */

static int enter(struct plx_loop *l, int64_t timeout_ns)
{
    struct plx__ring *r = l->state;
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / PLX_SECOND),
                          .tv_nsec = (long)(timeout_ns % PLX_SECOND)};
    bool wait = timeout_ns != 0 && io_uring_cq_ready(&r->ring) == 0;
    PLX__COUNT(l, calls_wait, 1);
    return plx__sys_io_uring_enter(&r->ring, wait, timeout_ns < 0 ? NULL : &ts);
}

static int reap(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    struct io_uring_cqe *cqe;
    int n = 0;
    while (!r->dead && n < BATCH && io_uring_peek_cqe(&r->ring, &cqe) == 0) {
        struct io_uring_cqe one = *cqe; /* handling it may submit, and so need its place */
        io_uring_cqe_seen(&r->ring, cqe);
        complete(l, &one);
        n++;
    }
    return n;
}

static int turn(struct plx_loop *l, int64_t timeout_ns)
{
    struct plx__ring *r = l->state;
    int rc = r->dead ? -EBADFD : enable(r);
    if (rc < 0)
        return rc;
    rc = enter(l, timeout_ns);
    plx__loop_waited(l, timeout_ns);
    /* EAGAIN and EBUSY ask to reap first; ETIME is the timeout. EBADR (a completion was dropped
     * for want of memory) cannot be mended: the loop fails. */
    if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
        return rc;
    int n = reap(l);
    if (r->dead)
        return -EBADFD;
    if (n == 0 && rc < 0) { /* what came in while the process was stopped is not posted yet */
        (void)enter(l, 0);
        n = reap(l);
    }
    l->more = n == BATCH;
    if (n > 0)
        PLX__COUNT(l, wakeups, 1);
    return n == 0 && rc == -EINTR ? -EINTR : n;
}

static int open_ring(struct plx_loop *l, struct plx_why *why)
{
    struct plx__ring *r = l->state;
    int rc = plx__wake_open(&r->wake, false);
    if (rc < 0) {
        plx__why(why, "raise the limit on open files: ulimit -n", "pipe: %s", plx_error_text(rc));
        return rc;
    }
    rc = plx__ring_open(r, why);
    if (rc < 0) {
        plx__wake_close(&r->wake);
        return rc;
    }
    submit_wake(l);
    return 0;
}

static int listen_on(struct plx_loop *l, struct plx__listener *ls)
{
    if (ls->exclusive)
        return -EOPNOTSUPP;
    struct target *t = target_new(l->state, ls);
    if (!t)
        return -ENOMEM;
    t->socket = ls->socket;
    ls->eng = t;
    submit_accept(l, t);
    return 0;
}

static void drop_target(struct plx_loop *l, enum kind kind, struct target *t)
{
    t->owner = NULL; /* freed by its last completion */
    cancel(l, target_data(kind, t));
}

static void unlisten(struct plx_loop *l, struct plx__listener *ls)
{
    drop_target(l, OP_ACCEPT, ls->eng);
    ls->eng = NULL;
}

static int watch(struct plx_loop *l, struct plx_watch *w, unsigned old, unsigned now)
{
    if (now && plx__sys_fcntl(w->fd, F_GETFD, 0) < 0)
        return -errno;
    struct target *t = NULL;
    if (now) {
        t = target_new(l->state, w);
        if (!t)
            return -ENOMEM;
    }
    if (old)
        drop_target(l, OP_WATCH, w->eng);
    w->eng = t;
    if (t)
        submit_watch(l, t, now);
    return 0;
}

static void wake(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    plx__wake_signal(&r->wake);
}

static void halt(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    /* Every connection has failed already and its operations are being cancelled; wait for them. */
    for (int i = 0; l->nconn && i < HALT_TRIES; i++) {
        for (uint32_t s = 0; s < l->nslots; s++) {
            if (l->slots[s].conn)
                settle(l, l->slots[s].conn);
        }
        if (l->nconn && (r->dead || turn(l, 10 * PLX_MSEC) < 0))
            break;
    }
    /* Nothing comes back any more. The ring is not kept for the loop's close, which may be much
     * later: a standing accept in it keeps the listening socket open, and peers would connect to a
     * server that has ended. */
    bury(l);
    for (uint32_t s = 0; s < l->nslots; s++) {
        struct plx_conn *c = l->slots[s].conn;
        if (!c)
            continue;
        memset(&c->eng.ring, 0, sizeof(c->eng.ring));
        plx__conn_retire(c);
    }
}

static void close_ring(struct plx_loop *l)
{
    struct plx__ring *r = l->state;
    plx__ring_close(r);
    while (r->targets)
        target_free(r, r->targets);
    plx__wake_close(&r->wake);
}

const struct plx__engine_ops plx__uring_engine = {
    .name = "io_uring",
    .state_size = sizeof(struct plx__ring),
    .blocking_fds = true,
    .blocking_listener = true,
    .alone = true,
    .probe = probe,
    .open = open_ring,
    .listen = listen_on,
    .unlisten = unlisten,
    .adopt = adopt,
    .glance = glance,
    .settle = settle,
    .watch = watch,
    .turn = turn,
    .wake = wake,
    .halt = halt,
    .close = close_ring,
};

#else /* built without liburing */

static int probe(const struct plx_model *m, struct plx_why *why)
{
    (void)m;
    plx__why(why, "on Linux, install liburing 2.3 or later with its headers and build again",
             "this Pollux was built without liburing");
    return -ENOSYS;
}

/* Only the probe is ever called: opening a loop asks it first. */
const struct plx__engine_ops plx__uring_engine = {.name = "io_uring", .probe = probe};

#endif
