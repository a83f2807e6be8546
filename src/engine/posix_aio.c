/* SPDX-License-Identifier: MIT */
/*
 * A Proactor over POSIX AIO (aio(7)), labelled for what it is with glibc: helper threads that block
 * in read and write on our behalf. Standard, portable, and rarely a good idea; that it can be
 * measured beside the others is its point here.
 *
 * What glibc's implementation dictates (sysdeps/pthread/aio_misc.c):
 *  - Requests on one descriptor run one after another, so a pending read would block every write
 *    of the same socket: writes go through a dup(2) of it.
 *  - A pending read occupies a helper thread, and with all of them taken by idle reads nothing
 *    else runs: aio_init() allows two per connection, and connections are limited to match.
 *  - A request in progress cannot be cancelled: the socket is shut down, which ends it.
 *  - Helpers block all signals, so a write to a dead peer raises no SIGPIPE in the process.
 *  - A request costs two context switches and more, so answers are written at once with a plain
 *    send, and only what the socket does not take becomes an aio_write.
 *
 * The loop waits in aio_suspend(3). What AIO cannot do, waiting for a listening socket, is left to
 * a lookout thread whose wake-ups arrive as one more pending read.
 */
#include "core/core.h"
#include "core/trace.h"
#include "engine/lookout.h"
#include "engine/send.h"

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define PLX_TSAN 1
#elif defined(__has_feature)
#define PLX_TSAN __has_feature(thread_sanitizer)
#else
#define PLX_TSAN 0
#endif

#define CONNECTIONS_MOST 1000 /* in the process: each may hold two helper threads */
#define THREADS_MOST     (2 * CONNECTIONS_MOST + 48)
#define READ_SIZE        PLX__INBUF /* each has one, of which that is memory what was received into */
#define ACCEPT_BUDGET    64
/* How long to wait before asking again for what there was no memory for. */
#define SHORTAGE (20 * PLX_MSEC)
/* How often a draining connection is looked at. */
#define DRAIN_STEP (5 * PLX_MSEC)

struct op {
    struct aiocb cb;
    struct plx_conn *conn; /* NULL: the wake-up */
    size_t index;          /* in the list that aio_suspend gets */
    bool busy, writes;
};

struct aio_conn {
    struct op rd, wr;
    int wfd;                /* the same socket, for writing */
    bool shut;              /* shut down to end what is in progress */
    bool connecting;        /* the lookout waits for it */
    bool moved;             /* draining: a read came back since the last look */
    struct plx_timer *look; /* draining: is it quiet? */
    unsigned char buf[READ_SIZE];
};

struct aio_loop {
    struct plx__wake wake;
    struct op wake_op;
    unsigned char sink[64];
    struct plx__lookout *lookout;
    const struct aiocb **list;
    struct op **ops; /* whose each is */
    size_t n, cap;
    bool retry; /* a request was refused for want of resources */
};

static atomic_int connections;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_aio(void)
{
    struct aioinit init = {
        .aio_threads = THREADS_MOST, .aio_num = THREADS_MOST, .aio_idle_time = 1};
    aio_init(&init);
}

/* ---- requests ---- */

static int reserve(struct aio_loop *a)
{
    if (a->n < a->cap)
        return 0;
    size_t cap = a->cap ? a->cap * 2 : 32;
    const struct aiocb **list = plx__sys_realloc(a->list, cap * sizeof(*list));
    if (list)
        a->list = list;
    struct op **ops = list ? plx__sys_realloc(a->ops, cap * sizeof(*ops)) : NULL;
    if (!ops)
        return -ENOMEM;
    a->ops = ops;
    a->cap = cap;
    return 0;
}

static int submit(struct plx_loop *l, struct op *op, int fd, void *buf, size_t n)
{
    struct aio_loop *a = l->state;
    int rc = reserve(a);
    if (rc < 0)
        return rc;
    memset(&op->cb, 0, sizeof(op->cb));
    op->cb.aio_fildes = fd;
    op->cb.aio_buf = buf;
    op->cb.aio_nbytes = n;
    op->cb.aio_sigevent.sigev_notify = SIGEV_NONE;
    if (op->writes)
        PLX__COUNT(l, calls_send, 1);
    else if (op->conn)
        PLX__COUNT(l, calls_recv, 1);
    if ((op->writes ? plx__sys_aio_write(&op->cb) : plx__sys_aio_read(&op->cb)) < 0)
        return -errno;
    if (op->conn)
        plx__trace(l, op->conn, PLX_TRACE_SUBMITTED, op->writes ? "aio_write" : "aio_read",
                   (int64_t)n, 0);
    op->busy = true;
    op->index = a->n;
    a->list[a->n] = &op->cb;
    a->ops[a->n++] = op;
    return 0;
}

static void forget(struct aio_loop *a, struct op *op)
{
    struct op *last = a->ops[--a->n];
    a->ops[op->index] = last;
    a->list[op->index] = &last->cb;
    last->index = op->index;
    op->busy = false;
}

/* ---- a connection ---- */

static void forget_connecting(struct plx_conn *c)
{
    struct aio_loop *a = c->loop->state;
    struct aio_conn *ac = c->eng.aio;
    if (ac->connecting)
        (void)plx__lookout_set(a->lookout, c->fd, 0, c);
    ac->connecting = false;
}

static void retire(struct plx_conn *c)
{
    struct aio_conn *ac = c->eng.aio;
    if (ac->rd.busy || ac->wr.busy) {
        if (!ac->shut)
            (void)plx__sys_shutdown(c->fd, SHUT_RDWR); /* ends both; retired when they are back */
        ac->shut = true;
        return;
    }
    plx_timer_stop(ac->look);
    forget_connecting(c);
    plx__sys_close(ac->wfd);
    free(ac);
    atomic_fetch_sub(&connections, 1);
    plx__conn_retire(c);
}

/* A read in progress cannot be asked whether there is nothing more; the socket can. */
static void look_if_quiet(void *arg)
{
    struct plx_conn *c = arg;
    struct aio_conn *ac = c->eng.aio;
    bool quiet =
        ac->rd.busy && plx__sys_aio_error(&ac->rd.cb) == EINPROGRESS && !plx__socket_unread(c->fd);
    if (quiet)
        plx__conn_quiet(c);
    if (c->phase != PLX__OPEN) {
        plx_timer_stop(ac->look);
        ac->look = NULL;
    }
    plx__conn_dirty(c);
}

static void send_now(struct plx_conn *c)
{
    const struct aio_conn *ac = c->eng.aio;
    if (!ac->wr.busy)
        plx__send_now(c);
}

static void settle(struct plx_loop *l, struct plx_conn *c)
{
    struct aio_loop *a = l->state;
    struct aio_conn *ac = c->eng.aio;
    if ((c->flags & PLX__F_DRAINING) && c->phase == PLX__OPEN && !ac->look) {
        if (plx_timer_start(l, DRAIN_STEP, DRAIN_STEP, look_if_quiet, c, &ac->look) < 0)
            plx__conn_fail(c, -ENOMEM);
    }
    send_now(c);
    unsigned want = plx__conn_want(c);
    struct iovec iov;
    int rc = 0;
    if ((want & PLX__WANT_WRITE) && !ac->wr.busy && plx__conn_outgoing(c, &iov, 1) == 1) {
        rc = submit(l, &ac->wr, ac->wfd, iov.iov_base, iov.iov_len);
        plx__conn_stalled(c);
    }
    if ((want & PLX__WANT_FIN) && !ac->wr.busy) {
        (void)plx__sys_shutdown(c->fd, SHUT_WR);
        PLX__COUNT(l, calls_other, 1);
        plx__conn_fin_sent(c);
        want = plx__conn_want(c);
    }
    if (rc == 0 && (want & PLX__WANT_READ) && !ac->rd.busy)
        rc = submit(l, &ac->rd, c->fd, ac->buf, sizeof(ac->buf));
    if (rc == -EAGAIN || rc == -ENOMEM)
        a->retry = true; /* out of requests for now: again in a moment (aio_read(3)) */
    else if (rc < 0)
        plx__conn_fail(c, rc);
    if (plx__conn_want(c) & PLX__WANT_RETIRE)
        retire(c);
}

static void on_read(struct plx_conn *c, ssize_t n)
{
    struct aio_conn *ac = c->eng.aio;
    plx__conn_received(c, ac->buf, n);
    send_now(c);
    plx__conn_release(c); /* copies what is to be sent: the buffer is needed for the next read */
}

static void glance(struct plx_loop *l, struct plx_conn *c)
{
    struct aio_conn *ac = c->eng.aio;
    if (ac->rd.busy) /* it will tell */
        return;
    ssize_t n = plx__sys_recv(c->fd, ac->buf, sizeof(ac->buf), MSG_DONTWAIT);
    PLX__COUNT(l, calls_recv, 1);
    if (n >= 0)
        on_read(c, n);
}

static int adopt(struct plx_loop *l, const struct plx__socket *s, struct plx_conn **out)
{
    struct aio_loop *a = l->state;
    if (atomic_fetch_add(&connections, 1) >= CONNECTIONS_MOST) {
        atomic_fetch_sub(&connections, 1);
        return -EUSERS;
    }
    struct aio_conn *ac = plx__sys_malloc(sizeof(*ac));
    if (ac)
        memset(ac, 0, offsetof(struct aio_conn, buf)); /* the rest is not touched */
    int wfd = ac ? plx__sys_fcntl(s->fd, F_DUPFD_CLOEXEC, 0) : -1;
    struct plx_conn *c = wfd >= 0 ? plx__conn_new(l, s) : NULL;
    int rc = c ? 0 : ac && wfd < 0 ? -errno : -ENOMEM;
    if (rc == 0 && s->connecting) {
        rc = plx__lookout_set(a->lookout, s->fd, PLX_WRITE, c);
        if (rc < 0)
            plx__conn_fail(c, rc);
    }
    if (!c) {
        if (wfd >= 0)
            plx__sys_close(wfd);
        free(ac);
        atomic_fetch_sub(&connections, 1);
        return rc;
    }
    ac->wfd = wfd;
    ac->connecting = s->connecting;
    ac->rd.conn = ac->wr.conn = c;
    ac->wr.writes = true;
    c->eng.aio = ac;
    plx__conn_opened(c);
    settle(l, c);
    if (out)
        *out = c;
    return 0;
}

/* ---- events ---- */

static void on_connecting(struct plx_loop *l, struct plx_conn *c)
{
    int err = plx__socket_connected(c->fd);
    PLX__COUNT(l, calls_other, 2);
    if (err == EINPROGRESS)
        return;
    forget_connecting(c);
    if (!err)
        err = -plx__socket_blocking(c->fd, true); /* a helper thread is to wait in read */
    plx__conn_connected(c, err);
    settle(l, c);
}

static void run_lookout(struct plx_loop *l)
{
    struct aio_loop *a = l->state;
    unsigned events;
    struct plx__source *who;
    while ((who = plx__lookout_take(a->lookout, &events))) {
        if (who->kind == PLX__LISTENER) {
            struct plx__listener *ls = (struct plx__listener *)who;
            if (ls->active)
                (void)plx__accept_batch(ls, ACCEPT_BUDGET);
        } else if (who->kind == PLX__WATCH) {
            struct plx_watch *w = (struct plx_watch *)who;
            w->fn(w->fd, events, w->arg);
        } else {
            on_connecting(l, (struct plx_conn *)who);
        }
    }
    plx__lookout_rearm(a->lookout);
}

static void arm_wake(struct plx_loop *l)
{
    struct aio_loop *a = l->state;
    if (!a->wake_op.busy && submit(l, &a->wake_op, a->wake.rd, a->sink, sizeof(a->sink)) < 0)
        a->retry = true;
}

static void complete(struct plx_loop *l, struct op *op, int err)
{
    struct aio_loop *a = l->state;
    ssize_t n = aio_return(&op->cb);
    forget(a, op);
    struct plx_conn *c = op->conn;
    if (!c) {
        atomic_store(&a->wake.set, false); /* read already: see plx__wake_clear() */
        run_lookout(l);
        arm_wake(l);
        return;
    }
    if (err)
        n = -err;
    plx__trace(l, c, PLX_TRACE_COMPLETED, op->writes ? "aio_write" : "aio_read", 0, n);
    if (!op->writes)
        on_read(c, n);
    else
        plx__conn_sent(c, n);
    settle(l, c);
}

static void retry(struct plx_loop *l)
{
    struct aio_loop *a = l->state;
    a->retry = false;
    arm_wake(l);
    for (uint32_t i = 0; i < l->nslots; i++) {
        if (l->slots[i].conn)
            settle(l, l->slots[i].conn);
    }
}

static int turn(struct plx_loop *l, int64_t timeout_ns)
{
    struct aio_loop *a = l->state;
    if (a->retry && (timeout_ns < 0 || timeout_ns > 100 * PLX_MSEC))
        timeout_ns = 100 * PLX_MSEC;
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / PLX_SECOND),
                          .tv_nsec = (long)(timeout_ns % PLX_SECOND)};
    int rc = 0;
    if (a->n)
        rc = plx__sys_aio_suspend(a->list, (int)a->n, timeout_ns < 0 ? NULL : &ts);
    else /* not even the wake-up could be asked for: there is nothing to wait for */
        plx__nap(SHORTAGE);
    int err = rc < 0 ? errno : 0;
    PLX__COUNT(l, calls_wait, 1);
    plx__loop_waited(l, timeout_ns);
    if (err == EINTR)
        return -EINTR;
    if (a->retry)
        retry(l);
    int handled = 0;
    /* Downwards, because a completed request is replaced by the list's last; requests that are
     * made meanwhile are looked at in the next turn. */
    for (size_t i = a->n; i-- > 0;) {
        if (i >= a->n)
            continue;
        err = plx__sys_aio_error(a->list[i]);
        if (err == EINPROGRESS)
            continue;
        complete(l, a->ops[i], err);
        handled++;
    }
    if (handled)
        PLX__COUNT(l, wakeups, 1);
    return handled;
}

/* ---- the contract ---- */

static int probe(const struct plx_model *m, struct plx_why *why)
{
    (void)m;
#if PLX_TSAN
    plx__why(
        why, "use a build without ThreadSanitizer",
        "ThreadSanitizer does not know the threads that glibc's AIO starts, and crashes in them");
    return -ENOSYS;
#endif
    pthread_once(&once, init_aio);
    /* A real request: libc starts a helper thread for it. */
    int fds[2];
    if (plx__sys_pipe2(fds, O_CLOEXEC) < 0) {
        int err = errno;
        plx__why(why, "raise the limit on open files: ulimit -n", "pipe: %s", plx_error_text(err));
        return -err;
    }
    char byte = 'x', got = 0;
    struct aiocb cb = {.aio_fildes = fds[0], .aio_buf = &got, .aio_nbytes = 1};
    const struct aiocb *list[] = {&cb};
    int rc = plx__sys_aio_read(&cb) < 0 ? -errno : 0;
    if (rc == 0) {
        while (plx__sys_write(fds[1], &byte, 1) < 0 && errno == EINTR) {
        }
        plx__sys_close(fds[1]); /* the read ends, even if nothing could be written */
        fds[1] = -1;
        while (plx__sys_aio_error(&cb) == EINPROGRESS)
            (void)plx__sys_aio_suspend(list, 1, NULL);
        rc = aio_return(&cb) == 1 && got == byte ? 0 : -EIO;
    }
    if (fds[1] >= 0)
        plx__sys_close(fds[1]);
    plx__sys_close(fds[0]);
    if (rc < 0)
        plx__why(why, rc == -EAGAIN ? "raise the limit on threads: ulimit -u" : "", "aio_read: %s",
                 plx_error_text(rc));
    return rc;
}

static int open_aio(struct plx_loop *l, struct plx_why *why)
{
    struct aio_loop *a = l->state;
    int rc = plx__wake_open(&a->wake, true);
    if (rc < 0) {
        plx__why(why, "raise the limit on open files: ulimit -n", "pipe: %s", plx_error_text(rc));
        return rc;
    }
    rc = plx__lookout_open(&a->wake, &a->lookout);
    if (rc < 0) {
        plx__why(why, "raise the limit on threads: ulimit -u", "lookout thread: %s",
                 plx_error_text(rc));
        plx__wake_close(&a->wake);
        return rc;
    }
    arm_wake(l);
    return 0;
}

static int listen_on(struct plx_loop *l, struct plx__listener *ls)
{
    struct aio_loop *a = l->state;
    return ls->exclusive ? -EOPNOTSUPP : plx__lookout_set(a->lookout, ls->socket->fd, PLX_READ, ls);
}

static void unlisten(struct plx_loop *l, struct plx__listener *ls)
{
    struct aio_loop *a = l->state;
    (void)plx__lookout_set(a->lookout, ls->socket->fd, 0, ls);
}

static int watch(struct plx_loop *l, struct plx_watch *w, unsigned old, unsigned now)
{
    struct aio_loop *a = l->state;
    (void)old;
    if (now && plx__sys_fcntl(w->fd, F_GETFD, 0) < 0)
        return -errno;
    return plx__lookout_set(a->lookout, w->fd, now, w);
}

static void wake(struct plx_loop *l)
{
    struct aio_loop *a = l->state;
    plx__wake_signal(&a->wake);
}

static void halt(struct plx_loop *l)
{
    while (l->nconn) {
        for (uint32_t i = 0; i < l->nslots; i++) {
            if (l->slots[i].conn)
                settle(l, l->slots[i].conn);
        }
        if (l->nconn)
            (void)turn(l, 10 * PLX_MSEC);
    }
}

static void close_aio(struct plx_loop *l)
{
    struct aio_loop *a = l->state;
    plx__lookout_close(a->lookout);
    /* The read of the wake-up is in progress in a helper thread, into our memory: let it end. */
    plx__wake_signal(&a->wake);
    const struct aiocb *one[] = {&a->wake_op.cb};
    while (a->wake_op.busy && plx__sys_aio_error(&a->wake_op.cb) == EINPROGRESS)
        (void)plx__sys_aio_suspend(one, 1, NULL);
    if (a->wake_op.busy)
        (void)aio_return(&a->wake_op.cb);
    free(a->list);
    free(a->ops);
    plx__wake_close(&a->wake);
}

const struct plx__engine_ops plx__posix_aio_engine = {
    .name = "posix-aio",
    .state_size = sizeof(struct aio_loop),
    .blocking_fds = true,
    .probe = probe,
    .open = open_aio,
    .listen = listen_on,
    .unlisten = unlisten,
    .adopt = adopt,
    .glance = glance,
    .settle = settle,
    .watch = watch,
    .turn = turn,
    .wake = wake,
    .halt = halt,
    .close = close_aio,
};
