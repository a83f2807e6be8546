/* SPDX-License-Identifier: MIT */
/*
 * In the seam: disorder that the system would be entitled to, by dice with a seed. Calls are
 * interrupted, receives and sends short, waits tell late, in another order, and only in part,
 * completions come late and out of order, what stands in the ring ends early.
 *
 * Nothing of it may be noticed. So it keeps the kernel's promises: to an edge-triggered model a
 * short count means "drained" or "full", and the next edge comes when that has changed. Where such
 * a count is made up the descriptor is armed once more, so that the edge does come.
 */
#include "faults.h"

#include <errno.h>
#include <string.h>

#if PLX_HAVE_LIBURING
#include <liburing.h>
#endif

#define FDS 1024

static struct {
    bool edge;    /* epoll-et: events may be put off by arming again */
    bool signals; /* sigio: an edge, too, but nothing can make another */
    bool ring;
    bool levels; /* poll(2) is a wait for levels, and nothing is concluded from silence */
    int epfd[FDS];
    struct epoll_event armed[FDS];
} model;

/* splitmix64 (Steele, Lea, Flood 2014): each throw is a function of its number, so that threads
 * need no lock and the seed repeats the row of throws. */
static uint32_t dice(uint32_t sides)
{
    uint64_t z = atomic_fetch_add(&shared->dice, 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (uint32_t)((z ^ (z >> 31)) >> 32) % sides;
}

/* True once in `sides`, and that is a disorder. Not at the start, where a probe waits for nothing
 * and so cannot be interrupted. */
static bool strikes(uint32_t sides)
{
    if (!atomic_load(&shared->armed) || !atomic_load(&shared->serving) || dice(sides) != 0)
        return false;
    atomic_fetch_add(&shared->injected, 1);
    return true;
}

static int fails(int err)
{
    errno = err;
    return -1;
}

/* The edge will come again, if there is one. */
static void arm_again(int fd)
{
    if (model.edge && fd < FDS && model.armed[fd].events)
        (void)plx__system.epoll_ctl(model.epfd[fd], EPOLL_CTL_MOD, fd, &model.armed[fd]);
}

/* ---- bytes ---- */

static ssize_t chaos_recv(int fd, void *p, size_t n, int flags)
{
    bool may = !model.signals && !model.ring && !(flags & MSG_PEEK);
    if (strikes(10))
        return fails(EINTR);
    if (may && strikes(10)) {
        arm_again(fd);
        return fails(EAGAIN);
    }
    bool cut = may && n > 1 && strikes(4);
    ssize_t k = plx__system.recv(fd, p, cut ? 1 + dice((uint32_t)n) : n, flags);
    if (cut)
        arm_again(fd);
    return k;
}

static ssize_t chaos_send(int fd, struct iovec *iov, int n, int flags)
{
    struct iovec less[16];
    if (strikes(10))
        return fails(EINTR);
    if (strikes(24))
        return fails(ENOBUFS);
    if (model.signals)
        return plx__system.send(fd, iov, n, flags);
    if (strikes(10)) {
        arm_again(fd);
        return fails(EAGAIN);
    }
    size_t bytes = plx__iov_bytes(iov, n);
    if (n > 16 || bytes < 2 || !strikes(4))
        return plx__system.send(fd, iov, n, flags);
    size_t left = 1 + dice((uint32_t)bytes);
    int pieces = 0;
    for (; left > 0; pieces++) {
        less[pieces] = iov[pieces];
        if (less[pieces].iov_len > left)
            less[pieces].iov_len = left;
        left -= less[pieces].iov_len;
    }
    ssize_t k = plx__system.send(fd, less, pieces, flags);
    arm_again(fd);
    return k;
}

static ssize_t chaos_read(int fd, void *p, size_t n)
{
    if (strikes(10))
        return fails(EINTR);
    return strikes(10) ? fails(EAGAIN) : plx__system.read(fd, p, n);
}

static ssize_t chaos_write(int fd, const void *p, size_t n)
{
    return strikes(10) ? fails(EINTR) : plx__system.write(fd, p, n);
}

static int chaos_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
    if (strikes(6))
        return fails(EINTR);
    if (strikes(6))
        return fails(ECONNABORTED);
    if (!model.edge && !model.signals && strikes(6))
        return fails(EAGAIN);
    return plx__system.accept4(fd, a, n, flags);
}

/* ---- waits ---- */

static int chaos_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    if (fd < FDS) {
        model.epfd[fd] = epfd;
        model.armed[fd] = op == EPOLL_CTL_DEL ? (struct epoll_event){0} : *ev;
    }
    return plx__system.epoll_ctl(epfd, op, fd, ev);
}

/* The descriptor of an event stands in the lower half of what travels with it (epoll.c). */
static int disturb(struct epoll_event *ev, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int k = (int)dice((uint32_t)i + 1);
        struct epoll_event other = ev[k];
        ev[k] = ev[i];
        ev[i] = other;
    }
    for (int i = 0; i < n;) {
        if (!strikes(5)) {
            i++;
            continue;
        }
        arm_again((int)(uint32_t)ev[i].data.u64);
        ev[i] = ev[--n];
    }
    return n;
}

static int chaos_epoll_wait(int epfd, struct epoll_event *ev, int n, int ms)
{
    if (strikes(10))
        return fails(EINTR);
    return disturb(ev, plx__system.epoll_wait(epfd, ev, n, ms));
}

static int chaos_epoll_pwait2(int epfd, struct epoll_event *ev, int n, const struct timespec *ts)
{
    if (strikes(10))
        return fails(EINTR);
    return disturb(ev, plx__system.epoll_pwait2(epfd, ev, n, ts));
}

static int leave_out(struct pollfd *p, nfds_t n, int ready)
{
    for (nfds_t i = 0; model.levels && i < n; i++) {
        if (p[i].revents && strikes(5)) {
            p[i].revents = 0;
            ready--;
        }
    }
    return ready;
}

static int chaos_poll(struct pollfd *p, nfds_t n, int ms)
{
    if (strikes(10))
        return fails(EINTR);
    return leave_out(p, n, plx__system.poll(p, n, ms));
}

static int chaos_ppoll(struct pollfd *p, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
    if (strikes(10))
        return fails(EINTR);
    return leave_out(p, n, plx__system.ppoll(p, n, ts, mask));
}

static int chaos_pselect(int n, fd_set *in, fd_set *out, fd_set *other, const struct timespec *ts,
                         const sigset_t *mask)
{
    if (strikes(10))
        return fails(EINTR);
    int ready = plx__system.pselect(n, in, out, other, ts, mask);
    for (int fd = 0; ready > 0 && fd < n; fd++) {
        if (FD_ISSET(fd, in) && strikes(5)) {
            FD_CLR(fd, in);
            ready--;
        }
        if (FD_ISSET(fd, out) && strikes(5)) {
            FD_CLR(fd, out);
            ready--;
        }
    }
    return ready;
}

static int chaos_sigtimedwait(const sigset_t *set, siginfo_t *si, const struct timespec *ts)
{
    if (strikes(10))
        return fails(EINTR);
    if (!strikes(12))
        return plx__system.sigtimedwait(set, si, ts);
    memset(si, 0, sizeof(*si)); /* the queue was full for a moment */
    si->si_signo = SIGIO;
    return SIGIO;
}

/* ---- completions ---- */

static int chaos_aio_read(struct aiocb *cb)
{
    return strikes(40) ? fails(EAGAIN) : plx__system.aio_read(cb);
}

static int chaos_aio_write(struct aiocb *cb)
{
    return strikes(40) ? fails(EAGAIN) : plx__system.aio_write(cb);
}

static int chaos_aio_suspend(const struct aiocb *const list[], int n, const struct timespec *ts)
{
    if (strikes(10))
        return fails(EINTR);
    return strikes(10) ? fails(EAGAIN) : plx__system.aio_suspend(list, n, ts);
}

/* Completed, and told later; another that completed after it is told before. */
static int chaos_aio_error(const struct aiocb *cb)
{
    int err = plx__system.aio_error(cb);
    return err != EINPROGRESS && strikes(3) ? EINPROGRESS : err;
}

#if PLX_HAVE_LIBURING
static int chaos_io_uring_enter(struct io_uring *ring, bool wait, const struct timespec *ts)
{
    static const int errors[] = {-EINTR, -EAGAIN, -EBUSY};
    return strikes(10) ? errors[dice(3)] : plx__system.io_uring_enter(ring, wait, ts);
}

/* A multishot may end at any time, a send may be short, and the kernel may have one of its own
 * threads do a request, which puts its completion behind those of others. */
static void chaos_prepared(struct io_uring_sqe *sqe)
{
    switch (sqe->opcode) {
    case IORING_OP_ACCEPT:
        if (strikes(2))
            sqe->ioprio &= (uint16_t)~IORING_ACCEPT_MULTISHOT;
        break;
    case IORING_OP_RECV:
        if (strikes(2))
            sqe->ioprio &= (uint16_t)~IORING_RECV_MULTISHOT;
        break;
    case IORING_OP_POLL_ADD:
        if (strikes(2))
            sqe->len &= ~IORING_POLL_ADD_MULTI;
        break;
    case IORING_OP_SEND:
        if (sqe->len > 1 && strikes(2))
            sqe->len = 1 + dice(sqe->len);
        if (strikes(2))
            sqe->flags |= IOSQE_ASYNC;
        break;
    default: break;
    }
}
#endif

const struct plx__sys *chaos_table(const char *name)
{
    static struct plx__sys table;
    model.edge = strcmp(name, "epoll-et") == 0;
    model.signals = strcmp(name, "sigio") == 0;
    model.ring = strcmp(name, "io_uring") == 0;
    model.levels = strstr("poll blocking threads threadpool posix-aio", name) != NULL;
    table = plx__system;
    table.malloc = track_malloc;
    table.calloc = track_calloc;
    table.realloc = track_realloc;
    table.recv = chaos_recv;
    table.send = chaos_send;
    table.read = chaos_read;
    table.write = chaos_write;
    table.accept4 = chaos_accept4;
    table.epoll_ctl = chaos_epoll_ctl;
    table.epoll_wait = chaos_epoll_wait;
    table.epoll_pwait2 = chaos_epoll_pwait2;
    table.poll = chaos_poll;
    table.ppoll = chaos_ppoll;
    table.pselect = chaos_pselect;
    table.sigtimedwait = chaos_sigtimedwait;
    table.aio_read = chaos_aio_read;
    table.aio_write = chaos_aio_write;
    table.aio_suspend = chaos_aio_suspend;
    table.aio_error = chaos_aio_error;
#if PLX_HAVE_LIBURING
    table.io_uring_enter = chaos_io_uring_enter;
    table.prepared = chaos_prepared;
#endif
    return &table;
}
