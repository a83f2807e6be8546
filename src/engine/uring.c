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
#include "engine/uring.h"
#include "selector/pollset.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 1024 /* completions per turn */
/* Waits of 10 ms for completions when a loop ends; a kernel that keeps one back loses its ring. */
#define HALT_TRIES 200

/* What an accept or a poll in flight belongs to; outlives it, because a late completion may name
 * it. */
struct target {
    void *owner;                             /* listener or watch; NULL when it is gone */
    const struct plx__listen_socket *socket; /* of an accept */
    struct target *prev, *next;
};

static uint64_t target_data(enum plx__ring_op kind, const struct target *t)
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
        if (cqe->user_data >> 56 == PLX__RING_ACCEPT && cqe->res >= 0)
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

struct io_uring_sqe *plx__ring_sqe(struct plx_loop *l)
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

void plx__ring_hand_over(struct io_uring_sqe *sqe, uint64_t data)
{
    sqe->user_data = data;
    plx__sys_prepared(sqe);
}

void plx__ring_cancel(struct plx_loop *l, uint64_t data)
{
    struct io_uring_sqe *sqe = plx__ring_sqe(l);
    io_uring_prep_cancel64(sqe, data, 0);
    plx__ring_hand_over(sqe, (uint64_t)PLX__RING_CANCEL << 56);
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
/* ---- completions ---- */

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
    struct io_uring_sqe *sqe = plx__ring_sqe(l);
    io_uring_prep_multishot_accept(sqe, ls->socket->fd, NULL, NULL, SOCK_CLOEXEC);
    plx__ring_hand_over(sqe, target_data(PLX__RING_ACCEPT, t));
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
    struct io_uring_sqe *sqe = plx__ring_sqe(l);
    io_uring_prep_poll_add(sqe, w->fd, (unsigned)plx__pollset_asked(events));
    plx__ring_hand_over(sqe, target_data(PLX__RING_WATCH, t));
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
    struct io_uring_sqe *sqe = plx__ring_sqe(l);
    io_uring_prep_poll_multishot(sqe, r->wake.rd, POLLIN);
    plx__ring_hand_over(sqe, (uint64_t)PLX__RING_WAKE << 56);
}

static const char *kind_name(enum plx__ring_op kind, const struct plx_conn *c)
{
    switch (kind) {
    case PLX__RING_RECV: return c && c->eng.ring.receiving == PLX__RING_POLLED ? "poll" : "recv";
    case PLX__RING_SEND: return "send";
    case PLX__RING_ACCEPT: return "accept";
    case PLX__RING_CANCEL: return "cancel";
    case PLX__RING_CONNECT:
    case PLX__RING_WATCH:
    case PLX__RING_WAKE: break;
    }
    return "poll";
}

static void complete(struct plx_loop *l, const struct io_uring_cqe *cqe)
{
    struct plx__ring *r = l->state;
    uint64_t data = cqe->user_data;
    enum plx__ring_op kind = (enum plx__ring_op)(data >> 56);
    struct target *t = (struct target *)(uintptr_t)(data & ((1ULL << 56) - 1));
    uint32_t slot = (uint32_t)data;
    struct plx_conn *c = NULL;
    if (kind <= PLX__RING_CONNECT && slot < l->nslots)
        c = l->slots[slot].conn;
    if (c && (c->generation & 0xffffffu) != (data >> 32 & 0xffffffu))
        c = NULL; /* cannot be: a connection stays until its completions are back */
    plx__trace(l, c, PLX_TRACE_COMPLETED, kind_name(kind, c), !!(cqe->flags & IORING_CQE_F_MORE),
               cqe->res);
    switch (kind) {
    case PLX__RING_RECV:
        if (c)
            plx__ring_received(l, c, cqe);
        else if (cqe->flags & IORING_CQE_F_BUFFER)
            plx__ring_take_data(l, NULL, cqe);
        break;
    case PLX__RING_SEND:
        if (c)
            plx__ring_sent(l, c, cqe->res);
        break;
    case PLX__RING_CONNECT:
        if (c)
            plx__ring_connected(l, c);
        break;
    case PLX__RING_CANCEL: break;
    case PLX__RING_ACCEPT: on_accept(l, t, cqe); break;
    case PLX__RING_WATCH: on_watch(l, t, cqe->res); break;
    case PLX__RING_WAKE:
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

static void drop_target(struct plx_loop *l, enum plx__ring_op kind, struct target *t)
{
    t->owner = NULL; /* freed by its last completion */
    plx__ring_cancel(l, target_data(kind, t));
}

static void unlisten(struct plx_loop *l, struct plx__listener *ls)
{
    drop_target(l, PLX__RING_ACCEPT, ls->eng);
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
        drop_target(l, PLX__RING_WATCH, w->eng);
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
                plx__ring_settle(l, l->slots[s].conn);
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
    .adopt = plx__ring_adopt,
    .glance = plx__ring_glance,
    .settle = plx__ring_settle,
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
